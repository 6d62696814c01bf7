"""Unsupported sentences give way to quotations, each to the nearest, and what was written keeps its place."""

from __future__ import annotations

from rag.answer import Sentence
from rag.attribution.mend import completed, mended

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


def test_an_answer_of_which_a_part_was_left_out_stands_first_and_the_rest_after_it() -> None:
    found = completed([WRITTEN, QUOTED[1]], QUOTED)
    assert [(one.text, one.before) for one in found] == [
        (QUOTED[0].text, ""), (QUOTED[1].text, ""), ("Rest helps.", "\n\n"),
    ]  # fmt: skip


def test_a_draft_that_says_all_of_the_answer_keeps_its_order() -> None:
    assert completed([WRITTEN, QUOTED[0]], QUOTED[:1]) == (WRITTEN, QUOTED[0])
    near = QUOTED[0].model_copy(update={"text": "The big toe is affected in 50 percent of the people."})
    assert completed([near], QUOTED[:1]) == (near,)
    both = QUOTED[0].model_copy(update={"text": f"{QUOTED[0].text} It hurts."})
    assert completed([both], QUOTED[:1]) == (both,)
    assert completed([QUOTED[1]], QUOTED) == tuple(QUOTED), "a list of which a part was said is given whole"
    assert completed([WRITTEN], []) == (WRITTEN,)
    assert completed([], QUOTED) == ()


def test_a_lead_in_whose_list_was_in_the_answer_is_not_left_alone() -> None:
    lead_in = Sentence(text="Gout often shows itself by:", citations=(1,), supported=True, before="\n\n")
    item = Sentence(text="a swollen, red toe that hurts", citations=(1,), supported=True, before="\n- ")
    assert completed([lead_in, item], [QUOTED[0], item]) == (QUOTED[0], item)
