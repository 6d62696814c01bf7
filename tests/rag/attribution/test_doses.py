"""No dose without a source, none under an emergency notice, and none from a page that the question does not name."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import load
from configs.schema import IndexSettings, Passages
from index.build import build
from index.corpus import QAPair
from index.passages import Passage
from index.sentences import spans
from index.store import Index
from rag.answer import Answer
from rag.attribution.doses import LEFT_OUT, is_dose, unsourced_doses, withhold
from rag.attribution.quantities import quantities
from rag.pipeline import Pipeline
from rag.retrieval.hits import Hit, Retrieval
from rag.retrieval.hybrid import HybridRetriever
from rag.retrieval.names import Said, names_it
from rag.retrieval.reading import Piece
from tests import fakes

if TYPE_CHECKING:
    from index.sources import Corpus

QUESTIONS = Path(__file__).parents[3] / "eval" / "datasets" / "questions"
FEVER = "My 3 year old has had a fever of 39C for two days, what should I do?"
Q_FEVER = (
    "Doxycycline is the first line treatment for all adults. Treatment works best if it begins early. "
    "Adults: Doxycycline 100 mg every 12 hours and hydroxychloroquine 200 mg every 8 hours. "
    "Children under 45 kg: 2.2 mg/kg body weight given twice a day. Most people recover."
)


# By another way than the code's own reading of quantities.
AMOUNT = re.compile(
    r"\b\d[\d.,]*\s?(?:mg|mcg|µg|ml|milligrams?|micrograms?|tablets?|capsules?|pills?|puffs?|drops?)\b(?!\s?(?:/|per)\s?d?l)",
    re.IGNORECASE,
)


def doses(text: str) -> list[str]:
    """The doses of a text, as it writes them."""
    return [text[quantity.start : quantity.end] for quantity in quantities(text) if is_dose(quantity)]


@pytest.mark.parametrize(
    ("text", "shown", "count"),
    [
        ("Rest. Adults take 100 mg twice a day. Drink.", f"Rest.\n{LEFT_OUT}\nDrink.", 1),
        ("Adults: 100 mg every 12 hours. Children: 2.2 mg/kg. Rest.", f"{LEFT_OUT}\nRest.", 2),
        ("Take two tablets.", LEFT_OUT, 1),
        ("A blood sugar of 126 mg/dl or more means diabetes.", None, 0),
        ("See a doctor every 3 months. Half of all people are over 60 years old.", None, 0),
        ("", None, 0),
    ],
)
def test_sentences_with_doses_are_left_out(text: str, shown: str | None, count: int) -> None:
    assert withhold(text) == (text if shown is None else shown, count)


@given(
    st.lists(
        st.sampled_from(
            ["Rest.", "Take 20 mg daily.", "Drink water.", "Give 5 ml.\n\n", "- One puff\n", "Wait.\n- Sleep\n"]
        )
    )
)
def test_what_is_shown_holds_no_dose_and_every_other_sentence(parts: list[str]) -> None:
    text = " ".join(parts)
    shown, count = withhold(text)
    assert doses(shown) == []
    kept = [text[a:b] for a, b in spans(text) if not doses(text[a:b])]
    assert [shown[a:b] for a, b in spans(shown) if shown[a:b] != LEFT_OUT] == kept
    assert count == len(spans(text)) - len(kept)
    assert withhold(shown) == (shown, 0)


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("How is Q fever treated?", True),
        ("how is coxiellosis treated", True),
        (FEVER, False),
        ("what can I take for fever?", False),
        ("q: fever?", True),
    ],
)
def test_a_page_is_named_by_its_whole_name(question: str, named: bool) -> None:
    pair = QAPair("q", "What are the treatments for Q fever?", Q_FEVER, focus="Q fever", synonyms=("Coxiellosis",))
    assert names_it(Said.of(question), pair) == named


def test_a_page_without_a_focus_is_named_by_the_words_of_its_question() -> None:
    pair = QAPair("q", "How is croup treated?", "Dexamethasone 0.6 mg/kg is given.")
    assert names_it(Said.of("how do they treat croup, is it treated at home?"), pair)
    assert not names_it(Said.of("how is a cough treated?"), pair)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A page with doses and a few without, and a threshold that lets everything through."""
    folder = tmp_path_factory.mktemp("doses")
    pairs = [
        QAPair("q", "What are the treatments for Q fever?", Q_FEVER, focus="Q fever", url="https://example.org/q"),
        *(fakes.pair(row) for row in range(6)),
    ]
    profile, _ = load("embedded", ["retriever.abstain_below=0", "answering.mode=extractive"])
    embedder = fakes.FakeEmbedder(dimensions=256, max_tokens=128)
    index = build(fakes.corpus(pairs), folder, Passages(max_tokens=128), embedder, IndexSettings())
    return Pipeline(profile, index, HybridRetriever.create(index, embedder, profile.retriever), folder)


