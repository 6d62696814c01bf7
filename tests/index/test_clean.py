"""Cleaning: layout white space to paragraphs and lists, words kept; de-identification; duplicates."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from configs.schema import Cleaning
from index import clean
from index.corpus import QAPair
from index.readers import ReadReport

LAYOUTS = {
    "inline list under its lead-in": (
        "Symptoms may include       - Fever    - Sore throat - or worse       Rest helps.    Drink water.",
        "Symptoms may include\n- Fever\n- Sore throat - or worse\n\nRest helps.\n\nDrink water.",
    ),
    "a heading line, a list at the start of a line": (
        "Key Points\n                    - It is common.    - It is mild.\n                \n                \n"
        "                    It is common.\n                    It (also called X) is seen often.",
        "Key Points\n- It is common.\n- It is mild.\n\nIt is common.\n\nIt (also called X) is seen often.",
    ),
    "nested lists keep their order": (
        "Three types:         -  Red cells:      -  carry oxygen.    -  live long.        -  White cells.     A cell",
        "Three types:\n- Red cells:\n- carry oxygen.\n- live long.\n- White cells.\n\nA cell",
    ),
    "two spaces between paragraphs": (
        "It is rare. It is mild.  The signs appear early. They go.",
        "It is rare. It is mild.\n\nThe signs appear early. They go.",
    ),
    "two spaces after every sentence are no paragraphs": (
        "It is rare.  It is mild.  It goes.  Rest.",
        "It is rare. It is mild. It goes. Rest.",
    ),
    "first item after a single space": (
        "It can happen because of - infections   - constipation   - some medicines.  infections constipation",
        "It can happen because of\n- infections\n- constipation\n- some medicines.\n\ninfections constipation",
    ),
    "gene names between double spaces": (
        "Mutations of the  BRAF  gene and  BRCA1  matter.",
        "Mutations of the BRAF gene and BRCA1 matter.",
    ),
    "blank lines of white space": ("One.\n                \nTwo.\n \n \nThree.", "One.\n\nTwo.\n\nThree."),
    "a list after a blank line": (
        "Signs include\n                \n- fatigue  - weak muscles\n                \nSee a doctor.",
        "Signs include\n- fatigue\n- weak muscles\n\nSee a doctor.",
    ),
    "a bullet alone on its line": ("-\nPyrethrins;\n-  \nMalathion.", "- Pyrethrins;\n- Malathion."),
    "text wrapped by hand": (
        "Asthma is a long-term disease of the airways. It makes\nthem narrow. People with it wheeze and cough. The\n"
        "Institute says so.",
        "Asthma is a long-term disease of the airways. It makes them narrow. People with it wheeze and cough. The "
        "Institute says so.",
    ),
    "numbered lines": ("Do this:\n1. Stop.\n2) Sit down.", "Do this:\n1. Stop.\n2) Sit down."),
    "the Spanish link": ("Espaol\n                \nAnemia is a condition.", "Anemia is a condition."),
    "lost apostrophes and dashes stay lost": ("a womans heart isnt activesuch", "a womans heart isnt activesuch"),
    "ranges and negative numbers are no lists": (
        "From 3 - 5 days, at -20 C  -5 C.",
        "From 3 - 5 days, at -20 C -5 C.",
    ),
}


@pytest.mark.parametrize(("raw", "expected"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_layout(raw: str, expected: str) -> None:
    assert clean.clean_answer(raw) == expected


def test_control_characters_go_and_text_is_nfc() -> None:
    assert clean.clean_answer("Cafe\u0301\x00 \u202eabc\u200b\ufeff\u00a0x\ud800") == "Café abc x"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("What is (are)  Asthma ?", "What is (are) Asthma?"),
        ("Who is at risk for X? ?", "Who is at risk for X?"),
        ("What\n is\tthis??", "What is this??"),
    ],
)
def test_questions(raw: str, expected: str) -> None:
    assert clean.clean_question(raw) == expected


TEXT = st.text(st.sampled_from("abcAB.:?!,()-•*1 9\n\n   \t\u00a0\u2028") | st.characters(), max_size=120)


@given(TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean.clean_answer(text)
    assert clean.clean_answer(once) == once
    assert clean.clean_question(clean.clean_question(text)) == clean.clean_question(text)


@given(TEXT)
def test_cleaning_keeps_every_letter_and_digit_in_order(text: str) -> None:
    assume("Espa" not in text)

    def kept(value: str) -> str:
        return "".join(character for character in value if character.isalnum())

    assert kept(clean.clean_answer(text)) == kept(unicodedata.normalize("NFC", clean.plain(text)))


@given(TEXT)
def test_cleaned_answers_have_only_the_stated_layout(text: str) -> None:
    out = clean.clean_answer(text)
    assert out == out.strip()
    assert "  " not in out
    assert "\n\n\n" not in out
    assert all(unicodedata.category(character) != "Cc" or character == "\n" for character in out)


@pytest.mark.parametrize("part", ["a  ", "A.   ", "x - y  - z  ", "-  ", "\n\n ", "\n ", " ", "? ", "a@", "1 "])
def test_long_text_takes_time_in_proportion_to_its_length(part: str) -> None:
    """100 kB of anything in under 5 s; in quadratic time it would be much more."""
    text = part * (100_000 // len(part))
    start = time.perf_counter()
    clean.clean_answer(text)
    clean.clean_question(text)
    clean.deidentify(text)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mail dr.who+x@mail.example.co.uk now", "Mail [email] now"),
        ("call 415-555-2671.", "call [phone]."),
        ("call (415) 555-2671 or +91 98765 43210", "call [phone] or [phone]"),
        ("1-800-273-8255 toll free", "[phone] toll free"),
        ("the line (1-800-273-8255)", "the line ([phone])"),
        ("+44 20 7946 0958", "[phone]"),
    ],
)
def test_addresses_and_numbers_of_people_go(text: str, expected: str) -> None:
    assert clean.deidentify(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "500 mg 3 times a day for 7-10 days",
        "blood pressure 120/80, then 140/90 mmHg",
        "born 12/04/1985, seen 2013-06-15 10:30",
        "platelets 150,000-450,000 and WBC 4500-11000",
        "5000 10000 15000 IU, 1000000 units",
        "from 1998-2003 and 2004-2010",
        "TSH 3.456, T4 12.345 6.789, HbA1c 6.5%",
        "LH 4.5, FSH 6.7 ratio 1:2:3:4:5:6:7",
        "chromosome 7q11.23 region 72700000-74200000",
        "ages 20 30 40 50 60 70 80",
        "rs7903146 at CYP2C19*17, ICD 250.00 401.9",
        "dose 0.25-0.5 mg/kg @ 8 h",
    ],
)
def test_medical_numbers_stay(text: str) -> None:
    assert clean.deidentify(text) == (text, 0, 0)


def pair(number: int, question: str = "Why ?", answer: str = "So it is.", **more: object) -> QAPair:
    return QAPair(id=f"x/{number}", question=question, answer=answer, **more)  # type: ignore[arg-type]


def test_exact_duplicates_merge_and_keep_every_url() -> None:
    report = ReadReport()
    pairs = [
        pair(1, url="https://a.example", urls=("https://a.example",)),
        pair(2, question="Why?", answer="So  it is.", url="https://b.example"),
        pair(3, answer="Not so."),
        pair(4, url="https://a.example"),
    ]
    kept = clean.clean_pairs(pairs, Cleaning(), report)
    assert [(one.id, one.url, one.urls) for one in kept] == [
        ("x/1", "https://a.example", ("https://a.example", "https://b.example")),
        ("x/3", "", ()),
    ]
    assert (report.duplicates, report.kept) == (2, 2)


def test_empty_short_and_long_pairs_are_dropped_and_counted() -> None:
    report = ReadReport()
    pairs = [pair(1, answer=" - "), pair(2, question=" ? "), pair(3, answer="one"), pair(4), pair(5, answer="x " * 9)]
    kept = clean.clean_pairs(pairs, Cleaning(min_answer_words=2, max_answer_words=8), report)
    assert [one.id for one in kept] == ["x/4"]
    assert (report.empty, report.too_short, report.too_long) == (2, 1, 1)


def test_ids_become_unique_and_stay_stable() -> None:
    pairs = [pair(1, answer="a"), pair(1, answer="b"), pair(1, answer="c")]
    pairs.insert(0, QAPair(id="x/1~2", question="q", answer="d"))
    ids = [one.id for one in clean.clean_pairs(pairs, Cleaning(), ReadReport())]
    assert ids == ["x/1~2", "x/1", "x/1~3", "x/1~4"]
    assert ids == [one.id for one in clean.clean_pairs(pairs, Cleaning(), ReadReport())]


def test_only_web_links_are_kept() -> None:
    kept = clean.clean_pairs([pair(1, url="javascript:alert(1)")], Cleaning(), ReadReport())
    assert (kept[0].url, kept[0].urls) == ("", ())


@pytest.mark.parametrize(
    ("one", "other"),
    [("Cushing's Syndrome", "cushing's  syndrome"), ("Asthma (childhood)", "asthma childhood"), ("A.D.", "a d")],
)
def test_names_compare_without_case_and_punctuation(one: str, other: str) -> None:
    assert clean.normalize(one) == clean.normalize(other)
