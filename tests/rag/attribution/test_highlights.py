"""Highlights stand where an answer rests on its sources."""

from __future__ import annotations

import pytest

from configs.schema import Answering
from rag.answer import Sentence, Source
from rag.attribution.attribute import attribute
from rag.attribution.highlights import highlights

TEXT = (
    "Gout is a common and painful form of arthritis. It causes swollen, red, hot and stiff joints.\n"
    "You are more likely to get gout if you:\n- Are a man\n- Are overweight\n- Drink alcohol\n\n"
    "Gout happens when uric acid builds up in the body. Doctors use tests of the joint fluid to diagnose it."
)
MORE = "Attacks often start at night. Medicines can ease the pain."


def source(n: int, text: str, pair: str = "q") -> Source:
    return Source(n=n, passage_id=f"p{n}", pair_id=pair, title="Gout", question="What is (are) Gout ?", text=text)


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


@pytest.mark.parametrize("number", [5, 8])
def test_a_hand_made_sentence_highlights_the_source_it_cites(number: int) -> None:
    sentence = Sentence(text="Uric acid that builds up causes gout.", citations=(number,), supported=True)
    marked = highlights([sentence], (source(5, TEXT), source(8, TEXT)))
    spans = {item.n: [item.text[s.start : s.end] for s in item.highlights] for item in marked}
    assert "uric acid" in " ".join(spans[number])
    assert spans[13 - number] == []
