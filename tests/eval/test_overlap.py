"""Overlap figures against hand-worked cases and the libraries called directly."""

from __future__ import annotations

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from eval.generation.predict import chosen
from eval.metrics import overlap
from index.splits import make
from tests import fakes

REFERENCES = ["Gout is a form of arthritis that hurts the joints.", "Rest and water help most people with a cold."]
ANSWERS = ["Gout is arthritis. [1] It hurts the joints. [2]", "Rest helps with a cold. [1]"]


def test_rouge_by_hand() -> None:
    # "a b c d" against "a b x": 2 shared of 4 and of 3, F1 = 2 * (2/4 * 2/3) / (2/4 + 2/3) = 4/7.
    found = overlap.rouge(["a b x"], ["a b c d"])
    assert found["rouge1"] == [pytest.approx(4 / 7)]
    assert found["rouge2"] == [pytest.approx(2 * (1 / 3 * 1 / 2) / (1 / 3 + 1 / 2))]
    assert found["rougeL"] == [pytest.approx(4 / 7)]


def test_marks_are_no_words_and_an_empty_answer_scores_nothing() -> None:
    assert overlap.plain("Gout hurts. [1] [12] It passes. [3]") == "Gout hurts. It passes."
    marked, bare = overlap.rouge(ANSWERS, REFERENCES), overlap.rouge([overlap.plain(a) for a in ANSWERS], REFERENCES)
    assert marked == bare
    assert overlap.rouge([""], REFERENCES[:1]) == {"rouge1": [0.0], "rouge2": [0.0], "rougeL": [0.0]}
    assert overlap.bleu([""], REFERENCES[:1]) == 0


def test_the_figures_are_the_libraries_own() -> None:
    plain = [overlap.plain(answer) for answer in ANSWERS]
    assert overlap.bleu(ANSWERS, REFERENCES) == pytest.approx(sacrebleu.corpus_bleu(plain, [REFERENCES]).score)
    direct = RougeScorer(["rougeL"], use_stemmer=True).score(REFERENCES[1], plain[1])["rougeL"].fmeasure
    assert overlap.rouge(ANSWERS, REFERENCES)["rougeL"][1] == pytest.approx(direct)


def test_an_interval_draws_whole_topics() -> None:
    values = [0.0] * 50 + [1.0] * 50

    def mean(rows: list[int]) -> float:
        return sum(values[row] for row in rows) / len(rows)

    alone = overlap.interval(list(range(100)), mean)  # type: ignore[arg-type]
    assert alone[0] < 0.5 < alone[1]
    assert alone[1] - alone[0] < 0.25
    two = overlap.interval([row // 50 for row in range(100)], mean)  # type: ignore[arg-type]
    assert two == (0.0, 1.0)
    assert overlap.interval(list(range(100)), mean) == alone  # type: ignore[arg-type]


def test_the_table_has_value_and_interval_for_each_way() -> None:
    found = overlap.table({"a": ANSWERS, "same": REFERENCES}, REFERENCES, [0, 1], rounds=50)
    assert found["same"]["rouge1"] == [1.0, 1.0, 1.0]
    assert found["same"]["bleu"][0] == pytest.approx(100)
    assert found["same"]["length_ratio"] == 1.0
    assert found["a"]["length_ratio"] == pytest.approx(12 / 19, abs=0.001)


def test_the_same_pairs_are_drawn_topic_by_topic() -> None:
    pairs = fakes.corpus(200).pairs
    splits = make(pairs, "digest", by="row")
    rows = chosen(pairs, splits, "test", 10, seed=0)
    assert rows == chosen(pairs, splits, "test", 10, seed=0)
    assert {splits.split_of[pairs[row].id] for row in rows} == {"test"}
    topics = [splits.topic_of[pairs[row].id] for row in rows]
    possible = {splits.topic_of[pairs[row].id] for row in splits.rows(pairs, "test")}
    assert len(set(topics)) == min(10, len(possible))
