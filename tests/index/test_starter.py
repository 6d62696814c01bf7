"""The starter corpus: MedQuAD's form, marked as the project's own text, no doses, nothing taken from MedQuAD."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

FOLDER = Path(__file__).parents[2] / "index" / "starter"
FILES = sorted(FOLDER.glob("*.xml"))
WORDINGS = {
    "information": "What is (are) {} ?",
    "symptoms": "What are the symptoms of {} ?",
    "causes": "What causes {} ?",
    "exams and tests": "How to diagnose {} ?",
    "treatment": "What are the treatments for {} ?",
    "prevention": "How to prevent {} ?",
    "complications": "What are the complications of {} ?",
    "outlook": "What is the outlook for {} ?",
    "susceptibility": "Who is at risk for {}? ?",
    "considerations": "What to do for {} ?",
}
"""MedQuAD's wording for each of its question types that the starter corpus uses."""
DOSE = re.compile(
    r"\d[\d.,]*[ -]?(mg|mcg|µg|g|ml|iu|units?|milligrams?|micrograms?|grams?|millilit(?:er|re)s?|"
    r"tablets?|pills?|capsules?|drops?|puffs?|teaspoons?|tablespoons?)\b",
    re.IGNORECASE,
)
RUN = 8
"""Words in a row that two independent writers hardly share by chance."""


@dataclass(frozen=True)
class Entry:
    """One question element of a starter file."""

    file: str
    focus: str
    kind: str
    question: str
    answer: str


def _entries() -> list[Entry]:
    found = []
    for path in FILES:
        root = fromstring(path.read_bytes())
        for pair in root.iter("QAPair"):
            question = pair.find("Question")
            assert question is not None
            found.append(
                Entry(
                    path.name,
                    root.findtext("Focus") or "",
                    question.get("qtype") or "",
                    question.text or "",
                    pair.findtext("Answer") or "",
                )
            )
    return found


ENTRIES = _entries()


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:['’][a-z]+)?", text.lower())


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = _words(text)
    return (tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1))


def _answers(root: Element) -> Iterator[str]:
    return (answer.text for answer in root.iter("Answer") if answer.text and answer.text.strip())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_is_marked_and_numbered(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "<!-- Demonstration text written for medcite, not from NIH. -->" in text
    root = fromstring(text.encode())
    assert (root.tag, root.get("id"), root.get("source"), root.get("url")) == (
        "Document",
        path.stem,
        "medcite starter",
        "",
    )
    assert all((synonym.text or "").strip() for synonym in root.iter("Synonym"))
    assert all(re.fullmatch(r"C\d{7}", cui.text or "") for cui in root.iter("CUI"))
    assert all(re.fullmatch(r"T\d{3}", kind.text or "") for kind in root.iter("SemanticType"))
    pairs = list(root.iter("QAPair"))
    assert len(pairs) >= 4
    for number, pair in enumerate(pairs, 1):
        question = pair.find("Question")
        assert question is not None
        assert (pair.get("pid"), question.get("qid")) == (str(number), f"{path.stem}-{number}")


def test_at_least_forty_topics_each_once() -> None:
    foci = Counter(fromstring(path.read_bytes()).findtext("Focus") for path in FILES)
    assert len(foci) >= 40
    assert set(foci.values()) == {1}


def test_questions_have_medquads_types_and_wording() -> None:
    foci = {entry.focus for entry in ENTRIES}
    for entry in ENTRIES:
        assert entry.kind in WORDINGS, entry
        asked = {WORDINGS[entry.kind].format(focus) for focus in foci}
        assert entry.question in asked, entry


def test_answers_are_neither_empty_nor_out_of_proportion() -> None:
    lengths = {(entry.file, entry.kind): len(entry.answer.split()) for entry in ENTRIES}
    wrong = {key: length for key, length in lengths.items() if not 45 <= length <= 170}
    assert list(wrong) == [("0000027.xml", "treatment")], "only the long answer for the passage tests may differ"
    assert 420 <= wrong["0000027.xml", "treatment"] <= 520


def test_no_answer_names_a_dose() -> None:
    assert DOSE.search("take 500 mg twice")
    assert [(entry.file, found[0]) for entry in ENTRIES if (found := DOSE.search(entry.answer))] == []


def test_the_cases_that_other_tests_rely_on_are_there() -> None:
    repeated = [
        pair for pair, count in Counter((entry.question, entry.answer) for entry in ENTRIES).items() if count > 1
    ]
    assert [question for question, _ in repeated] == ["What are the symptoms of Angina ?"]
    shared: dict[str, set[str]] = {}
    for entry in ENTRIES:
        shared.setdefault(entry.answer, set()).add(entry.question)
    assert [asked for asked in shared.values() if len(asked) > 1] == [
        {"What to do for Flu ?", "What to do for Common Cold ?"}
    ]
    answers = "\n".join(entry.answer for entry in ENTRIES)
    for text in ("e.g.", "i.e.", "Dr. Lee", "A1C of 6.5 percent", "-2.5", "(pica)", "   - "):
        assert text in answers, text
    assert re.search(r"\n\s+- stimulants.*\n\s+  - senna", answers), "a list within a list"


@pytest.mark.medquad
def test_no_run_of_words_is_shared_with_medquad(medquad: Path) -> None:
    own = {run: entry.file for entry in ENTRIES for run in _runs(entry.answer)}
    if medquad.is_dir():
        files: Iterator[bytes] = (path.read_bytes() for path in sorted(medquad.rglob("*.xml")))
        shared = _shared(own, files)
    else:
        with zipfile.ZipFile(medquad) as archive:
            names = [name for name in archive.namelist() if name.endswith(".xml")]
            shared = _shared(own, (archive.read(name) for name in names))
    assert shared == {}


def _shared(own: dict[tuple[str, ...], str], files: Iterator[bytes]) -> dict[str, str]:
    answers = 0
    shared: dict[str, str] = {}
    for content in files:
        for answer in _answers(fromstring(content)):
            answers += 1
            shared |= {" ".join(run): own[run] for run in _runs(answer) if run in own}
    assert answers > 1000, "too few answers to be MedQuAD"
    return shared
