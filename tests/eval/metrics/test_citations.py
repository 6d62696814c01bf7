"""Citation recall and precision by hand-worked cases, and numbers that no cited source holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from eval.checker.numbers import Number, invented, numbers, source_text
from eval.metrics.citations import Cited, Claim, Judgement, judge


class Words:
    """Supports a claim whose every word the premise holds; counts the batches."""

    name = "words"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def supports(self, premise: str, claim: str) -> bool:
        return set(re.findall(r"\w+", claim.lower())) <= set(re.findall(r"\w+", premise.lower()))

    def supports_all(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        self.batches.append(len(pairs))
        return [self.supports(*pair) for pair in pairs]


SOURCES = {1: "Gout causes pain and swelling.", 2: "Gout is treated with rest.", 3: "Gout causes pain."}


def one(text: str, *citations: int) -> Judgement:
    return judge([Cited((Claim(text, citations),), SOURCES)], Words())[0][0]


@pytest.mark.parametrize(
    ("text", "citations", "supported", "good"),
    [
        ("Gout causes pain.", (1,), True, (True,)),
        ("Gout causes pain.", (2,), False, (False,)),
        # 2 holds nothing of it, and 1 is enough without it.
        ("Gout causes swelling.", (1, 2), True, (True, False)),
        # Neither is enough alone; without either it falls.
        ("Swelling is treated with rest.", (1, 2), True, (True, True)),
        # Each is enough alone: needless, but right.
        ("Gout causes pain.", (1, 3), True, (True, True)),
        # 3 adds nothing to what 1 and 2 hold together.
        ("Swelling is treated with rest.", (1, 2, 3), True, (True, True, False)),
        ("Gout causes fever.", (1, 2), False, (False, False)),
        ("Gout causes pain.", (), False, ()),
        # A number that no source has spoils the sentence, and the citation beside it.
        ("Gout causes pain.", (1, 9), False, (False, False)),
        ("Gout causes pain.", (1, 1), True, (True,)),
    ],
)
def test_a_sentence_as_alce_judges_it(
    text: str, citations: tuple[int, ...], supported: bool, good: tuple[bool, ...]
) -> None:
    judged = one(text, *citations)
    assert (judged.supported, judged.good) == (supported, good)


def test_answers_are_judged_in_one_batch() -> None:
    checker = Words()
    answers = [
        Cited(
            (Claim("Gout causes pain.", (1,)), Claim("Gout causes swelling.", (1, 2)), Claim("Gout is bad.")), SOURCES
        ),
        Cited((), SOURCES),
        Cited((Claim("Gout causes pain.", (1,)), Claim("***", (1,))), SOURCES),
    ]
    first, empty, last = judge(answers, checker)
    assert [(judged.supported, judged.good) for judged in first] == [
        (True, (True,)),
        (True, (True, False)),
        (False, ()),
    ]
    assert empty == []
    assert len(last) == 1
    # pain|1; swelling|1,2; swelling|1; swelling|2: a pair that occurs twice is asked once.
    assert checker.batches == [4]


def test_sources_are_read_with_their_title() -> None:
    assert source_text("Gout", "What is gout?", "It hurts.") == "Gout\nWhat is gout?\nIt hurts."
    assert source_text("What is gout?", "What is gout?", "It hurts.") == "What is gout?\nIt hurts."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Take 5 to 10 mg of it", [(5, "mg"), (10, "mg")]),
        ("0.5 g or 500mg", [(500, "mg"), (500, "mg")]),
        ("about 1 in 100,000 people", [(1, ""), (100000, "")]),
        ("3 million people, twenty percent of them", [(3e6, ""), (20, "%")]),
        ("5 mg/kg per day, 40% of 38.5 degrees", [(5, "mg/kg"), (40, "%"), (38.5, "degree")]),
        ("a 12-year-old, in the 1980s, for 2–3 weeks", [(12, "year"), (1980, ""), (2, "week"), (3, "week")]),
        ("GLB1 and T4, one of them", []),
        ("below 120 mm Hg", [(120, "mmhg")]),
        ("It ended in 2010. The next", [(2010, "")]),
        ("mild [4,5] (2) (ref. 6) until 5 years", [*((n, "reference") for n in (4, 5, 2, 6)), (5, "year")]),
        ("Table 2, pages 3-4 (Moss et al., 2009)", [(n, "reference") for n in (2, 3, 4, 2009)]),
        ("It ended in a day.4 It is mild", [(4, "reference")]),
        ("two (2) tablets, [5] mg (May 2009)", [(2, ""), (2, ""), (5, ""), (2009, "")]),
    ],
)
def test_numbers_with_units(text: str, expected: list[tuple[float, str]]) -> None:
    assert [(number.value, number.unit) for number in numbers(text)] == [
        (pytest.approx(value), unit) for value, unit in expected
    ]


def test_a_number_remembers_how_it_was_written() -> None:
    assert numbers("Take 5 mg or two tablets") == (
        Number(5, "mg", "5 mg", True),
        Number(2, "tablet", "two tablets", False),
    )


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("Take 5 mg.", "Take 5 mg.", []),
        ("Take 5 mg.", "Take 5 g, 5 times.", ["5 mg"]),
        ("Take 1 g.", "Take 1000 mg.", []),
        ("Those aged 65 years", "Those aged 65", []),
        ("5 people", "5 years", []),
        ("3 children", "three children", []),
        ("three children", "two children", []),
        ("5 mg/kg", "5 mg", ["5 mg/kg"]),
        ("12 of 80", "80 of 1.2", ["12"]),
        ("until the age of 5 years", "in children [4,5]", ["5 years"]),
        ("after 3 to 4", "after some days (Figure 3, Table 4)", ["3", "4"]),
        ("as Figure 3 shows", "as Figure 3 shows", []),
    ],
)
def test_invented_numbers(claim: str, source: str, expected: list[str]) -> None:
    assert invented(claim, [source]) == expected


def test_a_number_must_stand_in_a_source_cited_for_it() -> None:
    sources = {1: "Gout affects 4 percent.", 2: "Take 10 mg."}
    claims = (Claim("Gout affects 4 percent.", (1,)), Claim("Take 10 mg.", (1,)), Claim("Take 20 mg."))
    (answer,) = judge([Cited(claims, sources)], Words())
    assert [judged.invented for judged in answer] == [(), ("10 mg",), ("20 mg",)]
    assert judge([Cited((Claim("Take 10 mg.", (1, 2)),), sources)], Words())[0][0].invented == ()
