"""Questions with human judgements: LiveQA-Med over MedQuAD (qrels) and MEDIQA-2019 tasks 2 and 3.

Grades are 1 incorrect, 2 related, 3 incomplete, 4 excellent; 3 and 4 count as correct. No command of its own:
`eval/bench/` and `eval/calibration/confidence.py` read their questions here.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from configs.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.corpus import QAPair

CORRECT = 3
LIVEQA = "TREC-2017-LiveQA-Medical-Test-Questions-w-summaries.xml"
QRELS_ZIP = "QA-TestSet-LiveQA-Med-Qrels-2479-Answers.zip"
MEDIQA = {
    "liveqa": "MEDIQA2019-Task3-QA-TrainingSet1-LiveQAMed.xml",
    "alexa": "MEDIQA2019-Task3-QA-TrainingSet2-Alexa.xml",
    "validation": "MEDIQA2019-Task3-QA-ValidationSet.xml",
}
RQE = {
    "train": "MEDIQA2019-Task2-RQE-TrainingSet-AMIA2016.xml",
    "validation": "MEDIQA2019-Task2-RQE-ValidationSet-AMIA2016.xml",
}
FOLDERS = {
    "ADAM": "10_MPlus_ADAM_QA", "MPlusDrugs": "11_MPlusDrugs_QA", "MPlusHerbsSuppls": "12_MPlusHerbsSupplements_QA",
    "CancerGov": "1_CancerGov_QA", "GARD": "2_GARD_QA", "GHR": "3_GHR_QA", "NIDDK": "5_NIDDK_QA",
    "MPlusHealthTopics": "4_MPlus_Health_Topics_QA", "NINDS": "6_NINDS_QA", "NIHSeniorHealth": "7_SeniorHealth_QA",
    "NHLBI": "8_NHLBI_QA_XML", "CDC": "9_CDC_QA",
}  # fmt: skip
"""Collection code in an answer id to MedQuAD's folder."""
WITHDRAWN = ("ADAM", "MPlusDrugs", "MPlusHerbsSuppls")
"""Collections whose texts MedQuAD no longer holds."""


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
        """Subject and message as one text, as they would be typed into one box."""
        subject = self.subject.strip(" .")
        return f"{subject}. {self.message}" if subject and not self.message.startswith(subject) else self.message


@dataclass(frozen=True, slots=True)
class Judged:
    """Judgements over one question: answer id to (highest, lowest) grade."""

    question: int
    grades: dict[str, tuple[int, int]]

    def open(self) -> dict[str, tuple[int, int]]:
        """The judgements whose answer's text MedQuAD still holds."""
        return {answer: grade for answer, grade in self.grades.items() if collection(answer) not in WITHDRAWN}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A given answer of MEDIQA task 3."""

    id: str
    text: str
    url: str
    system_rank: int
    grade: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A question of MEDIQA task 3 with its given answers."""

    id: str
    question: str
    answers: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Entailment:
    """A pair of MEDIQA task 2: a consumer's message and a shorter question that may be what it asks."""

    message: str
    question: str
    entailed: bool


def liveqa(path: Path) -> list[LiveQuestion]:
    """The LiveQA-Med test questions, from their XML file or the folder that holds it."""
    found = []
    for item in _parse(path / LIVEQA if path.is_dir() else path).iter("NLM-QUESTION"):
        found.append(
            LiveQuestion(
                int(item.attrib["qid"].removeprefix("TQ")),
                _text(item.find("Original-Question/SUBJECT")),
                _text(item.find("Original-Question/MESSAGE")),
                _text(item.find("NLM-Summary")),
            )
        )
    return found


def qrels(medquad: Path) -> dict[int, Judged]:
    """The judgements that MedQuAD ships, by question number; from its zip or its folder.

    168 (question, answer) pairs are judged twice with two different grades: both are kept, as
    (highest, lowest). The usual reading is the highest; report the lowest beside it.
    """
    grades: dict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
    for line in _inner(medquad, ".txt").decode("utf-8").splitlines():
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
    return {number: Judged(number, found) for number, found in sorted(grades.items())}


def judged_texts(medquad: Path) -> dict[str, str]:
    """The judged answers' texts by answer id, withdrawn ones too: for scoring a ranking, never for serving."""
    csv.field_size_limit(sys.maxsize)
    reader = csv.DictReader(io.StringIO(_inner(medquad, ".csv").decode("utf-8", "replace"), newline=""))
    return {row["AnswerID"]: row["Answer"].partition("Answer: ")[2].strip() for row in reader}


def answerable(judgements: dict[int, Judged], highest: bool = True) -> list[int]:
    """Numbers of the questions with a correct answer whose text MedQuAD still holds.

    `highest` takes the better of two different grades (39 questions), else the worse (34).
    """
    at = 0 if highest else 1
    return [n for n, item in judgements.items() if any(grade[at] >= CORRECT for grade in item.open().values())]


