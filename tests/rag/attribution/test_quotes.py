"""Quoted answers are the sources' words, and highlights are where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.schema import Answering
from rag.answer import Sentence, Source
from rag.attribution.attribute import attribute
from rag.attribution.quotes import extract, highlights

TEXT = (
    "Gout is a common and painful form of arthritis. It causes swollen, red, hot and stiff joints.\n"
    "You are more likely to get gout if you:\n- Are a man\n- Are overweight\n- Drink alcohol\n\n"
    "Gout happens when uric acid builds up in the body. Doctors use tests of the joint fluid to diagnose it."
)
MORE = "Attacks often start at night. Medicines can ease the pain."


def source(n: int, text: str, pair: str = "q") -> Source:
    return Source(n=n, passage_id=f"p{n}", pair_id=pair, title="Gout", question="What is (are) Gout ?", text=text)


def test_the_best_page_is_quoted_in_order_within_the_room() -> None:
    found = extract(
        "What is gout?", (source(1, TEXT), source(2, "Something else.", "x"), source(3, MORE)), max_words=200
    )
    assert found[0].text == "Gout is a common and painful form of arthritis."
    assert [sentence.citations[0] for sentence in found] == [1] * 8 + [3] * 2
    assert all(s.quoted and s.supported and s.support == 1.0 for s in found)
    assert [s.before for s in found[:4]] == ["", " ", "\n", "\n- "]
    assert found[8].before == "\n\n"
    short = extract("What is gout?", (source(1, TEXT),), max_words=20)
    assert [s.text for s in short] == [s.text for s in found[:2]]


def test_it_starts_where_the_question_is_answered() -> None:
    found = extract("Which tests of the joint fluid do doctors use to diagnose it?", (source(1, TEXT),), max_words=14)
    assert found[-1].text.startswith("Doctors use tests")


def test_a_list_keeps_its_lead_in() -> None:
    found = extract("Who is more likely to get gout, overweight, alcohol?", (source(1, TEXT),), max_words=17)
    texts = [sentence.text for sentence in found]
    assert "Are overweight" in texts
    assert texts[0].startswith("You are more likely")
    cut = extract("What is gout?", (source(1, TEXT),), max_words=26)
    assert not cut[-1].text.endswith(":")


def test_one_sentence_is_given_however_long() -> None:
    long = "word " * 300 + "end."
    assert [s.text for s in extract("word?", (source(1, long),), max_words=10)] == [long]
    assert extract("word?", (), max_words=10) == []
    assert extract("word?", (source(1, " \n "), source(2, MORE)), max_words=9)[0].citations == (2,)


def test_a_score_replaces_shared_words() -> None:
    found = extract("anything", (source(1, TEXT),), 14, score=lambda texts: [float("joint fluid" in t) for t in texts])
    assert "joint fluid" in found[-1].text


def test_highlights_cover_what_the_answer_rests_on() -> None:
    sources = (source(1, TEXT), source(2, MORE, "other"), source(3, "Bananas are fruit.", "third"))
    draft = "Gout is a common and painful form of arthritis. At night is when attacks often start."
    sentences = attribute(draft, sources, Answering())
    first, second, third = highlights(sentences, sources)
    assert first.used
    assert second.used
    assert not third.used
    assert third.highlights == ()
    assert [first.text[s.start : s.end] for s in first.highlights] == [
        "Gout is a common and painful form of arthritis."
    ]
    assert [second.text[s.start : s.end] for s in second.highlights] == ["Attacks often start at night."]
    assert highlights((), sources) == sources


@given(st.text(max_size=200), st.lists(st.text(max_size=300), max_size=4), st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_any_text_is_quoted_verbatim(question: str, texts: list[str], room: int) -> None:
    sources = tuple(source(n, text, f"q{n % 2}") for n, text in enumerate(texts, 1))
    by_number = {item.n: item for item in sources}
    found = extract(question, sources, max_words=room)
    assert sum(len(s.text.split()) for s in found[1:]) <= max(room, 0)
    for sentence in found:
        assert sentence.text in by_number[sentence.citations[0]].text
    for item in highlights(found, sources):
        assert item.used == any(item.n in s.citations for s in found)
        assert bool(item.highlights) == item.used
        ends = [(s.start, s.end) for s in item.highlights]
        assert all(0 <= a < b <= len(item.text) for a, b in ends)
        assert all(ends[i][1] < ends[i + 1][0] for i in range(len(ends) - 1))


@pytest.mark.parametrize("number", [5, 8])
def test_a_hand_made_sentence_highlights_the_source_it_cites(number: int) -> None:
    sentence = Sentence(text="Uric acid that builds up causes gout.", citations=(number,), supported=True)
    marked = highlights([sentence], (source(5, TEXT), source(8, TEXT)))
    spans = {item.n: [item.text[s.start : s.end] for s in item.highlights] for item in marked}
    assert "uric acid" in " ".join(spans[number])
    assert spans[13 - number] == []
