"""Trees give what the library gave that fitted them, and refuse what is no tree."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from eval.calibration.reranker import exported
from rag.retrieval.trees import LEAF, Node, Trees

STUMP = (Node(0, 0.5, 1, 2, 0.0), Node(LEAF, 0.0, 0, 0, -1.0), Node(LEAF, 0.0, 0, 0, 2.0))


def test_trees_are_summed_over_the_base() -> None:
    model = Trees(("a", "b"), 0.25, (STUMP, STUMP))
    assert model.logit({"a": 0.5, "b": 9.0, "other": 1.0}) == pytest.approx(-1.75), "at the threshold: left"
    assert model.logit({"a": 0.6, "b": 9.0}) == pytest.approx(4.25)
    with pytest.raises(KeyError):
        model.logit({"a": 0.5})


def test_the_shipped_form_decides_as_the_library() -> None:
    dice = np.random.default_rng(0)
    values = dice.normal(size=(400, 3))
    right = values[:, 0] * values[:, 1] + 0.3 * dice.normal(size=400) > 0
    fitted = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(values, right)
    names = ("a", "b", "c")
    model = Trees.from_json(json.loads(json.dumps(exported(fitted, names).to_json())))
    fresh = dice.normal(size=(200, 3))
    ours = [model.logit(dict(zip(names, row, strict=True))) for row in fresh.tolist()]
    assert ours == pytest.approx(fitted.decision_function(fresh), abs=1e-3)
    assert np.ptp(ours) > 1


@pytest.mark.parametrize(
    "tree",
    [
        [],
        [[0, 0.5, 0, 0, 0.0]],
        [[0, 0.5, 1, 5, 0.0], [LEAF, 0.0, 0, 0, 1.0]],
        [[7, 0.5, 1, 2, 0.0], [LEAF, 0.0, 0, 0, 1.0], [LEAF, 0.0, 0, 0, 1.0]],
        [[0, 0.5]],
    ],
)
def test_what_is_no_tree_is_refused(tree: list[object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Trees.from_json({"names": ["a"], "base": 0.0, "trees": [tree]})