def collection(answer: str) -> str:
    """The collection code of a judged answer's id, as `GARD` of `GARD_0003219_Sec2.txt`."""
    return answer.split("_", 1)[0]


def pair_key(answer: str) -> tuple[str, str]:
    """(folder, question id) in MedQuAD of a judged answer: `GARD_0003219_Sec2.txt` is 0003219-2 of 2_GARD_QA."""
    match = re.fullmatch(r"(\w+?)_(\d+)_Sec(\d+)(?:\.txt)?", answer)
    if not match:
        raise UserError(f"{answer!r} is not an answer id of the judgements")
    code, document, section = match.groups()
    return FOLDERS.get(code, code), f"{document}-{section}"


def mediqa(folder: Path, part: str) -> list[Ranked]:
    """MEDIQA-2019 task 3: `part` is liveqa (the LiveQA-Med questions!), alexa or validation."""
    found = []
    for item in _parse(folder / MEDIQA[part]).iter("Question"):
        answers = tuple(
            Candidate(
                answer.attrib["AID"],
                _text(answer.find("AnswerText")),
                _text(answer.find("AnswerURL")),
                int(answer.attrib["SystemRank"]),
                int(answer.attrib["ReferenceScore"]),
            )
            for answer in item.iter("Answer")
        )
        found.append(Ranked(item.attrib["QID"], _text(item.find("QuestionText")), answers))
    return found


def rqe(folder: Path, part: str) -> list[Entailment]:
    """MEDIQA-2019 task 2: `part` is train (clinicians' questions) or validation (consumers' messages)."""
    return [
        Entailment(_text(item.find("chq")), _text(item.find("faq")), item.attrib["value"] == "true")
        for item in _parse(folder / RQE[part]).iter("pair")
    ]


def on_pages(question: Ranked, pairs: Sequence[QAPair]) -> list[int]:
    """Rows of the pairs on the pages of a question's correct answers; scheme, www and final slash aside."""
    wanted = {page_url(answer.url) for answer in question.answers if answer.grade >= CORRECT}
    return [row for row, pair in enumerate(pairs) if {page_url(url) for url in (pair.url, *pair.urls)} & wanted - {""}]


def page_url(url: str) -> str:
    """A URL without what does not tell pages apart."""
    return re.sub(r"^https?://(?:www\.)?", "", url.strip().lower()).rstrip("/")


def _inner(medquad: Path, suffix: str) -> bytes:
    if not medquad.exists():
        raise Absent(f"{medquad}: no such file")
    with _damage_said(medquad):
        for name, data in _judgement_zips(medquad):
            with zipfile.ZipFile(io.BytesIO(data)) as inner:
                for member in inner.namelist():
                    if member.endswith(suffix) and "__MACOSX" not in member:
                        return inner.read(member)
            raise UserError(f"{medquad}: {name} holds no {suffix} file")
    raise Absent(f"{medquad}: no {QRELS_ZIP} in it; the judgements come with MedQuAD's whole archive")


@contextmanager
def _damage_said(medquad: Path) -> Iterator[None]:
    """A context in which an archive that cannot be read is one line."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{medquad}: cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{medquad}: not a zip archive that can be read ({error}); fetch it again") from None


def _judgement_zips(medquad: Path) -> Iterator[tuple[str, bytes]]:
    if medquad.is_dir():
        for path in sorted(medquad.rglob(QRELS_ZIP)):
            yield path.name, path.read_bytes()
        return
    with zipfile.ZipFile(medquad) as outer:
        for name in outer.namelist():
            if name.endswith(QRELS_ZIP):
                yield name, outer.read(name)


def _parse(path: Path) -> Element:
    from defusedxml.ElementTree import ParseError, parse

    try:
        root: Element | None = parse(path).getroot()
    except FileNotFoundError:
        raise Absent(f"{path}: no such file") from None
    except ParseError as error:
        raise UserError(f"{path}: not valid XML: {error}") from None
    assert root is not None
    return root


def _text(node: Element | None) -> str:
    return " ".join((node.text or "").split()) if node is not None else ""


def withdrawn_questions(medquad: Path, code: str) -> list[str]:
    """The questions of a folder whose answers MedQuAD withdrew, as of `MPlusDrugs`; in file order."""
    from defusedxml.ElementTree import fromstring

    folder = FOLDERS[code]
    found: list[str] = []
    with _damage_said(medquad):
        for data in _xml_files(medquad, folder):
            found += [_text(item) for item in fromstring(data).iter("Question")]
    if not found:
        raise UserError(f"{medquad}: no questions in {folder}")
    return found


def _xml_files(medquad: Path, folder: str) -> Iterator[bytes]:
    if medquad.is_dir():
        for path in sorted(medquad.rglob(f"{folder}/*.xml")):
            yield path.read_bytes()
        return
    with zipfile.ZipFile(medquad) as outer:
        for name in sorted(outer.namelist()):
            if f"/{folder}/" in name and name.endswith(".xml"):
                yield outer.read(name)
