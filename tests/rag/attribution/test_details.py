"""Details stand beside an answer: of the same answer, after its first line, never in place of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.linear import Linear
from rag.attribution.details import FEWEST, NAMES, blocks, detailed, features, shipped, text_of
from rag.attribution.selection import answering, scored, size
from rag.retrieval.reading import Line, Piece
from tests.fakes import FakeEmbedder

encode = FakeEmbedder(dimensions=384).encode
ALWAYS = Linear(NAMES, (0.0,) * len(NAMES), 10.0)
"""An order by which everything is worth as much."""
NEVER = replace(ALWAYS, intercept=-10.0)
QUESTION = "how long does an attack of gout last"
FACTS = "\n".join(
    (
        "Gout is a painful form of arthritis that many people have.",
        "An attack of gout usually lasts 3 to 10 days.",
        "Genetics.",
        "Rest and cold packs ease the pain of the joint meanwhile.",
        "Doctors look for crystals in the fluid.",
        "Things that bring it on include:",
        "- Alcohol of any kind",
        "- Large meals with meat",
    )
)
OTHER = "Sleep in a dark and quiet room helps some people."


def read(*pieces: Piece) -> tuple[list[Line], list[Line]]:
    """All lines, and the best one alone as what answers."""
    lines = scored([QUESTION], pieces, encode)
    return lines, [max(lines, key=lambda line: line.value)]


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_more_of_the_same_answer_follows_the_sentence_that_answers() -> None:
    pieces = [Piece(FACTS, "information", True, names=frozenset({"gout"}))]
    lines, chosen = read(*pieces)
    assert texts(chosen) == ["An attack of gout usually lasts 3 to 10 days."]
    found = texts(detailed(lines, pieces, chosen, order=ALWAYS))
    assert found[0] == chosen[0].text  # what stands before it on the page would bury it
    assert "Rest and cold packs ease the pain of the joint meanwhile." in found
    assert "Genetics." not in found
    assert found[-3:] == ["Things that bring it on include:", "Alcohol of any kind", "Large meals with meat"]


def test_nothing_is_added_that_is_worth_too_little_or_for_which_there_is_no_room() -> None:
    pieces = [Piece(FACTS, "information", True, names=frozenset({"gout"}))]
    lines, chosen = read(*pieces)
    assert detailed(lines, pieces, chosen, order=NEVER) == chosen
    assert detailed(lines, pieces, chosen, max_words=size(chosen[0]) + FEWEST - 1, order=ALWAYS) == chosen
    assert detailed(lines, pieces, [], order=ALWAYS) == []


def test_a_list_is_added_whole_with_its_lead_in_or_not_at_all() -> None:
    pieces = [Piece(FACTS, "information", True, names=frozenset({"gout"}))]
    lines, chosen = read(*pieces)
    for room in range(10, 60):
        found = texts(detailed(lines, pieces, chosen, max_words=room, order=ALWAYS))
        listed = {"Things that bring it on include:", "Alcohol of any kind", "Large meals with meat"} & set(found)
        assert len(listed) in (0, 3)


@pytest.mark.parametrize("fault", ["another kind", "another page", "an unlikely page"])
def test_another_answer_adds_only_what_is_nearly_as_good(fault: str) -> None:
    own = Piece(FACTS, "information", True, names=frozenset({"gout"}))
    near = Piece("Without treatment an attack of gout may last two weeks.", own.kind, True, names=own.names)
    far = replace(own, text=OTHER, kind="treatment" if fault == "another kind" else own.kind)
    if fault == "another page":
        far = replace(far, names=frozenset({"migraine"}))
    if fault == "an unlikely page":
        far = replace(far, page=0.5)
    lines, chosen = read(own, near, far)
    found = texts(detailed(lines, [own, near, far], chosen, order=ALWAYS))
    assert near.text in found
    assert far.text not in found


def test_the_corpus_s_own_question_keeps_its_own_answer() -> None:
    pieces = [Piece(FACTS, "information", True, question=1.0, names=frozenset({"gout"}))]
    lines, chosen = read(*pieces)
    assert detailed(lines, pieces, chosen, order=ALWAYS) == chosen


@given(st.lists(st.text(max_size=200), max_size=3), st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_what_answers_always_stays_and_the_words_are_held(parts: list[str], room: int) -> None:
    pieces = [Piece(text, "information", True) for text in parts]
    lines = scored([QUESTION], pieces, encode)
    chosen = answering(lines, pieces, room)
    found = detailed(lines, pieces, chosen, room)
    assert set(chosen) <= set(found)
    assert sum(map(size, found)) <= max(room, sum(map(size, chosen)))
    assert len(set(found)) == len(found)


def test_features_are_of_blocks_and_the_shipped_order_reads_them() -> None:
    pieces = [Piece(FACTS, "information", True), Piece(OTHER, "information", False)]
    lines = scored([QUESTION], pieces, encode)
    found = blocks(lines)
    assert text_of(found[-2]).startswith("Things that bring it on include: Alcohol")
    values = features(found, pieces)
    assert values.shape == (len(found), len(NAMES))
    assert np.isfinite(values).all()
    assert values[0, 4] == 1
    assert values[-1, 4] == 0
    assert shipped().probability(values).shape == (len(found),)
