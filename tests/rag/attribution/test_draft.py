"""A draft is cut into sentences, and the numbers it cites by become hints of the right one."""

from __future__ import annotations

import time

import pytest

from index.words import tokens
from rag.attribution.draft import is_cut, is_noise, pieces_of, unlooped, unmarked


def test_a_mark_belongs_to_what_it_follows_and_at_a_lines_start_to_what_follows_it() -> None:
    found = pieces_of("[1] Rest helps. Drink water [2].\n- Sleep (source 2)", {1, 2}, [])
    assert [(piece.text, piece.hints) for piece in found] == [
        ("Rest helps.", (1,)),
        ("Drink water.", (2,)),
        ("Sleep", (2,)),
    ]
    assert [(piece.before, piece.mark) for piece in found] == [("", ""), (" ", ""), ("\n", "- ")]


def test_a_number_that_is_no_sources_is_no_hint() -> None:
    assert [piece.hints for piece in pieces_of("Rest helps [7].", {1, 2}, [])] == [()]


def test_a_source_number_that_a_source_holds_itself_stays() -> None:
    assert pieces_of("It is mild (3) in children.", {1}, ["It is mild (3) in children."])[0].text.count("(3)") == 1
    assert "(3)" not in pieces_of("It is mild (3) in children.", {1}, ["It is mild in children."])[0].text


def test_an_unfinished_mark_is_not_shown() -> None:
    assert unmarked("Rest helps [1] and sleep [") == "Rest helps  and sleep"


def test_filler_and_a_sentence_that_stops_in_the_middle_are_told() -> None:
    pieces = pieces_of("Here is some information about gout. Gout is a form of", {1}, [])
    assert [is_noise(piece, tokens("What is gout?")) for piece in pieces] == [True, False]
    assert is_cut(pieces[1], pieces)
    assert not is_cut(pieces[0], pieces)


@pytest.mark.parametrize(
    ("begins", "copy"),
    [
        ("Gout hurts. ", "It can be treated with rest and ice. "),
        ("Symptoms include:\n", "- pain in the toe\n- a swollen knee\n"),
        ("Gout is ", "very "),
        ("", "gout and "),
    ],
)
def test_a_draft_that_repeats_itself_ends_with_the_first_copy(begins: str, copy: str) -> None:
    draft = begins + copy * 20
    assert unlooped(draft) == (begins + copy).rstrip()
    for end in range(len(draft)):  # however much of it has come in, what is kept is the same, or not yet a loop
        assert unlooped(draft[:end]) in (draft[:end], unlooped(draft))


def test_a_loop_that_begins_in_the_middle_of_a_sentence_keeps_the_sentence_that_repeats() -> None:
    draft = "Alcohol increases the risk of gout. " + "Obesity increases the risk of gout. " * 9
    assert unlooped(draft) == "Alcohol increases the risk of gout. Obesity increases the risk of gout."


@pytest.mark.parametrize(
    "draft",
    [
        "Pain, pain, pain. It hurts, and it hurts, and it goes on hurting. ",
        "Rest the foot. Ice the foot. Raise the foot. Rest the hand. Ice the hand. Raise the hand. ",
        "- 1 mg a day\n- 2 mg a day\n- 3 mg a day\n- 4 mg a day\n",
        "Take a rest. Take a rest. ",
        "",
    ],
)
def test_a_draft_that_says_things_alike_is_left_alone(draft: str) -> None:
    assert unlooped(draft) == draft


def test_the_end_of_a_long_loop_is_found_at_once() -> None:
    begun = time.perf_counter()
    unlooped("Gout hurts the big toe most. " + " ".join(f"word{n}" for n in range(4000)))
    assert time.perf_counter() - begun < 2
