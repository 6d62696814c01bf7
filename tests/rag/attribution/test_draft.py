"""A draft is cut into sentences, and the numbers it cites by become hints of the right one."""

from __future__ import annotations

from index.words import tokens
from rag.attribution.draft import is_cut, is_noise, pieces_of, unmarked


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
