"""Questions with human judgements: LiveQA-Med over MedQuAD (qrels) and MEDIQA-2019 task 3.

Grades are 1 incorrect, 2 related, 3 incomplete, 4 excellent; 3 and 4 count as correct. No command of its own.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from configs.errors import UserError

CORRECT = 3
LIVEQA = "TREC-2017-LiveQA-Medical-Test-Questions-w-summaries.xml"
QRELS_ZIP = "QA-TestSet-LiveQA-Med-Qrels-2479-Answers.zip"
MEDIQA = {
    "liveqa": "MEDIQA2019-Task3-QA-TrainingSet1-LiveQAMed.xml",
    "alexa": "MEDIQA2019-Task3-QA-TrainingSet2-Alexa.xml",
    "validation": "MEDIQA2019-Task3-QA-ValidationSet.xml",
}
RQE = "MEDIQA2019-Task2-RQE-ValidationSet-AMIA2016.xml"
"""MEDIQA task 2, whose messages are consumers'."""
FOLDERS = {
    "ADAM": "10_MPlus_ADAM_QA", "MPlusDrugs": "11_MPlusDrugs_QA", "MPlusHerbsSuppls": "12_MPlusHerbsSupplements_QA",
    "CancerGov": "1_CancerGov_QA", "GARD": "2_GARD_QA", "GHR": "3_GHR_QA", "NIDDK": "5_NIDDK_QA",
    "MPlusHealthTopics": "4_MPlus_Health_Topics_QA", "NINDS": "6_NINDS_QA", "NIHSeniorHealth": "7_SeniorHealth_QA",
    "NHLBI": "8_NHLBI_QA_XML", "CDC": "9_CDC_QA",
}  # fmt: skip
"""Collection code in an answer id to MedQuAD's folder."""
WITHDRAWN = ("ADAM", "MPlusDrugs", "MPlusHerbsSuppls")
"""Collections whose texts MedQuAD no longer holds."""
Grades = dict[str, tuple[int, int]]
"""Judgements over one question: answer id to (highest, lowest) grade."""
_TITLE = re.compile(r"(.{1,150}?)\s?:\s+(?=\S)")
_SECTION = re.compile(r"(.*\S)\s+\([^()]+\)")
"""A page's title with a section's: `Gout (Treatment)`."""


class Absent(UserError):
    """A set of judged questions that is not there, as against one that cannot be read."""


@dataclass(frozen=True, slots=True)
class LiveQuestion:
    """A LiveQA-Med question: what a person wrote (subject and message), and the NLM's summary of it."""

    number: int
    subject: str
    message: str
    summary: str

    @property
    def original(self) -> str:
        """Subject and message as they would be typed into one box."""
        subject = self.subject.strip(" .")
        return f"{subject}. {self.message}" if subject and not self.message.startswith(subject) else self.message


