"""Measures of rankings: cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.metrics import ranking


def test_measures_worked_by_hand() -> None:
    found = ranking.measures([2, 4, 1, 3])
    assert found["map"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (found["mrr"], found["p@1"], found["grade@1"]) == (0.5, 0.0, 2.0)
    assert (found["success@3"], found["success@5"]) == (1.0, 1.0)
    gained = 1 / math.log2(2) + 7 / math.log2(3) + 0 + 3 / math.log2(5)
    best = 7 / math.log2(2) + 3 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@10"] == pytest.approx(gained / best)


def test_ndcg_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import ndcg_score

    grades = np.random.default_rng(0).integers(1, 5, size=(20, 14))
    ranked = np.arange(14, 0, -1)
    for row in grades:
        wanted = ndcg_score([2.0 ** (row - 1) - 1], [ranked], k=10)
        assert ranking.measures(row.tolist())["ndcg@10"] == pytest.approx(wanted)


def test_perfect_and_hopeless_questions() -> None:
    assert ranking.measures([4, 3, 2]) | {"grade@1": 0} == dict.fromkeys(ranking.MEASURES, 1.0) | {"grade@1": 0}
    assert ranking.measures([1, 1]) == dict.fromkeys(ranking.MEASURES, 0.0) | {"grade@1": 1.0}
    # Related answers have a gain, but none is correct.
    assert ranking.measures([1, 2])["ndcg@10"] == pytest.approx(1 / math.log2(3))
    assert ranking.measures([1, 2])["map"] == 0
    assert ranking.measures([2, 2, 2, 3])["success@3"] == 0
    with pytest.raises(ValueError, match="without a judged answer"):
        ranking.measures([])


def test_an_answer_past_the_tenth_counts_for_map_but_not_for_ndcg() -> None:
    found = ranking.measures([1] * 10 + [4])
    assert found["ndcg@10"] == 0
    assert found["map"] == pytest.approx(1 / 11)


def test_order_keeps_the_given_order_of_equal_scores() -> None:
    assert ranking.order([0.1, 0.5, 0.1, 0.5, 0.9]).tolist() == [4, 1, 3, 0, 2]
