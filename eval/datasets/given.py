"""Questions with the answers that people judged: MEDIQA task 3's files and the LiveQA-Med judgements over MedQuAD.

No command of its own; `eval/retrieval/` reads its questions here and scores their answers.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from configs.errors import UserError
from eval.datasets import judged
from eval.datasets.judged import Judged, LiveQuestion

_TITLE = re.compile(r"(.{1,150}?)\s?:\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Given:
    """An answer to be ranked; `rank` is the place that another system gave it, 0 where none did."""

    id: str
    title: str
    body: str
    grade: int
    rank: int = 0

    @property
    def text(self) -> str:
        """Title and body as one text."""
        return f"{self.title}: {self.body}" if self.title else self.body


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the answers that were judged for it."""

    id: str
    text: str
    answers: tuple[Given, ...]


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
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    try:
        items = list(parse(path).getroot().iter("Question"))
    except OSError as error:
        kind = judged.Absent if isinstance(error, FileNotFoundError) else UserError
        raise kind(f"{path}: cannot be read ({error.strerror})") from None
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise UserError(f"{path}: not an XML file that can be read: {error}") from None
    found: list[Question] = []
    for item in items:
        text = " ".join((item.findtext("QuestionText") or "").split())
        answers = []
        for one in item.iter("Answer"):
            try:
                grade, rank = int(one.attrib["ReferenceScore"]), int(one.attrib["SystemRank"])
                name = one.attrib["AID"]
            except (KeyError, ValueError) as error:
                where = one.get("AID") or f"an answer of question {item.get('QID')}"
                raise UserError(
                    f"{path}: {where}: {error} is missing or no number; a judged file has AID, SystemRank "
                    "and ReferenceScore"
                ) from None
            if not 1 <= grade <= 4:
                raise UserError(f"{path}: {name}: ReferenceScore {grade} is not a grade from 1 to 4")
            title, body = titled(" ".join((one.findtext("AnswerText") or "").split()))
            answers.append(Given(name, title, body, grade, rank))
        if answers:
            found.append(Question(item.get("QID", str(len(found) + 1)), text, tuple(answers)))
    if not found:
        raise UserError(f"{path}: no question with answers in it; it should be a file of MEDIQA-2019 task 3")
    return found


def judged_answers(medquad: Path) -> dict[str, tuple[str, str]]:
    """(question, answer) by answer id, withdrawn ones too: to score a ranking, not to serve.

    The judgements write other names behind the question, which are left out: `What is (are) Gout ? (Also called: ...)`.
    """
    csv.field_size_limit(sys.maxsize)
    reader = csv.DictReader(io.StringIO(judged._inner(medquad, ".csv").decode("utf-8", "replace"), newline=""))
    found = {}
    for row in reader:
        head, _, answer = row["Answer"].partition("Answer: ")
        question = head.partition("URL:")[0].replace("Question:", "", 1).partition("(Also called:")[0]
        found[row["AnswerID"]] = (" ".join(question.split()), answer.strip())
    return found


def judged_questions(
    judgements: Iterable[Judged],
    asked: Mapping[int, LiveQuestion],
    texts: Mapping[str, tuple[str, str]],
    typed: bool,
    at: int,
) -> list[Question]:
    """Questions of the judgements with their answers in the order of their ids, so that ties follow no grade.

    `typed`: the whole message, else its summary. `at`: 0 for the higher of two grades, 1 for the lower.
    """
    found: list[Question] = []
    for one in judgements:
        if one.question not in asked:
            raise UserError(f"question {one.question} of the judgements is not among the LiveQA-Med questions")
        message = asked[one.question]
        answers = []
        for name, grades in sorted(one.grades.items()):
            if name not in texts:
                raise UserError(f"{name} is judged, but its text is not among the judgements")
            title, body = texts[name]
            answers.append(Given(name, title, body, grades[at]))
        found.append(Question(str(one.question), message.original if typed else message.summary, tuple(answers)))
    if not found:
        raise UserError("no judgements over MedQuAD; they come with its whole archive")
    return found
