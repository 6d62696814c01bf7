from __future__ import annotations

import json
import math

import numpy as np
import pytest

from configs.errors import UserError
from eval.metrics.bootstrap import ClusterBootstrap, Figure
from eval.metrics.text import Bleu


def test_every_resample_holds_all_rows_of_a_drawn_topic_and_as_many_topics_as_there_are() -> None:
    bootstrap = ClusterBootstrap([7, 3, 7, 7, 9], resamples=200)
    assert bootstrap.weights.shape == (200, 5)
    assert (bootstrap.weights[:, 0] == bootstrap.weights[:, 2]).all()
    assert (bootstrap.weights[:, 0] == bootstrap.weights[:, 3]).all()
    assert (bootstrap.weights[:, [0, 1, 4]].sum(1) == 3).all()
    assert bootstrap.weights[:, 1].max() > 1


def test_the_mean_of_two_topics_by_hand() -> None:
    # Two topics, 0 and 1: a resample holds both (mean 0.5) or one twice (0 or 1), each of the latter in a quarter.
    figure = ClusterBootstrap([0, 1], resamples=4000).mean([0.0, 1.0])
    assert figure == Figure(0.5, 0.0, 1.0)
    # Three rows of the first topic weigh three times: 1/4, not 1/2.
    assert ClusterBootstrap([0, 0, 0, 1]).mean([0, 0, 0, 1]).value == 0.25


def test_the_interval_is_that_of_the_normal_theory_where_every_row_is_a_topic() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    figure = ClusterBootstrap(range(400), resamples=4000).mean(values)
    half = 1.96 * values.std() / math.sqrt(400)
    assert figure.value == pytest.approx(values.mean())
    assert figure.low == pytest.approx(values.mean() - half, abs=0.02)
    assert figure.high == pytest.approx(values.mean() + half, abs=0.02)


def test_drawing_topics_gives_a_wider_interval_than_drawing_rows_where_rows_of_a_topic_are_alike() -> None:
    by_topic = np.random.default_rng(2).normal(0, 1, 40)
    topics = np.repeat(np.arange(40), 10)
    values = by_topic[topics]
    clustered, single = ClusterBootstrap(topics.tolist()).mean(values), ClusterBootstrap(range(400)).mean(values)
    assert clustered.value == single.value
    # Ten equal rows a topic: the standard error is too small by the root of 10 if they pass for independent.
    ratio = (clustered.high - clustered.low) / (single.high - single.low)
    assert ratio == pytest.approx(math.sqrt(10), rel=0.15)


def test_the_draws_are_the_same_every_time() -> None:
    values = np.random.default_rng(3).random(50)
    assert ClusterBootstrap(range(50)).mean(values) == ClusterBootstrap(range(50)).mean(values)


def test_rows_without_a_value_are_left_out() -> None:
    nan = math.nan
    assert ClusterBootstrap([0, 1, 2, 3]).mean([1.0, nan, 3.0, nan]).value == 2.0
    # One row with a value: resamples without it have no mean and do not count.
    assert ClusterBootstrap([0, 1, 2]).mean([nan, 5.0, nan]) == Figure(5.0, 5.0, 5.0)
    none = ClusterBootstrap([0, 1]).mean([nan, nan])
    assert all(math.isnan(x) for x in none)
    assert none.as_difference()["shown"] is False
    assert none.as_dict() == {"value": None, "low": None, "high": None}


def test_a_share_is_sum_over_sum_and_not_the_mean_of_shares() -> None:
    bootstrap = ClusterBootstrap([0, 1, 2])
    # 1 of 1 sentence, 0 of 9; an answer without sentences weighs nothing.
    assert bootstrap.ratio([1, 0, 0], [1, 9, 0]).value == 0.1
    assert bootstrap.ratio([1, math.nan, 0], [1, 9, 1]).value == 0.5
    assert math.isnan(bootstrap.ratio([0, 0, 0], [0, 0, 0]).value)


def test_a_difference_is_paired() -> None:
    dice = np.random.default_rng(4)
    a = dice.normal(0, 5, 100)
    b = a - 0.1
    bootstrap = ClusterBootstrap(range(100))
    # The two vary widely, their difference not at all.
    figure = bootstrap.difference(a, b)
    assert figure.value == pytest.approx(0.1)
    assert figure.high - figure.low < 1e-9
    assert figure.as_difference() == {"value": 0.1, "low": 0.1, "high": 0.1, "shown": True}
    assert bootstrap.mean(a).as_difference()["shown"] is False
    assert bootstrap.difference(b, a).value == pytest.approx(-0.1)
    assert bootstrap.difference(b, a).as_difference()["shown"] is True
    assert bootstrap.difference(a, a).as_difference()["shown"] is False
    a[0] = b[1] = math.nan
    assert bootstrap.difference(a, b).value == pytest.approx(0.1)


