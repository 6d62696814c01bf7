"""The fit of what a sentence is worth, on labels whose rule is known."""

from __future__ import annotations

import numpy as np

from eval.calibration.sentences import FIRST, Known, figures, fit, unseen
from rag.attribution.worth import NAMES


def drawn(questions: int) -> list[Known]:
    """Questions of eight sentences, labeled by "within" alone; `before` is noise."""
    dice = np.random.default_rng(0)
    found = []
    for _ in range(questions):
        values = dice.normal(size=(8, len(NAMES)))
        order = np.argsort(np.argsort(-values[:, NAMES.index("within")]))
        found.append(Known(values, np.select([order < 1, order < 4], [2, 1], 0), dice.normal(size=8)))
    return found


def test_the_rule_of_the_labels_is_found_for_questions_that_were_not_seen() -> None:
    found = drawn(60)
    weights = dict(zip(NAMES, fit(found).weights, strict=True))
    assert max(weights, key=lambda name: abs(weights[name])) == "within"
    ours, noise = figures(found, unseen(found)), figures(found, [one.before for one in found])
    assert ours["best answers"] > 0.8 > noise["best answers"]
    assert ours[f"of {FIRST} beside"] < noise[f"of {FIRST} beside"]


def test_figures_count_what_stands_first() -> None:
    one = Known(np.zeros((4, len(NAMES))), np.array([0, 1, 2, 0]), np.zeros(4))
    found = figures([one, one], [np.array([4.0, 3, 2, 1]), np.array([0.0, 3, 9, 1])])
    assert found == {"best answers": 0.5, "best belongs": 0.5, "one of 3 answers": 1.0, "of 3 beside": 0.333}
