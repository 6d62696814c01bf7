"""Measures of rankings: cases worked by hand, and intervals."""

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


def test_interval_is_that_of_the_binomial_and_the_same_every_time() -> None:
    values = [1.0] * 30 + [0.0] * 70
    found = ranking.figure(values)
    assert found["value"] == 0.3
    # 1.96 standard errors of a share of .3 among 100: .09 on either side.
    assert found["low"] == pytest.approx(0.21, abs=0.02)
    assert found["high"] == pytest.approx(0.39, abs=0.02)
    assert found == ranking.figure(values)
    assert ranking.figure([0.25]) == {"value": 0.25, "low": 0.25, "high": 0.25}
    with pytest.raises(ValueError, match="no values"):
        ranking.figure([])


def test_intervals_by_topic_are_those_of_whole_topics() -> None:
    """Ten topics of ten questions each, a topic all found or all missed: as if ten questions had been asked."""
    rows = [{"mrr": float(topic < 5)} for topic in range(10) for _ in range(10)]
    topics = [row // 10 for row in range(100)]
    found = ranking.figures(rows, topics=topics)["mrr"]
    assert set(found) == {"value", "low", "high"}
    assert found["value"] == 0.5
    # 1.96 standard errors of a share of .5 among 10: .31 on either side; among 100 it is .1.
    assert (found["low"], found["high"]) == (pytest.approx(0.2, abs=0.05), pytest.approx(0.8, abs=0.05))
    assert ranking.figures(rows)["mrr"]["low"] > 0.35
    assert ranking.figures(rows, topics=topics) == {"mrr": found}
    # Every question a topic of its own: the interval by question.
    assert ranking.figures(rows, topics=range(100)) == ranking.figures(rows)


def test_differences_are_paired() -> None:
    spread = np.random.default_rng(1).random(200)
    one = [{"map": float(value) + 0.05} for value in spread]
    other = [{"map": float(value)} for value in spread]
    found = ranking.difference(one, other, "map")
    # The questions differ widely, the difference is the same on each.
    assert (found["value"], found["low"], found["high"], found["shown"]) == (0.05, 0.05, 0.05, True)
    assert ranking.difference(one, one, "map")["shown"] is False
    with pytest.raises(ValueError, match="zip"):
        ranking.difference(one, other[1:], "map")


def test_figures_cover_every_measure() -> None:
    found = ranking.figures([ranking.measures([4, 1]), ranking.measures([1, 4])])
    assert tuple(found) == ranking.MEASURES
    assert found["mrr"]["value"] == 0.75
