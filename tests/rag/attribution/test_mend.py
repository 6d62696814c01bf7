"""Unsupported sentences give way to quotations, each to the nearest, and what was written keeps its place."""

from __future__ import annotations

from rag.answer import Sentence
from rag.attribution.mend import led, mended

QUOTED = [
    Sentence(text="The big toe is affected in 50 percent of people.", citations=(1,), supported=True, quoted=True),
    Sentence(text="Gout is caused by uric acid crystals.", citations=(2,), supported=True, quoted=True),
]
WRITTEN = Sentence(text="Rest helps.", citations=(1,), supported=True, before=" ")


def unsupported(text: str, before: str = " ") -> Sentence:
    return Sentence(text=text, note="no source says this", before=before)


def test_the_nearest_quotation_stands_in_the_sentences_place_with_its_layout() -> None:
    found = mended([WRITTEN, unsupported("The big toe is affected in 70 percent of people.", "\n- ")], QUOTED)
    assert [(one.text, one.before) for one in found] == [("Rest helps.", " "), (QUOTED[0].text, "\n- ")]
    assert found[1].citations == (1,)


def test_what_is_near_to_nothing_is_left_out_and_the_paragraph_stays_parted() -> None:
    found = mended([WRITTEN, unsupported("Trains leave at noon.", "\n\n"), WRITTEN], QUOTED)
    assert [(one.text, one.before) for one in found] == [("Rest helps.", " "), ("Rest helps.", "\n\n")]


def test_a_quotation_is_used_once_and_not_where_it_stands_already() -> None:
    twice = [unsupported("The big toe is affected in 70 percent of people.")] * 2
    assert [one.text for one in mended(twice, QUOTED)] == [QUOTED[0].text]
    assert mended([QUOTED[0], twice[0]], QUOTED) == (QUOTED[0],)


def test_supported_sentences_are_left_as_they_are() -> None:
    assert mended([WRITTEN, *QUOTED], QUOTED) == (WRITTEN, *QUOTED)
    assert mended([unsupported("Trains leave.")], []) == ()


def test_no_lead_in_is_left_without_its_list_and_no_part_of_a_sentence_is_said_again() -> None:
    lead_in = Sentence(text="Symptoms of gout include:", citations=(1,), supported=True, before="\n\n")
    assert mended([WRITTEN, lead_in, unsupported("headaches", "\n- ")], QUOTED) == (WRITTEN,)
    both = Sentence(text=f"{QUOTED[1].text} It hurts.", citations=(2,), supported=True)
    assert mended([both, unsupported("Gout is caused by uric acid crystal.")], QUOTED) == (both,)


def test_what_answers_best_stands_first_where_it_was_left_out() -> None:
    found = led([WRITTEN], QUOTED[:1])
    assert [(one.text, one.before) for one in found] == [(QUOTED[0].text, ""), ("Rest helps.", "\n\n")]


def test_it_is_not_said_twice() -> None:
    assert led([WRITTEN, QUOTED[0]], QUOTED[:1]) == (WRITTEN, QUOTED[0])
    near = QUOTED[0].model_copy(update={"text": "The big toe is affected in 50 percent of the people."})
    assert led([near], QUOTED[:1]) == (near,)
    both = QUOTED[0].model_copy(update={"text": f"{QUOTED[0].text} It hurts."})
    assert led([both], QUOTED[:1]) == (both,)
    assert led([QUOTED[1]], QUOTED) == tuple(QUOTED), "a list of which a part was said is given whole"
    assert led([], QUOTED) == ()
