"""Given answers ranked again, the LiveQA-Med judgements, MedQuAD's own questions, and broken input."""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs import load
from configs.errors import UserError
from configs.schema import IndexSettings, Passages
from eval.datasets import judged
from eval.metrics import ranking
from eval.retrieval import judged_sets as retrieval
from eval.retrieval import own_questions as recall
from eval.retrieval import systems as rerank
from index.build import build
from index.corpus import QAPair
from index.store import Index
from tests import fakes
from tests.eval.datasets.test_judged import archive

PROFILE = load("embedded")[0]
ANSWER = (
    "<Answer AID='{id}' SystemRank='{rank}' ReferenceRank='1' ReferenceScore='{grade}'>"
    "<AnswerURL>#</AnswerURL><AnswerText>{text}</AnswerText></Answer>"
)


def file(path: Path, questions: dict[str, list[tuple[int, str]]]) -> Path:
    """A file of MEDIQA task 3: each question with its answers' grades and texts, in the order of SystemRank."""
    parts = []
    for number, (question, answers) in enumerate(questions.items(), 1):
        given = "".join(
            ANSWER.format(id=f"{number}_{rank}", rank=rank, grade=grade, text=text)
            for rank, (grade, text) in enumerate(answers, 1)
        )
        parts.append(
            f"<Question QID='{number}'><QuestionText>{question}</QuestionText>"
            f"<AnswerList>{given}</AnswerList></Question>"
        )
    path.write_text(f"<M>{''.join(parts)}</M>", "utf-8")
    return path


GOUT = {
    "Treatment of gout?": [
        (2, "Kidney stones: They are hard lumps that form of minerals."),
        (4, "Gout (Treatment): Gout is treated with medicines that lower uric acid."),
    ],
    "What causes mumps?": [
        (1, "Measles (Causes): A virus that spreads in the air."),
        (3, "Mumps (Causes): Mumps is caused by a virus."),
    ],
}


def test_titles_are_read_off_an_answers_beginning() -> None:
    assert judged.titled("Gout (Treatment): Rest. Note: drink.") == ("Gout (Treatment)", "Rest. Note: drink.")
    assert judged.titled("What is gout? : It is a disease.") == ("What is gout?", "It is a disease.")
    assert judged.titled("It is a disease.") == ("", "It is a disease.")
    # A ratio, or a colon deep in the text, is no title's end.
    assert judged.titled("A ratio of 2:1 is usual.")[0] == ""
    assert judged.titled("word " * 60 + "so: end")[0] == ""


def test_windows_hold_every_word_once() -> None:
    text = " ".join(f"w{n}" for n in range(400))
    found = rerank.windows(text)
    assert [len(window.split()) for window in found] == [180, 180, 40]
    assert " ".join(found) == text
    assert rerank.windows("") == [""]


def test_answers_are_ranked_again(tmp_path: Path) -> None:
    path = file(tmp_path / "gout.xml", GOUT)
    embedder = fakes.FakeEmbedder(dimensions=384, max_tokens=256)
    [found] = retrieval.mediqa(PROFILE, embedder, tmp_path, [path], tmp_path / "cache")
    assert (found["name"], found["n"], found["answers"], found["with a correct answer"]) == ("gout.xml", 2, 4, 2)
    rows = {name: row["p@1"]["value"] for name, row in found["systems"].items()}
    assert rows.pop("CHiQA rank") == 0
    assert set(rows) == {"BM25", "BM25, one question's answers", "MiniLM, best window", "dense", retrieval.RERANKER}
    assert rows["BM25"] == rows["dense"] == rows[retrieval.RERANKER] == 1
    assert found["intervals_by"] == "question"
    shown = {(row["b"], row["metric"]): row for row in found["differences"]}
    assert shown["CHiQA rank", "p@1"]["value"] == 1
    assert (retrieval.RERANKER, "map") not in shown
    embedded = len(embedder.encoded)
    assert embedded == len(set(embedder.encoded))
    assert retrieval.mediqa(PROFILE, embedder, tmp_path, [path], tmp_path / "cache") == [found]
    assert len(embedder.encoded) == embedded, "the second run embeds nothing"


