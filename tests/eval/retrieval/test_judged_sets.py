"""Given answers ranked again, the LiveQA-Med judgements, and broken input."""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from configs import load
from configs.errors import UserError
from eval.datasets import judged
from eval.retrieval import judged_sets as retrieval
from eval.retrieval import own_questions
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


def test_answers_are_ranked_again(tmp_path: Path) -> None:
    path = file(tmp_path / "gout.xml", GOUT)
    embedder = fakes.FakeEmbedder(dimensions=384, max_tokens=256)
    [found] = retrieval.mediqa(PROFILE, embedder, tmp_path, [path], tmp_path / "cache")
    assert (found["name"], found["n"], found["answers"], found["with a correct answer"]) == ("gout.xml", 2, 4, 2)
    rows = {name: row["p@1"]["value"] for name, row in found["systems"].items()}
    assert rows.pop("CHiQA rank") == 0
    assert list(rows) == ["BM25", "BM25, one question's answers", "MiniLM, best window", "dense", "deployed"]
    assert rows["BM25"] == rows["dense"] == rows["deployed"] == 1
    assert found["intervals_by"] == "question"
    assert {row["a"] for row in found["differences"]} == {"deployed"}
    shown = {(row["b"], row["metric"]): row for row in found["differences"]}
    assert {name for name, _ in shown} == {"CHiQA rank", *rows} - {"deployed"}
    assert shown["CHiQA rank", "p@1"]["value"] == 1
    assert list(retrieval.mediqa(PROFILE, embedder, tmp_path, [path], tmp_path / "cache")) == [found]
    passages = [text for text in embedder.encoded if "\n" in text]
    assert len(passages) == len(set(passages)) == found["answers"], "the second run embeds no passage"


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
    text = judged.judged_answers(medquad)["ADAM_0000001_Sec1.txt"]
    assert (text.title, text.body) == ("Diet in gout ?", "Eat well.")
    found = list(retrieval.liveqa(PROFILE, fakes.FakeEmbedder(384, 256), medquad, tmp_path))
    assert [row["name"].split(", ")[1] for row in found] == ["as typed"] * 2 + ["NLM summary"] * 2
    # The one correct answer is so by the higher of its two grades only.
    assert [row["with a correct answer"] for row in found] == [1, 0, 1, 0]
    highest, lowest = (one["systems"]["deployed"] for one in found[2:])
    assert highest["p@1"]["value"] == 1
    assert lowest["p@1"]["value"] == 0
    assert lowest["grade@1"]["value"] == 2
    assert "CHiQA rank" not in found[0]["systems"]


def test_a_further_system_is_one_more_row(tmp_path: Path) -> None:
    questions = judged.read_mediqa(file(tmp_path / "gout.xml", GOUT))
    dense = [np.array([0.0, 1.0]), np.array([0.0, 1.0])]
    other = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    found = retrieval.table(questions, {"deployed": dense, "another": other})
    assert {name: row["p@1"]["value"] for name, row in found["systems"].items()} == {"deployed": 1, "another": 0.5}
    # Its average precision is 1/2 and 1.
    differences = {row["metric"]: (row["a"], row["b"], row["value"], row["shown"]) for row in found["differences"]}
    assert differences["map"] == ("deployed", "another", 0.25, False)
    assert differences["p@1"] == ("deployed", "another", 0.5, False)
    assert set(differences) == {"map", "p@1", "ndcg@10"}


def test_a_judgement_without_its_text_is_told(tmp_path: Path) -> None:
    message = judged.LiveQuestion(7, "", "What to eat?", "Diet?")
    judgements = {7: {"ADAM_0000001_Sec1.txt": (4, 2)}}
    with pytest.raises(UserError, match="ADAM_0000001"):
        judged.judged_questions(judgements, {7: message}, {}, True, 0)
    with pytest.raises(UserError, match="question 7"):
        judged.judged_questions(judgements, {}, {}, True, 0)


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
    monkeypatch.setattr("index.embedder.embedder_of", lambda settings: fakes.FakeEmbedder(384, 256))
    monkeypatch.setattr(own_questions, "own", lambda *_: {"as written": {"n": 1}})
    found = _retrieval(PROFILE, folder, medquad, tmp_path / "data")
    assert len(found["sets"]) == tables
    assert found["own"] == {"as written": {"n": 1}}
    lines = [line for line in capsys.readouterr().err.splitlines() if "retrieval is not measured on" in line]
    assert len(lines) == len(said)
    for line, wanted in zip(lines, said, strict=True):
        assert wanted in line


def test_a_set_asked_for_by_name_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCITE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("index.embedder.embedder_of", lambda settings: fakes.FakeEmbedder(384, 256))
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
    assert "| dense | 1.000 (1.000-1.000) |" in printed
    assert "| deployed | 1.000 (1.000-1.000) |" in printed
    assert "deployed minus CHiQA rank, p@1: +1.000" in printed
    assert "The row deployed is the retriever as the chat uses it" in printed
    assert "95% intervals by question." in printed