def body(answer: Answer) -> str:
    """All that a reader may see of an answer but its fixed texts."""
    return " ".join([*(s.text for s in answer.sentences), *(s.text for s in answer.sources), answer.draft])


def test_a_named_page_shows_its_doses_and_another_does_not(pipeline: Pipeline) -> None:
    asked = pipeline.invoke("What are the treatments for Q fever?")
    assert "100 mg every 12 hours" in body(asked)
    assert asked.sources[0].doses_left_out == 0
    other = pipeline.invoke("What are the treatments for a fever in adults and children?")
    found = next(source for source in other.sources if source.pair_id == "q")
    assert found.doses_left_out == 2
    assert "first line treatment" in found.text
    assert doses(body(other)) == []


def test_under_a_notice_pages_are_named_and_nothing_is_quoted(pipeline: Pipeline) -> None:
    for snapshot in pipeline.stream("I have Q fever, crushing chest pain and I can't breathe"):
        assert snapshot.status == "emergency"
        assert body(snapshot).strip() == ""
    assert [source.url for source in snapshot.sources] == ["https://example.org/q"]
    assert pipeline.invoke("I have a fever, crushing chest pain and I can't breathe").sources == ()


def test_the_page_and_the_terminal_say_what_is_left_out(pipeline: Pipeline) -> None:
    from app import render
    from app.history import Turn
    from rag.__main__ import render as terminal

    answer = pipeline.invoke("What are the treatments for a fever in adults and children?")
    html = render.turn(Turn("t1", answer.question, answer))
    assert "Sentences that hold doses are left out here" in html
    assert "100 mg" not in html + terminal(answer)
    answer = pipeline.invoke("I have Q fever, crushing chest pain and I can't breathe")
    html = render.turn(Turn("t2", answer.question, answer))
    assert "https://example.org/q" in html
    assert "https://example.org/q" in terminal(answer)
    assert "onfidence" not in terminal(answer)
    assert "<blockquote" not in html
    assert "Confidence" not in html


class Worst:
    """A retriever that is sure of pages drawn at random, all of them with doses: the worst there can be."""

    fingerprint = "none"

    def __init__(self, pairs: list[QAPair], index: Index) -> None:
        self.pairs = pairs
        self.dice = random.Random(0)
        self.index = index

    def newest(self) -> Worst:
        """It reads no index that could grow."""
        return self

    def retrieve(self, question: str, k: int | None = None) -> Retrieval:
        """Five pages, confidence 1."""
        drawn = self.dice.sample(self.pairs, 5)
        hits = [
            Hit(n, Passage(f"{pair.id}/{n}", n, 0, 0, len(pair.answer), pair.answer[:3000]), pair, 1.0, 1.0, 1.0, 1.0)
            for n, pair in enumerate(drawn)
        ]
        return Retrieval(tuple(hits), 1.0, ())

    def piece(self, hit: Hit) -> Piece:
        """The passage with its doses in it, as the real retriever gives it."""
        return Piece(hit.passage.text, hit.pair.question_type, True, 1.0)

    def word_weights(self, question: str) -> dict[str, float]:
        """No word counts."""
        return {}

    def encode(self, texts: list[str]) -> np.ndarray:
        """Vectors of nothing in particular: any sentence may be quoted."""
        vectors = np.random.default_rng(len(texts)).normal(size=(len(texts), 8))
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def messages() -> Iterator[str]:
    """605 messages: emergencies and what sounds like one, questions on medicines, other questions, noise."""
    for name, key in (("emergencies", "message"), ("uncovered", "question")):
        for line in (QUESTIONS / f"{name}.jsonl").read_text("utf-8").splitlines():
            text = json.loads(line)[key]
            if any(character.isalnum() for character in text):
                yield text