def test_the_file_that_weights_were_fitted_on_is_cross_validated(tmp_path: Path) -> None:
    path = file(tmp_path / judged.MEDIQA[retrieval.TUNED_ON], GOUT)
    other = file(tmp_path / "other.xml", GOUT)
    found = retrieval.mediqa(PROFILE, fakes.FakeEmbedder(384, 256), tmp_path, [path, other])
    assert [row["name"] for row in found] == ["Alexa (MEDIQA task 3)", "other.xml"]
    assert "cross-validated" in found[0]["tuned"]
    assert "nothing of this set" in found[1]["tuned"]


def test_features_say_what_they_say(tmp_path: Path) -> None:
    questions = judged.read_mediqa(file(tmp_path / "f.xml", GOUT))
    embedder = fakes.FakeEmbedder(dimensions=384, max_tokens=256)
    answers = rerank.Answers(questions, PROFILE, embedder.count_tokens)
    stones, gout = (
        dict(zip(rerank.FEATURES, row, strict=True))
        for row in answers.features(lambda texts: embedder.encode(texts))[0]
    )
    assert stones["asked"] == stones["held"] == stones["lexical"] == 0
    assert gout["lexical"] == gout["held"] == 1
    assert gout["asked"] == 1
    assert gout["passage"] >= gout["passages"] > 0
    assert gout["title"] > stones["title"]


def test_fit_finds_the_feature_that_orders_the_grades() -> None:
    dice = np.random.default_rng(0)
    grades = [dice.integers(1, 5, size=8).tolist() for _ in range(40)]
    features = [np.column_stack([np.array(one) + dice.normal(0, 0.5, 8), dice.normal(0, 1, 8)]) for one in grades]
    weights = rerank.fit(features, grades)
    assert weights[0] > 5 * abs(weights[1])
    # Units do not matter: a feature told in hundredths gets a weight a hundred times as large.
    scaled = rerank.fit([rows * np.array([0.01, 1.0]) for rows in features], grades)
    assert scaled == pytest.approx(weights * np.array([100, 1.0]))
    with pytest.raises(ValueError, match="two different grades"):
        rerank.fit([np.ones((2, 2))], [[3, 3]])


def test_held_out_scores_come_from_the_other_folds() -> None:
    """The last fold's grades run against all others': its scores must not know that."""
    features = [np.array([[1.0], [0.0]])] * 10
    grades = [[4, 1]] * 8 + [[1, 4]] * 2
    found = rerank.held_out(features, grades)
    assert all(scores[0] > scores[1] for scores in found)
    assert [fold.tolist() for fold in rerank.folds(7, 3)] == [[0, 1, 2], [3, 4], [5, 6]]
    assert len(rerank.folds(2)) == 2