@dataclass(frozen=True, slots=True)
class Given:
    """An answer to be ranked; `rank` is another system's, 0 where none ranked it.

    `focus`, `synonyms` and `kind`, a question type, are those of MedQuAD's document; elsewhere the focus is the page's
    own title, without that of a section: `Gout` of `Gout (Treatment)`.
    """

    id: str
    title: str
    body: str
    grade: int
    rank: int = 0
    url: str = ""
    focus: str = ""
    synonyms: tuple[str, ...] = ()
    kind: str = ""

    @property
    def text(self) -> str:
        """Title and body as one text."""
        return f"{self.title}: {self.body}" if self.title else self.body


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the answers that were judged for it."""

    text: str
    answers: tuple[Given, ...]


def liveqa(path: Path) -> list[LiveQuestion]:
    """The LiveQA-Med test questions, from their XML file or the folder that holds it."""
    return [
        LiveQuestion(
            int(item.attrib["qid"].removeprefix("TQ")),
            text_of(item.find("Original-Question/SUBJECT")),
            text_of(item.find("Original-Question/MESSAGE")),
            text_of(item.find("NLM-Summary")),
        )
        for item in read_xml(path / LIVEQA if path.is_dir() else path).iter("NLM-QUESTION")
    ]


def titled(text: str) -> tuple[str, str]:
    """Title and body of an answer that begins with its page's title: `Gout (Treatment): Rest ...`.

    The title is empty where no colon stands near the beginning.
    """
    match = _TITLE.match(text)
    return (match.group(1).strip(), text[match.end() :].strip()) if match else ("", text.strip())


def read_mediqa(path: Path) -> list[Question]:
    """The judged questions of a file in the format of MEDIQA-2019 task 3, an answer's title apart from its text.

    Raises UserError where the file is missing, is no XML, lacks a grade, or holds no question with answers.
    """
    found: list[Question] = []
    for item in read_xml(path).iter("Question"):
        answers = []
        for one in item.iter("Answer"):
            try:
                name, grade, rank = one.attrib["AID"], int(one.attrib["ReferenceScore"]), int(one.attrib["SystemRank"])
            except (KeyError, ValueError) as error:
                where = one.get("AID") or f"an answer of question {item.get('QID')}"
                raise UserError(
                    f"{path}: {where}: {error} is missing or no number; a judged file has AID, SystemRank "
                    "and ReferenceScore"
                ) from None
            if not 1 <= grade <= 4:
                raise UserError(f"{path}: {name}: ReferenceScore {grade} is not a grade from 1 to 4")
            title, body = titled(text_of(one.find("AnswerText")))
            section = _SECTION.fullmatch(title)
            page = section.group(1) if section else title
            answers.append(Given(name, title, body, grade, rank, text_of(one.find("AnswerURL")), page))
        if answers:
            found.append(Question(text_of(item.find("QuestionText")), tuple(answers)))
    if not found:
        raise UserError(f"{path}: no question with answers in it; it should be a file of MEDIQA-2019 task 3")
    return found


def qrels(medquad: Path) -> dict[int, Grades]:
    """The judgements that MedQuAD ships, by question number; from its zip or its folder.

    168 (question, answer) pairs are judged twice with two different grades: both are kept, as
    (highest, lowest). The usual reading is the highest; report the lowest beside it.
    """
    grades: dict[int, Grades] = defaultdict(dict)
    for line in _judgement_file(medquad, ".txt").decode("utf-8").splitlines():
        if not line.strip():
            continue
        try:
            number, grade, answer = line.split()
            value, _ = int(grade.partition("-")[0]), int(number)
        except ValueError:
            raise UserError(
                f"{medquad}: the judgements hold {line.strip()[:60]!r}, which is not "
                "'question grade-name answer'; get MedQuAD again"
            ) from None
        high, low = grades[int(number)].get(answer, (value, value))
        grades[int(number)][answer] = (max(high, value), min(low, value))
    return dict(sorted(grades.items()))


def answerable(judgements: Mapping[int, Grades], at: int) -> list[int]:
    """Numbers of the questions with a correct answer whose text MedQuAD still holds.

    `at`: 0 takes the higher of two different grades (39 questions), 1 the lower (34).
    """
    return [
        number
        for number, grades in judgements.items()
        if any(grade[at] >= CORRECT and name.split("_")[0] not in WITHDRAWN for name, grade in grades.items())
    ]


def judged_answers(medquad: Path) -> dict[str, Given]:
    """The judged answers by id, ungraded, withdrawn ones too: to score a ranking, not to serve.

    The judgements write the names behind the question: `What is (are) Gout ? (Also called: Podagra)`. An answer's page
    is what MedQuAD's document says of it, which stays where the answer was withdrawn.
    """
    csv.field_size_limit(sys.maxsize)
    documents = _documents(medquad)
    found = {}
    for row in csv.DictReader(io.StringIO(_judgement_file(medquad, ".csv").decode("utf-8", "replace"), newline="")):
        head, _, answer = row["Answer"].partition("Answer: ")
        question, _, _ = head.partition("URL:")[0].replace("Question:", "", 1).partition("(Also called:")
        given = Given(row["AnswerID"], " ".join(question.split()), answer.strip(), 0)
        document = documents.get(given.id.rpartition("_Sec")[0])
        found[given.id] = given if document is None else _of_document(given, medquad, document)
    return found


def _documents(medquad: Path) -> dict[str, bytes]:
    """MedQuAD's documents by collection and file, as the judgements name them: `GARD_0000002`."""
    return {
        f"{code}_{PurePosixPath(name).stem}": data
        for code, folder in FOLDERS.items()
        for name, data in _files(medquad, f"{folder}/*.xml")
    }


