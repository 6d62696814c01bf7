"""Numbers that refer to something are no evidence for a quantity, and no passage's number looks like a citation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import render
from app.history import Turn
from configs import load
from configs.schema import Answering, IndexSettings, Passages
from index.build import build
from index.corpus import QAPair
from index.words import STOP, tokens
from rag.answer import Answer, Sentence, Source
from rag.attribution.attribute import attribute
from rag.attribution.doses import unsourced_doses
from rag.attribution.quantities import holds, quantities
from rag.attribution.references import references, without_marks
from rag.attribution.units import SMALL, UNITS
from rag.pipeline import Pipeline
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes
from tests.rag.test_pipeline import Scripted

BRACKETED = re.compile(r"[\[【［]\s*\d+(?:\s*[,;–-]\s*\d+)*\s*[\]】］]")
CROUP = (
    "Croup is a swelling around the voice box in young children [5]. A barking cough is typical of it [12,13]. "
    "A single dose of dexamethasone 0.6 mg/kg is given for croup [3]. Cool moist air is harmless [9]. "
    "Most children are well again soon, as Figure 4 shows (Moss et al., 2009)."
)
MUMPS = "Mumps is a swelling of the glands in front of the ears [1]. It passes in ten days [2]."


def source(n: int, text: str, title: str = "Croup") -> Source:
    return Source(n=n, passage_id=f"p{n}", pair_id=f"q{n}", title=title, question=f"What is {title}?", text=text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is mild [5].", ["[5]"]),
        ("It is mild [12,13] or [3-5].", ["[12,13]", "[3-5]"]),
        ("It is mild (ref. 4) or (refs 3-5).", ["ref. 4", "refs 3-5"]),
        ("In children (2), and adults (2,3).", ["(2)", "(2,3)"]),
        ("(1) wash hands (2) dry them", ["(1)", "(2)"]),
        ("As found (Smith et al., 2009; Lee 2010a).", ["(Smith et al., 2009; Lee 2010a)"]),
        ("Moss et al. (1998) found it.", ["et al. (1998)"]),
        ("See Figure 3, Fig. 1, Tables 2 and 4.", ["Figure 3", "Fig. 1", "Tables 2 and 4"]),
        ("See Section 4, Chapter 2, Volume 7, page 12, pp. 3-5.",
         ["Section 4", "Chapter 2", "Volume 7", "page 12", "pp. 3-5"]),
        ("N Engl J Med 2007 Jun 28;356(26):2700-3.", ["2007 Jun 28;356(26):2700-3"]),
        ("It passes in a day.4 It is mild.", ["4"]),
        ("It passes in a day.<sup>4</sup>", ["<sup>4</sup>"]),
    ],
)  # fmt: skip
def test_references_are_found(text: str, said: list[str]) -> None:
    assert [text[item.start : item.end] for item in references(text)] == said


@pytest.mark.parametrize(
    "text",
    ["[13C]urea and [18F]FDG", "chromosome 7q11.23", "vitamin B12 and CD4", "[1 in 5 people]", "grade 3 (of 4)",
     "[10-20 mg] or [5] mg", "two (2) tablets", "two [2] tablets a day", "five (5) children",
     "in 0.2 million (200,000)",
     "aged (40-60)", "written as t(15;17)", "call (888) 998-6325", "cesarean section 3 times", "since March (May 2009)",
     "10^9 cells", "a section 2 weeks ago", "a tidal volume 500 ml", "FIG4 and p 0.05", "2.5 mg.\n3 days"],
)  # fmt: skip
def test_amounts_and_names_are_no_references(text: str) -> None:
    assert references(text) == ()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Croup [3]. Air [9].", "Croup. Air."),
        ("Croup [5], [6]; air [ref 7].", "Croup; air."),
        ("manner.[1][2] People", "manner. People"),
        ("pattern.[1]The", "pattern. The"),
        ("recommended:[1823] Imaging", "recommended: Imaging"),
        ("[1] Wash. Do: [2] dry", "(1) Wash. Do: (2) dry"),
        ("of [5] people, give [5] mg, two [2] tablets", "of (5) people, give (5) mg, two (2) tablets"),
        ("aspirin [2] tablets; a median of 3 [2-4]", "aspirin (2) tablets; a median of 3 (2-4)"),
        ("[18]F-FDG, [13C]urea, in [1985]", "(18)F-FDG, [13C]urea, in (1985)"),
        ("10[3]5 【4】", "10 5"),
    ],
)
def test_marks_are_taken_out_and_amounts_stay(text: str, left: str) -> None:
    assert without_marks(text) == left
    assert without_marks(left) == left


NUMBERS = st.integers(1, 40)
MARKS = st.one_of(
    NUMBERS.map("[{}]".format), st.tuples(NUMBERS, NUMBERS).map(lambda two: f"[{two[0]},{two[1]}]"),
    NUMBERS.map("(ref. {})".format), NUMBERS.map("(see Figure {})".format), NUMBERS.map("(Table {})".format),
    NUMBERS.map("(page {})".format), st.tuples(NUMBERS, NUMBERS).map(lambda two: f"({two[0]}, {two[1]})"),
    NUMBERS.map("({})".format), st.integers(1900, 2029).map("(Smith et al., {})".format),
)  # fmt: skip
DOSES = st.tuples(NUMBERS, st.sampled_from(sorted(UNITS))).map(lambda two: f"{two[0]} {two[1]}")
PLAIN = st.sampled_from(["given", "for croup", "croup.", "take", "and", "It", "of", ",", ":", "five", "\n", "- a"])


@given(MARKS)
def test_a_marked_number_is_evidence_for_nothing_but_itself(mark: str) -> None:
    text = f"Croup is mild in young children {mark}."
    held = quantities(text)
    for number in re.findall(r"\d+", mark):
        for claim in (f"until the age of {number} years", f"{number} tablets", f"{number} mg", f"in {number}"):
            assert not any(holds(wanted, held) for wanted in quantities(claim)), claim
    dose = f"Take {re.findall('[0-9]+', mark)[0]} tablets."
    assert unsourced_doses(dose, [text]) == [dose[5:-1]]
    assert all(holds(wanted, held) for wanted in held), "a reference is held by its like"


@given(st.lists(st.one_of(MARKS, DOSES, PLAIN, st.text(alphabet="[]()1239 a.", max_size=8)), max_size=12).map(" ".join))
@settings(max_examples=400, deadline=None)
def test_taking_marks_out_keeps_every_dose_and_is_done_once(text: str) -> None:
    left = without_marks(text)
    assert without_marks(left) == left
    assert not BRACKETED.search(left)
    doses = [(q.value, q.unit, q.per) for q in quantities(text) if q.dose]
    assert [(q.value, q.unit, q.per) for q in quantities(left) if q.dose] == doses


@given(st.text(max_size=60), st.text(alphabet="[]【】［］0123456789,- a", max_size=80))
@settings(max_examples=300, deadline=None)
def test_no_text_keeps_a_bracketed_number(text: str, brackets: str) -> None:
    for said in (text, brackets, text + brackets):
        left = without_marks(said)
        assert without_marks(left) == left
        assert not BRACKETED.search(left)


EMPTY_WORDS = st.lists(st.one_of(st.sampled_from(sorted(STOP)), st.sampled_from(sorted(SMALL)), NUMBERS.map(str)))


@given(EMPTY_WORDS.map(" ".join), st.sampled_from([".", "!", "", ":"]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_sentence_without_a_content_word_is_never_supported(words: str, end: str, held: bool) -> None:
    said = words[:1].upper() + words[1:] + end
    sources = (source(1, f"{CROUP} {said if held else ''}"), source(2, MUMPS, "Mumps"))
    assert not any(sentence.supported for sentence in attribute(said, sources, Answering()))


@pytest.mark.parametrize("draft", ["[2.", "There", "of 5", "They include:", "5."])
def test_a_fragment_without_a_content_word_is_dropped(draft: str) -> None:
    assert attribute(draft, (source(1, f"{CROUP} Ages 2 and 5."),), Answering()) == []


@pytest.mark.parametrize(
    "draft",
    [
        "Up to the age of 5, in young children, croup is a swelling around the voice box.",
        "In young children of 5 years, croup is a swelling around the voice box.",
        "Typical, for 12 to 13 of them, is a barking cough.",
        "After 4 most children are well again soon.",
        "In 2009 most children were well again soon.",
        "There are 5.",
    ],
)
@pytest.mark.parametrize("plain", [True, False])
def test_a_reference_number_supports_no_sentence(draft: str, plain: bool) -> None:
    held = source(1, CROUP)
    # A text that came past the model of `Source`, with its marks still in it.
    raw = held if plain else held.model_copy(update={"text": CROUP})
    found = attribute(draft, (raw,), Answering())
    assert found
    assert not any(sentence.supported for sentence in found)


def test_a_mark_copied_from_the_prompt_is_noise() -> None:
    draft = "In young children (5), croup is a swelling around the voice box (3)."
    (sentence,) = attribute(draft, (source(1, CROUP),), Answering())
    assert sentence.supported
    assert "5" not in sentence.text
    listed = (source(1, "For mumps (1) drink water and (2) rest in bed."),)
    kept = attribute("Mumps: (1) rest in bed, (2) drink water.", listed, Answering())
    assert "(2)" in kept[0].text


def test_a_mark_of_many_digits_in_a_draft_is_no_number_of_it() -> None:
    (sentence,) = attribute("Often mild.[2483] Croup is a swelling in children.", (source(1, CROUP),), Answering())[-1:]
    assert "2483" not in sentence.text + sentence.note


def pipeline(folder: Path, says: str) -> Pipeline:
    pairs = [
        QAPair(id="croup", question="How is croup treated [8]?", answer=CROUP, focus="Croup", url="https://example.org/c"),
        *(fakes.pair(row) for row in range(8)),
    ]  # fmt: skip
    profile, _ = load("embedded", ["retriever.abstain_below=0.2"])
    embedder = fakes.FakeEmbedder(dimensions=256, max_tokens=128)
    index = build(fakes.corpus(pairs), folder, Passages(max_tokens=128), embedder, IndexSettings())
    made = Pipeline(profile, index, HybridRetriever.create(index, embedder, profile.retriever), folder)
    made.use(Scripted(says))
    return made


def marks_of(answer: Answer) -> list[str]:
    return [f"[{n}]" for sentence in answer.sentences for n in sentence.citations]


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("extractive", ""),
        ("base+rag", "A single dose of dexamethasone 0.6 mg/kg is given for croup (3). Cool air [9] is harmless [7"),
        ("base+rag", "Bananas cure croup [1, 2, and 3] or [12. And they are [4;5] yellow. Mumps is a swelling [5"),
        ("base", "A dose of it is given for croup [3]. Air is harmless [9, 10, and 11] to all."),
    ],
)  # fmt: skip
def test_every_bracketed_number_of_an_answer_is_a_citation_of_its_sources(tmp_path: Path, mode: str, says: str) -> None:
    made = pipeline(tmp_path, says)
    for answer in made.stream("How is croup treated?", mode=mode):
        numbers = {item.n for item in answer.sources}
        assert BRACKETED.findall(answer.text) == marks_of(answer)
        assert all(n in numbers for sentence in answer.sentences for n in sentence.citations)
        assert not BRACKETED.search(answer.draft)
        again = Answer.model_validate_json(answer.model_dump_json())
        assert again == answer
        for item in again.sources:
            assert not BRACKETED.search(item.text + item.title + item.question)
            spans = [item.text[span.start : span.end] for span in item.highlights]
            quoted = [s.text for s in again.sentences if s.quoted and s.citations == (item.n,)]
            assert answer.fallback or all(any(text in span for span in spans) for text in quoted if answer.complete)
        page = render.turn(Turn("k1", answer.question, answer), live=not answer.complete)
        shown = re.sub(r'<a class="mc-cite".*?</a>|<span class="mc-n">.*?</span>', "", page)
        assert not BRACKETED.search(shown)


def test_the_prompt_shows_what_the_reader_sees(tmp_path: Path) -> None:
    made = pipeline(tmp_path, "Croup is mild.")
    answer = made.invoke("How is croup treated?", mode="base+rag")
    asked = made.generator.prompts[0][-1].text  # type: ignore[attr-defined]
    shown = asked.split("\n", 1)[1].split("\n\n[2]")[0]
    assert "is given for croup. Cool moist air is harmless." in shown
    assert shown in answer.sources[0].text


def test_a_footnote_is_no_part_of_its_word() -> None:
    assert [word.text for word in tokens("children² of 5 m² ²")] == ["children", "of", "5", "m²"]


def test_no_sentence_and_no_source_holds_a_bracketed_number() -> None:
    assert Sentence(text="It is mild [5].").text == "It is mild."
    assert source(1, "It is mild [5].", "Croup [2]").title == "Croup"