def test_shipped_weights_name_the_features() -> None:
    assert tuple(retrieval.WEIGHTS) == rerank.FEATURES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("<M>", "not an XML file"),
        ('<!DOCTYPE m [<!ENTITY a "b">]><M>&a;</M>', "not an XML file"),
        ("<M/>", "no question with answers"),
        ("<M><Question QID='1'><QuestionText>q</QuestionText></Question></M>", "no question with answers"),
        ("<M><Question QID='7'><Answer AID='7_1' SystemRank='1'/></Question></M>", "7_1: 'ReferenceScore'"),
        ("<M><Question QID='7'><Answer AID='a' SystemRank='1' ReferenceScore='9'/></Question></M>", "from 1 to 4"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "x.xml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        judged.read_mediqa(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_judgements_over_medquad(tmp_path: Path) -> None:
    (tmp_path / judged.LIVEQA).write_text(
        "<L><NLM-QUESTION qid='TQ7'><Original-Question><SUBJECT>Gout</SUBJECT><MESSAGE>What to eat?</MESSAGE>"
        "</Original-Question><NLM-Summary>Diet in gout?</NLM-Summary></NLM-QUESTION></L>"
    )
    lines = (
        "7 1-Incorrect GARD_0000002_Sec1.txt\n7 2-Related ADAM_0000001_Sec1.txt\n7 4-Excellent ADAM_0000001_Sec1.txt"
    )
    texts = (
        "AnswerID,Answer\n"
        'ADAM_0000001_Sec1.txt,"Question: Diet in gout ? (Also called: Podagra)\nURL: https://x\nAnswer: Eat well."\n'
        'GARD_0000002_Sec1.txt,"Question: What is mumps ?\nURL: https://y\nAnswer: A virus."\n'
    )
    medquad = archive(tmp_path / "m.zip", lines, texts)
    assert judged.judged_answers(medquad)["ADAM_0000001_Sec1.txt"] == judged.Given(
        "ADAM_0000001_Sec1.txt", "Diet in gout ?", "Eat well.", 0, also="Podagra"
    )
    found = retrieval.liveqa(PROFILE, fakes.FakeEmbedder(384, 256), medquad, tmp_path)
    assert [row["name"].split(", ")[1] for row in found] == ["as typed"] * 2 + ["NLM summary"] * 2
    # The one correct answer is so by the higher of its two grades only.
    assert [row["with a correct answer"] for row in found] == [1, 0, 1, 0]
    highest, lowest = (one["systems"][retrieval.RERANKER] for one in found[2:])
    assert highest["p@1"]["value"] == 1
    assert lowest["p@1"]["value"] == 0
    assert lowest["grade@1"]["value"] == 2
    assert "CHiQA rank" not in found[0]["systems"]


def test_a_judgement_without_its_text_is_told(tmp_path: Path) -> None:
    message = judged.LiveQuestion(7, "", "What to eat?", "Diet?")
    grades = {7: {"ADAM_0000001_Sec1.txt": (4, 2)}}
    with pytest.raises(UserError, match="ADAM_0000001"):
        judged.judged_questions(grades, {7: message}, {}, True, 0)
    with pytest.raises(UserError, match="question 7"):
        judged.judged_questions(grades, {}, {}, True, 0)


def test_ranks() -> None:
    assert recall.ranks([False, False, True, True]) == {
        "recall@1": 0.0, "recall@3": 1.0, "recall@5": 1.0, "recall@10": 1.0, "mrr": pytest.approx(1 / 3)
    }  # fmt: skip
    assert set(recall.ranks([False]).values()) == {0.0}
    assert recall.ranks([]) == recall.ranks([False])


def page(row: int) -> QAPair:
    """A page of its own: words that no other page has, and another name for its topic."""
    return QAPair(
        f"p{row}",
        f"What are the signs of topic{row}x?",
        f"The signs of topic{row}x are sign{row}a and sign{row}b.",
        collection="c",
        document=str(row),
        focus=f"topic{row}x",
        synonyms=(f"other{row}y",),
        source="NIDDK",
        url=f"https://example.org/{row}",
        urls=(f"https://example.org/{row}",),
    )


def test_own_questions_over_an_index(tmp_path: Path) -> None:
    embedder = fakes.FakeEmbedder(dimensions=384)
    pairs = [page(row) for row in range(60)]
    folder = tmp_path / "index"
    build(fakes.corpus(pairs), folder, Passages(max_tokens=64), embedder, IndexSettings())
    found = recall.own(PROFILE, embedder, folder, 5)
    assert found["as written"]["n"] == 5
    assert found["as written"]["recall@1"]["value"] == 1
    assert found["as written"]["topic mrr"]["value"] == 1
    # The other name stands in no text that is embedded; the list of names and BM25's text hold it.
    assert found["reworded"]["topic recall@1"]["value"] == 1
    assert found["reworded, BM25 alone"]["topic recall@1"]["value"] == 1
    assert found["reworded, embedder alone"]["topic recall@1"]["value"] < 1
    assert found["reworded, synonym not in the list of names"]["n"] == 5
    assert found == recall.own(PROFILE, embedder, folder, 5)


def test_intervals_of_own_questions_are_by_the_splits_topics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages on each topic: its questions are drawn together."""
    pages = [replace(page(row), focus=f"topic{row // 2}x") for row in range(60)]
    folder = tmp_path / "index"
    embedder = fakes.FakeEmbedder(dimensions=384)
    build(fakes.corpus(pages), folder, Passages(max_tokens=64), embedder, IndexSettings())
    given: list[Sequence[int] | None] = []

    def spied(rows: Any, seed: int = 0, topics: Sequence[int] | None = None) -> Any:
        given.append(topics)
        return figures(rows, seed, topics)

    figures = ranking.figures
    monkeypatch.setattr(ranking, "figures", spied)
    found = recall.own(PROFILE, embedder, folder, 6)
    assert found["intervals_by"] == "topic"
    rows = [name for name, row in found.items() if isinstance(row, dict)]
    assert len(given) == len(rows)
    for name, topics in zip(rows, given, strict=True):
        assert topics is not None
        assert len(topics) == found[name]["n"] == 6
        assert len(set(topics)) == 3
    printed = retrieval.markdown({"sets": [], "own": found})
    assert "95% intervals by topic." in printed
    assert "retriever as deployed" in printed
    assert "| as written | 6 |" in printed
    assert "caveat" not in found
    bare = [replace(pair, focus="", document="") for pair in pages]
    build(fakes.corpus(bare), tmp_path / "bare", Passages(max_tokens=64), embedder, IndexSettings())
    found = recall.own(PROFILE, embedder, tmp_path / "bare", 6)
    assert "lower bound" in found["caveat"]
    assert "No pair names a focus (disease) or a document" in retrieval.markdown({"sets": [], "own": found})
    assert found["as written"]["topic recall@1"]["value"] == found["as written"]["recall@1"]["value"]


def test_the_same_answer_under_another_question_is_the_pair(tmp_path: Path) -> None:
    embedder = fakes.FakeEmbedder(dimensions=384)
    pairs = [page(0), QAPair("twin", "Which signs?", page(0).answer, url="https://example.org/t"), page(1)]
    folder = tmp_path / "index"
    build(fakes.corpus(pairs), folder, Passages(max_tokens=64), embedder, IndexSettings())
    from eval.datasets.own import Asked
    from rag.retrieval.hybrid import HybridRetriever

    retriever = HybridRetriever.create(Index.open(folder), embedder, PROFILE.retriever)
    found = recall.measure("twins", retriever, [Asked(pairs[0].question, 1)], [0])
    assert found["recall@1"]["value"] == 1
    assert found["topic recall@1"]["value"] == 0


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    retrieval.add_arguments(parser)
    return retrieval.main(parser.parse_args(["--profile", "embedded", *words]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "trec", "--data", "."), "no such set"),
        (("--set", "liveqa", "--file", "x.xml", "--data", "."), "use it with --set mediqa"),
        (("--set", "mediqa"), "--data FOLDER"),
        (("--set", "medquad", "-n", "0"), "at least one"),
        (("--set", "medquad", "--index", "nowhere"), "no index there"),
        (("--file", "nowhere.xml"), "nowhere.xml: no such file"),
    ],
)
def test_mistakes_of_the_command(words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDQUAD", raising=False)
    with pytest.raises(UserError, match=message):
        command(*words)


@pytest.mark.parametrize(
    ("out", "message"), [("missing/out.json", "there is no folder missing"), (".", "a folder, not a file")]
)
def test_a_result_that_cannot_be_written_is_told_before_the_work(
    out: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(retrieval, "tables", lambda *_, **__: pytest.fail("the work was begun"))
    with pytest.raises(UserError, match=message):
        command("--set", "medquad", "--json", out)


JUDGED_SETS = ("mediqa2019", "liveqa-med")


def judged_folder(folder: Path, sets: Sequence[str] = JUDGED_SETS, judgements: bool = True) -> tuple[Path, Path]:
    """A folder with these judged sets, and a MedQuAD archive with or without the judgements."""
    folder.mkdir()
    if "mediqa2019" in sets:
        (folder / "mediqa2019").mkdir()
        for name in judged.MEDIQA.values():
            file(folder / "mediqa2019" / name, GOUT)
    if "liveqa-med" in sets:
        (folder / "liveqa-med").mkdir()
        (folder / "liveqa-med" / judged.LIVEQA).write_text(
            "<L><NLM-QUESTION qid='TQ7'><NLM-Summary>Diet in gout?</NLM-Summary></NLM-QUESTION></L>"
        )
    medquad = folder / "m.zip"
    text = 'AnswerID,Answer\nGARD_0000002_Sec1.txt,"Question: Gout ?\nURL: https://y\nAnswer: Eat well."\n'
    archive(medquad, "7 4-Excellent GARD_0000002_Sec1.txt", text)
    if not judgements:
        zipfile.ZipFile(medquad, "w").close()
    return folder, medquad


@pytest.mark.parametrize(
    ("sets", "judgements", "tables", "said"),
    [
        (JUDGED_SETS, True, 7, []),
        (("mediqa2019",), True, 3, ["liveqa-med: no such file; retrieval is not measured on liveqa"]),
        (("liveqa-med",), True, 4, ["retrieval is not measured on mediqa"]),
        (JUDGED_SETS, False, 3, [f"no {judged.QRELS_ZIP} in it"]),
        ((), True, 0, ["not measured on mediqa", "not measured on liveqa"]),
    ],
)
def test_the_evaluation_goes_on_without_a_judged_set(
    sets: tuple[str, ...],
    judgements: bool,
    tables: int,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from eval.run import _retrieval

    folder, medquad = judged_folder(tmp_path / "judged", sets, judgements)
    monkeypatch.setenv("MEDQUAD", str(medquad))
    monkeypatch.setattr("index.embedder.Embedder", lambda settings: fakes.FakeEmbedder(384, 256))
    monkeypatch.setattr(recall, "own", lambda *_: {"as written": {"n": 1}})
    found = _retrieval(PROFILE, folder, medquad, tmp_path / "data")
    assert len(found["sets"]) == tables
    assert found["own"] == {"as written": {"n": 1}}
    lines = [line for line in capsys.readouterr().err.splitlines() if "retrieval is not measured on" in line]
    assert len(lines) == len(said)
    for line, wanted in zip(lines, said, strict=True):
        assert wanted in line


def test_a_set_asked_for_by_name_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCITE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("index.embedder.Embedder", lambda settings: fakes.FakeEmbedder(384, 256))
    folder, medquad = judged_folder(tmp_path / "judged", ("mediqa2019",))
    with pytest.raises(UserError, match="no such file"):
        command("--set", "liveqa", "--data", str(folder), "--medquad", str(medquad))
    medquad.write_bytes(b"PK, and no archive")
    with pytest.raises(UserError, match="not a zip archive"):
        command("--set", "liveqa", "--data", str(folder), "--medquad", str(medquad))


@pytest.mark.weights
def test_the_command_ranks_a_file(
    tmp_path: Path, weights: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDCITE_DATA", str(tmp_path / "data"))
    path = file(tmp_path / "gout.xml", GOUT)
    assert command("--set", "mediqa", "--file", str(path), "--json", str(tmp_path / "out.json")) == 0
    table = json.loads((tmp_path / "out.json").read_text())["sets"][0]
    assert table["systems"]["MiniLM, best window"]["map"]["value"] == 1
    printed = capsys.readouterr().out
    assert "### gout.xml" in printed
    assert "| re-ranker (evaluation only) | 1.000 (1.000-1.000) |" in printed
    assert "re-ranker (evaluation only) minus CHiQA rank, p@1: +1.000" in printed
    assert "hybrid" not in printed
    assert "No row is the retriever as deployed" in printed
    assert "95% intervals by question." in printed


@pytest.mark.medquad
def test_published_conventions(medquad: Path) -> None:
    """CHiQA's rank and BM25 over a question's own answers give the figures that others measured."""
    folder = medquad.parent / "mediqa2019"
    if not folder.is_dir():
        pytest.skip(f"no MEDIQA files at {folder}")
    wanted = {
        "liveqa": {"CHiQA": (0.445, 0.516, 0.413, 0.680), "BM25": (0.480, 0.512, 0.394, 0.696)},
        "alexa": {"CHiQA": (0.767, 0.866, 0.779, 0.879), "BM25": (0.791, 0.851, 0.740, 0.878)},
    }
    for part, systems in wanted.items():
        questions = judged.read_mediqa(folder / judged.MEDIQA[part])
        answers = rerank.Answers(questions, PROFILE, fakes.FakeEmbedder().count_tokens)
        systems_found = retrieval.table(
            questions, {"CHiQA": answers.ranks, "BM25": answers.bm25_within, retrieval.RERANKER: answers.bm25}
        )["systems"]
        for name, values in systems.items():
            found = [systems_found[name][key]["value"] for key in ("map", "mrr", "p@1", "ndcg@10")]
            assert found == pytest.approx(values, abs=6e-4), f"{part}, {name}"