@pytest.mark.medquad
def test_six_hundred_messages_show_no_dose_even_with_the_worst_retriever(
    medquad_corpus: Corpus, pipeline: Pipeline, tmp_path: Path
) -> None:
    with_doses = [pair for pair in medquad_corpus.pairs if doses(pair.answer[:3000])]
    assert len(with_doses) > 100
    retriever: Any = Worst(with_doses, pipeline.index)
    profile, _ = load("embedded", ["answering.mode=extractive"])
    worst = Pipeline(profile, retriever.index, retriever, tmp_path)
    by_id = {pair.id: pair for pair in with_doses}
    asked = left_out = notices = 0
    for message in messages():
        answer = worst.invoke(message)
        asked += 1
        notices += answer.status == "emergency"
        left_out += sum(source.doses_left_out for source in answer.sources)
        if answer.status == "emergency":
            assert body(answer).strip() == "", message
        unnamed = {source.n for source in answer.sources if not names_it(Said.of(message), by_id[source.pair_id])}
        shown = [source.text for source in answer.sources if source.n in unnamed]
        shown += [sentence.text for sentence in answer.sentences if unnamed & set(sentence.citations)]
        assert [dose for text in shown for dose in doses(text)] == [], message
        assert [found.group() for text in shown for found in AMOUNT.finditer(text)] == [], message
    assert asked >= 500
    assert notices >= 100
    assert left_out >= 500


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_a_text_holds_its_own_doses(text: str) -> None:
    assert unsourced_doses(text, [text]) == []


@pytest.mark.parametrize(
    ("text", "source", "left"),
    [
        ("Take 20 mg.", "The dose is 20 mg.", []),
        ("Take 20 mg.", "The dose is 10 mg.", ["20 mg"]),
        ("Take 20mg.", "twenty milligrams", []),
        ("Take 20 mg.", "20 mcg", ["20 mg"]),
        ("Take 5 µg.", "5 mcg", []),
        ("Take 5 μg.", "5 micrograms", []),
        ("Take 1 g.", "1,000 mg", []),
        ("Take 1,000 mg.", "1000 mg a day", []),
        ("Take 400 IU.", "400 international units", []),
        ("Take 2 tablets.", "two tablets", []),
        ("Take 2 tablets.", "2 capsules", ["2 tablets"]),
        ("Take it three times a day.", "3 times daily", []),
        ("Take it 3 times a day.", "twice a day", ["3 times a day"]),
        ("Take it every 6 hours.", "every six hours", []),
        ("Take it every 4 hours.", "every 6 hours", ["every 4 hours"]),
        ("Take 5 to 10 mg.", "5-10 mg", []),
        ("Take 5 to 10 mg.", "between 5 and 20 mg", ["10 mg"]),
        ("Take 0.5 ml.", "5 ml", ["0.5 ml"]),
        ("Take 10 mg/kg.", "10 mg", ["10 mg/kg"]),
        ("A level of 5 mmol/L.", "5 mmol/l", []),
        ("It affects 20 people in 100.", "", []),
        ("It began in 1990 at age 40.", "", []),
    ],
)
def test_a_dose_needs_a_source(text: str, source: str, left: list[str]) -> None:
    assert unsourced_doses(text, [source]) == left