def _of_document(given: Given, medquad: Path, data: bytes) -> Given:
    """An answer with its page's focus, synonyms and URL, and the question type that the document gives its question."""
    root = read_xml(medquad / given.id, data)
    kinds = {text_of(one): one.get("qtype", "") for one in root.iter("Question")}
    return replace(
        given,
        url=root.get("url", ""),
        focus=text_of(root.find("Focus")),
        synonyms=tuple(filter(None, map(text_of, root.iter("Synonym")))),
        kind=kinds.get(given.title, ""),
    )


def judged_questions(
    judgements: Mapping[int, Grades], asked: Mapping[int, LiveQuestion], texts: dict[str, Given], typed: bool, at: int
) -> list[Question]:
    """Questions of the judgements with their answers in the order of their ids, so that ties follow no grade.

    `typed`: the whole message, else its summary. `at`: 0 for the higher of two grades, 1 for the lower.
    """
    found: list[Question] = []
    for number, grades in judgements.items():
        if number not in asked:
            raise UserError(f"question {number} of the judgements is not among the LiveQA-Med questions")
        if lost := sorted(grades.keys() - texts.keys()):
            raise UserError(f"{lost[0]} is judged, but its text is not among the judgements")
        answers = tuple(replace(texts[name], grade=grade[at]) for name, grade in sorted(grades.items()))
        found.append(Question(asked[number].original if typed else asked[number].summary, answers))
    if not found:
        raise UserError("no judgements over MedQuAD; they come with its whole archive")
    return found


def withdrawn_questions(medquad: Path, code: str) -> list[str]:
    """The questions of a folder whose answers MedQuAD withdrew, as of `MPlusDrugs`; in file order."""
    files = _files(medquad, f"{FOLDERS[code]}/*.xml")
    found = [text_of(item) for name, data in files for item in read_xml(medquad / name, data).iter("Question")]
    if not found:
        raise UserError(f"{medquad}: no questions in {FOLDERS[code]}")
    return found


def _judgement_file(medquad: Path, suffix: str) -> bytes:
    """The file with that suffix among the judgements that MedQuAD ships."""
    if not medquad.exists():
        raise Absent(f"{medquad}: no such file")
    for name, archive in _files(medquad, QRELS_ZIP):
        for _, data in _files(medquad, f"*{suffix}", archive):
            return data
        raise UserError(f"{medquad}: {name} holds no {suffix} file")
    raise Absent(f"{medquad}: no {QRELS_ZIP} in it; the judgements come with MedQuAD's whole archive")


def _files(medquad: Path, pattern: str, inner: bytes = b"") -> list[tuple[str, bytes]]:
    """Name and content of the files whose path ends as the glob pattern, sorted: of the archive or folder, or of the
    archive `inner` in it. Raises UserError for what cannot be read.
    """
    try:
        if medquad.is_dir() and not inner:
            return [(path.name, path.read_bytes()) for path in sorted(medquad.rglob(pattern))]
        with zipfile.ZipFile(io.BytesIO(inner) if inner else medquad) as archive:
            names = [name for name in sorted(archive.namelist()) if PurePosixPath(name).match(pattern)]
            return [(name, archive.read(name)) for name in names if "__MACOSX" not in name]
    except OSError as error:
        raise UserError(f"{medquad}: cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{medquad}: not a zip archive that can be read ({error}); fetch it again") from None


def read_xml(path: Path, data: bytes | None = None) -> Element:
    """The root of an XML file, or of `data` that was read from it.

    Raises Absent for a missing file, UserError for one that cannot be read.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root: Element = fromstring(path.read_bytes() if data is None else data)
    except FileNotFoundError:
        raise Absent(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise UserError(f"{path}: not an XML file that can be read: {error}") from None
    return root


def text_of(node: Element | None) -> str:
    """An element's text with its white space made single; empty for none."""
    return " ".join((node.text or "").split()) if node is not None else ""