def test_a_figure_of_sums_of_one_column_is_the_mean() -> None:
    values = np.random.default_rng(5).random(30)
    bootstrap = ClusterBootstrap([row // 3 for row in range(30)])
    statistics = np.stack([values, np.ones(30)], axis=1)
    of_sums = bootstrap.of_sums(statistics, lambda summed: float(summed[0] / summed[1]))
    assert of_sums == pytest.approx(bootstrap.mean(values))


def test_bleu_of_a_resample_is_sacrebleus_corpus_score_of_its_rows() -> None:
    from sacrebleu.metrics import BLEU

    predictions = ["the cat sat on the mat", "a dog ran in the park today", "he takes the pills with water", "no"]
    references = [
        "the cat sat on a mat",
        "a dog ran in a park today",
        "she takes the pills with some water",
        "yes they do help",
    ]
    bootstrap, bleu = ClusterBootstrap([0, 0, 1, 2], resamples=60), Bleu()
    statistics = bleu.statistics(predictions, references)
    figure = bootstrap.of_sums(statistics, bleu.score)
    scores = []
    for weights in bootstrap.weights.astype(int):
        rows = [row for row, times in enumerate(weights) for _ in range(times)]
        scores.append(BLEU().corpus_score([predictions[r] for r in rows], [[references[r] for r in rows]]).score)
    assert figure.value == pytest.approx(BLEU().corpus_score(predictions, [references]).score)
    assert (figure.low, figure.high) == pytest.approx(tuple(np.percentile(scores, [2.5, 97.5])))

    perfect = bleu.statistics(references, references)
    difference = bootstrap.difference_of_sums(perfect, statistics, bleu.score)
    assert difference.value == pytest.approx(100 - figure.value)
    assert difference.low == pytest.approx(100 - figure.high)
    assert bootstrap.difference_of_sums(statistics, statistics, bleu.score) == Figure(0, 0, 0)


def test_a_subset_is_the_topics_of_its_rows_alone() -> None:
    bootstrap = ClusterBootstrap([0, 0, 1, 2, 2], resamples=100)
    part = bootstrap.subset([3, 0, 4])
    assert part.clusters.tolist() == [2, 0, 2]
    assert (part.weights == ClusterBootstrap([2, 0, 2], resamples=100).weights).all()
    assert part.mean([1, 0, 1]).value == pytest.approx(2 / 3)


def test_one_topic_has_no_interval_to_speak_of() -> None:
    assert ClusterBootstrap([5, 5]).mean([1.0, 2.0]) == Figure(1.5, 1.5, 1.5)


def test_means_of_several_measures_are_taken_over_the_same_draws() -> None:
    rows = [{"mrr": 1.0, "map": 0.5}, {"mrr": 0.5, "map": 0.25}, {"mrr": 0.25, "map": 0.125}]
    bootstrap = ClusterBootstrap([0, 1, 1])
    found = bootstrap.means(rows)
    assert found == {
        "mrr": bootstrap.mean([1, 0.5, 0.25]).as_dict(),
        "map": bootstrap.mean([0.5, 0.25, 0.125]).as_dict(),
    }


def test_figures_go_into_json_at_four_places() -> None:
    figure = Figure(0.123456, np.float64(-1.00004), 2)
    assert json.loads(json.dumps(figure.as_dict())) == {"value": 0.1235, "low": -1.0, "high": 2}
    # Whether a difference is shown goes by the ends as they are, not as they are rounded.
    assert Figure(0.1, 0.00001, 0.2).as_difference() == {"value": 0.1, "low": 0.0, "high": 0.2, "shown": True}


def test_no_rows_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(UserError, match="no answers"):
        ClusterBootstrap([])
    with pytest.raises(UserError, match="no answers"):
        ClusterBootstrap([1, 2]).subset([])
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        ClusterBootstrap([1, 2]).mean([1, 2, 3])
    with pytest.raises(ValueError, match=r"must be \(2, 'k'\)"):
        ClusterBootstrap([1, 2]).of_sums([1, 2], lambda summed: 0.0)
