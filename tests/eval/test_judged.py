"""Readers of judged questions: the numbers that are known of them, and broken input."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from configs.errors import UserError
from eval.datasets import judged


def archive(path: Path, lines: str, answers: str = "AnswerID,Answer\n") -> Path:
    """A MedQuAD archive with these judgements and nothing else."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("x/qrels.txt", lines)
        file.writestr("__MACOSX/x/._qrels.txt", b"\xff")
        file.writestr("x/answers.csv", answers)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"MedQuAD-master/{judged.QRELS_ZIP}", inner.getvalue())
    return path


def test_repeated_judgements_keep_both_grades(tmp_path: Path) -> None:
    lines = (
        "1 2-Related GARD_0000001_Sec1.txt\n1 4-Excellent GARD_0000001_Sec1.txt\n1 4-Excellent ADAM_0000002_Sec1.txt\n"
    )
    found = judged.qrels(archive(tmp_path / "m.zip", lines))
    assert found[1].grades["GARD_0000001_Sec1.txt"] == (4, 2)
    assert list(found[1].open()) == ["GARD_0000001_Sec1.txt"]
    assert judged.answerable(found) == [1]
    assert judged.answerable(found, highest=False) == []


@pytest.mark.parametrize("line", ["1 GARD_0000001_Sec1.txt", "one 2-Related A_1_Sec1.txt", "1 x-Related A_1_Sec1.txt"])
def test_a_judgement_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=f"m.zip: the judgements hold '{line}'"):
        judged.qrels(archive(tmp_path / "m.zip", f"1 2-Related A_1_Sec1.txt\n{line}\n"))


def test_judged_texts(tmp_path: Path) -> None:
    row = 'AnswerID,Answer\nA_1_Sec1.txt,"Question: Q ?\nURL: https://x\nAnswer: Take care: rest."\n'
    assert judged.judged_texts(archive(tmp_path / "m.zip", "", row)) == {"A_1_Sec1.txt": "Take care: rest."}


def test_answer_ids_name_pairs() -> None:
    assert judged.pair_key("NIHSeniorHealth_0000012_Sec3.txt") == ("7_SeniorHealth_QA", "0000012-3")
    with pytest.raises(UserError, match="not an answer id"):
        judged.pair_key("something")


def test_liveqa_and_mediqa(tmp_path: Path) -> None:
    (tmp_path / judged.LIVEQA).write_text(
        "<L><NLM-QUESTION qid='TQ7'><Original-Question><SUBJECT>Gout</SUBJECT><MESSAGE>What\n to eat?</MESSAGE>"
        "</Original-Question><NLM-Summary> Diet in gout? </NLM-Summary></NLM-QUESTION></L>"
    )
    question = judged.liveqa(tmp_path)[0]
    assert (question.number, question.original, question.summary) == (7, "Gout. What to eat?", "Diet in gout?")
    (tmp_path / judged.MEDIQA["alexa"]).write_text(
        "<M><Question QID='1'><QuestionText>Flu?</QuestionText><AnswerList><Answer AID='a' SystemRank='2' "
        "ReferenceRank='1' ReferenceScore='4'><AnswerURL>http://www.x.gov/flu/</AnswerURL><AnswerText>T</AnswerText>"
        "</Answer></AnswerList></Question></M>"
    )
    item = judged.mediqa(tmp_path, "alexa")[0]
    assert item.answers == (judged.Candidate("a", "T", "http://www.x.gov/flu/", 2, 4),)
    assert judged.page_url(item.answers[0].url) == judged.page_url("https://x.gov/flu")
    (tmp_path / judged.RQE["validation"]).write_text("<R><pair value='true'><chq> m </chq><faq>q</faq></pair></R>")
    assert judged.rqe(tmp_path, "validation") == [judged.Entailment("m", "q", True)]


def test_broken_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        judged.liveqa(tmp_path)
    (tmp_path / judged.LIVEQA).write_text("<a>")
    with pytest.raises(UserError, match="not valid XML"):
        judged.liveqa(tmp_path)
    empty = tmp_path / "empty.zip"
    zipfile.ZipFile(empty, "w").close()
    with pytest.raises(UserError, match="judgements come with"):
        judged.qrels(empty)


@pytest.mark.parametrize("damage", ["no zip", "cut short", "inner zip"])
def test_a_broken_archive_is_one_line(tmp_path: Path, damage: str) -> None:
    path = archive(tmp_path / "m.zip", "1 4-Excellent GARD_0000001_Sec1.txt\n" * 50)
    if damage == "no zip":
        path.write_bytes(b"<html>not found</html>")
    elif damage == "cut short":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(judged.QRELS_ZIP, b"not a zip")
    for read in (judged.qrels, judged.judged_texts):
        with pytest.raises(UserError, match="not a zip archive that can be read") as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert not isinstance(caught.value, judged.Absent)
    if damage != "inner zip":
        with pytest.raises(UserError, match="not a zip archive that can be read"):
            judged.withdrawn_questions(path, "ADAM")


@pytest.mark.medquad
def test_what_is_known_of_the_judgements(medquad: Path) -> None:
    found = judged.qrels(medquad)
    grades = [grade for item in found.values() for grade in item.grades.values()]
    assert (len(found), 83 in found, len(grades)) == (103, False, 2311)
    assert sum(high != low for high, low in grades) == 168
    assert sum(len(item.open()) for item in found.values()) == 513
    assert (len(judged.answerable(found)), len(judged.answerable(found, highest=False))) == (39, 34)
    assert all(judged.pair_key(answer) for item in found.values() for answer in item.grades)
    texts = judged.judged_texts(medquad)
    assert {answer for item in found.values() for answer in item.grades} <= set(texts)
    assert len(judged.withdrawn_questions(medquad, "MPlusDrugs")) > 1000
