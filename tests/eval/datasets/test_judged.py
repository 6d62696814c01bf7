"""Readers of judged questions: the numbers that are known of them, and broken input."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from configs.errors import UserError
from configs.schema import IndexSettings, Passages, Retriever
from eval.datasets import judged
from eval.datasets.consumers import consumers
from index.build import build
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes


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
    assert found == {1: {"GARD_0000001_Sec1.txt": (4, 2), "ADAM_0000002_Sec1.txt": (4, 4)}}
    assert judged.answerable(found, 0) == [1]
    assert judged.answerable(found, 1) == [], "MedQuAD no longer holds ADAM's answers"


@pytest.mark.parametrize("line", ["1 GARD_0000001_Sec1.txt", "one 2-Related A_1_Sec1.txt", "1 x-Related A_1_Sec1.txt"])
def test_a_judgement_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=f"m.zip: the judgements hold '{line}'"):
        judged.qrels(archive(tmp_path / "m.zip", f"1 2-Related A_1_Sec1.txt\n{line}\n"))


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
    (item,) = judged.read_mediqa(tmp_path / judged.MEDIQA["alexa"])
    assert item == judged.Question("Flu?", (judged.Given("a", "", "T", 4, 2, url="http://www.x.gov/flu/"),))


def test_consumers_questions_are_those_that_the_corpus_answers(tmp_path: Path) -> None:
    """Alexa's with a correct answer on one of its pages; messages that name a topic and hold none of LiveQA-Med's."""
    answer = "<Answer AID='a' SystemRank='1' ReferenceScore='{}'><AnswerURL>{}</AnswerURL></Answer>"
    given = {
        "Right page?": (3, "http://www.example.org/gout/1/"),
        "Wrong answer?": (2, "https://example.org/gout/1"),
        "No page?": (4, ""),
    }
    asked = [f"<Question><QuestionText>{q}</QuestionText>{answer.format(*one)}</Question>" for q, one in given.items()]
    (tmp_path / judged.MEDIQA["alexa"]).write_text(f"<M>{''.join(asked)}</M>")
    messages = ("Is gout disease inherited?", "Is anything inherited?", "Hello! What of gout disease, doctor?")
    (tmp_path / judged.RQE).write_text(f"<R>{''.join(f'<pair><chq>{m}</chq></pair>' for m in messages * 2)}</R>")
    (tmp_path / judged.LIVEQA).write_text(
        "<L><NLM-QUESTION qid='TQ1'><Original-Question><MESSAGE>what of Gout disease</MESSAGE></Original-Question>"
        "</NLM-QUESTION><NLM-QUESTION qid='TQ2'/></L>"
    )
    embedder = fakes.FakeEmbedder()
    index = build(fakes.corpus(10), tmp_path / "index", Passages(max_tokens=64), embedder, IndexSettings())
    found = consumers(HybridRetriever.create(index, embedder, Retriever()), tmp_path, tmp_path)
    assert found == (["Right page?"], ["Is gout disease inherited?"])


def test_broken_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(judged.Absent, match="no such file"):
        judged.liveqa(tmp_path)
    (tmp_path / judged.LIVEQA).write_text("<a>")
    with pytest.raises(UserError, match="not an XML file"):
        judged.liveqa(tmp_path)
    (tmp_path / judged.LIVEQA).write_text('<!DOCTYPE m [<!ENTITY a "b">]><m>&a;</m>')
    with pytest.raises(UserError, match="not an XML file"):
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
    for read in (judged.qrels, judged.judged_answers):
        with pytest.raises(UserError, match="not a zip archive that can be read") as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert not isinstance(caught.value, judged.Absent)
    if damage != "inner zip":
        with pytest.raises(UserError, match="not a zip archive that can be read"):
            judged.withdrawn_questions(path, "ADAM")


def test_withdrawn_questions_come_in_file_order_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as file:
        for number in (2, 1):
            file.writestr(f"M/11_MPlusDrugs_QA/{number}.xml", f"<D><Question> Is {number}\nsafe?</Question></D>")
        file.writestr("M/2_GARD_QA/1.xml", "<D><Question>Not asked</Question></D>")
    assert judged.withdrawn_questions(tmp_path / "m.zip", "MPlusDrugs") == ["Is 1 safe?", "Is 2 safe?"]
    (tmp_path / "11_MPlusDrugs_QA").mkdir()
    (tmp_path / "11_MPlusDrugs_QA" / "3.xml").write_text("<D>")
    with pytest.raises(UserError, match="xml: not an XML file that can be read"):
        judged.withdrawn_questions(tmp_path, "MPlusDrugs")


@pytest.mark.medquad
def test_what_is_known_of_the_judgements(medquad: Path) -> None:
    found = judged.qrels(medquad)
    grades = [grade for item in found.values() for grade in item.values()]
    assert (len(found), 83 in found, len(grades)) == (103, False, 2311)
    assert sum(high != low for high, low in grades) == 168
    collections = [answer.split("_")[0] for item in found.values() for answer in item]
    assert sum(name not in judged.WITHDRAWN for name in collections) == 513
    assert set(collections) <= set(judged.FOLDERS)
    assert (len(judged.answerable(found, 0)), len(judged.answerable(found, 1))) == (39, 34)
    assert {answer for item in found.values() for answer in item} <= set(judged.judged_answers(medquad))
    assert len(judged.withdrawn_questions(medquad, "MPlusDrugs")) > 1000


def test_a_judged_answer_has_its_documents_page(tmp_path: Path) -> None:
    texts = (
        "AnswerID,Answer\n"
        'ADAM_0000001_Sec2.txt,"Question: How is gout treated ? (Also called: Podagra)\nURL: x\nAnswer: Rest."\n'
        'GARD_0000009_Sec1.txt,"Question: What is mumps ?\nURL: y\nAnswer: A virus."\n'
    )
    path = archive(tmp_path / "m.zip", "1 4-Excellent ADAM_0000001_Sec2.txt", texts)
    with zipfile.ZipFile(path, "a") as file:
        document = (
            "<Document url='https://example.org/gout'><Focus>Gout</Focus><Synonym>Podagra</Synonym>"
            "<Question qtype='information'>What is gout ?</Question>"
            "<Question qtype='treatment'>How is gout  treated ?</Question></Document>"
        )
        file.writestr("M/10_MPlus_ADAM_QA/0000001.xml", document)
    found = judged.judged_answers(path)
    page = found["ADAM_0000001_Sec2.txt"]
    assert (page.title, page.focus, page.synonyms) == ("How is gout treated ?", "Gout", ("Podagra",))
    assert (page.kind, page.url) == ("treatment", "https://example.org/gout")
    assert (found["GARD_0000009_Sec1.txt"].focus, found["GARD_0000009_Sec1.txt"].url) == ("", "")


def test_the_focus_of_a_given_answer_is_its_pages_title(tmp_path: Path) -> None:
    answer = "<Answer AID='{}' SystemRank='1' ReferenceScore='4'><AnswerText>{}</AnswerText></Answer>"
    texts = ("Gout (podagra) (Treatment): Rest.", "Gout: Rest.", "It is a disease.")
    given = "".join(answer.format(number, text) for number, text in enumerate(texts))
    (tmp_path / "m.xml").write_text(f"<M><Question QID='1'><QuestionText>gout</QuestionText>{given}</Question></M>")
    [question] = judged.read_mediqa(tmp_path / "m.xml")
    assert [one.focus for one in question.answers] == ["Gout (podagra)", "Gout", ""]
    assert [one.title for one in question.answers] == ["Gout (podagra) (Treatment)", "Gout", ""]
