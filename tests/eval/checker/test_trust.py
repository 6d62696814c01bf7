"""What is reported of a checker, by hand-worked cases."""

from __future__ import annotations

import pytest

from eval.checker import checker, trust
from eval.checker.altered import Labeled
from tests.eval.checker.test_claims import GOUT


def test_figures_by_hand() -> None:
    made = [Labeled("own", "", "", True, "p")] * 4 + [Labeled("reworded", "", "", True, "p")]
    made += [Labeled("number", "", "", False, "p")] * 2
    found = trust.figures([True, True, True, False, False, True, False], made)
    assert (found["precision"], found["recall"]) == (0.75, 0.6)
    # Each kind the same: recall is the mean of 3/4 and 0; of the false ones half are called supported.
    assert found["weighted"]["recall"] == 0.375
    assert found["weighted"]["precision"] == pytest.approx(0.375 / (0.375 + 0.5), abs=1e-4)
    assert found["kinds"]["own"] == {"n": 4, "label": "supported", "supported": 0.75}
    nothing = trust.figures([False] * 7, made)
    assert (nothing["precision"], nothing["recall"]) == (None, 0.0)


def test_the_report_shows_what_was_never_fitted_on_apart() -> None:
    made = [Labeled("own passage", GOUT, "Gout is a form of arthritis.", True, "p")]
    made.append(Labeled("freely reworded", GOUT, "Uricemia underlies podagra.", True, "p"))
    found = trust.report(checker.SupportChecker.load(), made)
    assert (found["precision"], found["recall"], found["n"]) == (1.0, 0.5, 2)
    assert found["plain"] == {"n": 1, "precision": 1.0, "recall": 1.0}
    shown = trust.table({"split": "test", **found})
    assert "| freely reworded | supported | 1 | 0.000 |" in shown
    assert "recall 0.500" in shown
