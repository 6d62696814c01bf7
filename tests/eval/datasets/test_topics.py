"""Reworded questions and what counts as the right topic."""

from __future__ import annotations

import pytest

from eval.datasets import own as topics
from index.corpus import QAPair
from index.sources import Corpus
from index.splits import normalize


def page(n: int, question: str, focus: str, synonyms: tuple[str, ...] = ()) -> QAPair:
    return QAPair(f"p{n}", question, "a", collection="c", document=str(n), focus=focus, synonyms=synonyms)


PAIRS = [
    page(0, "What causes Dengue ?", "Dengue", ("Break-bone fever", "Dengue fever", "Fever X")),
    page(1, "What causes Scurvy ?", "Scurvy", ("Fever X",)),
    page(2, "How is gout treated?", "Gout"),
    page(3, "What is podagra?", "Podagra"),
    page(4, "what is GOUT", "gout."),
]


def test_reworded_leaves_the_focus_out() -> None:
    found = topics.reworded(PAIRS, range(5), 10)
    assert [(asked.question, asked.row, asked.synonym) for asked in found] == [
        ("What causes Break-bone fever ?", 0, "Break-bone fever")
    ]


def test_the_same_topic() -> None:
    assert topics.same_topic(PAIRS[2], PAIRS[4])
    assert not topics.same_topic(PAIRS[2], PAIRS[3])
    bare, other = QAPair("x", "What is gout?", "a"), QAPair("y", "What causes gout?", "a")
    assert topics.same_topic(bare, bare), "a pair without focus and document is at least of its own topic"
    assert not topics.same_topic(bare, other)


def test_own_draws_the_same_every_time() -> None:
    assert topics.own(PAIRS, range(5), 3) == topics.own(PAIRS, [4, 3, 2, 1, 0], 3)
    assert topics.own(PAIRS, range(5), 3) != topics.own(PAIRS, range(5), 3, seed=1)


@pytest.mark.medquad
def test_reworded_on_medquad(medquad_corpus: Corpus) -> None:
    pairs = medquad_corpus.pairs
    found = topics.reworded(pairs, range(len(pairs)), 500)
    assert len(found) == 500
    for asked in found:
        assert f" {normalize(pairs[asked.row].focus)} " not in f" {normalize(asked.question)} "
        assert asked.synonym in pairs[asked.row].synonyms
        assert asked.synonym in asked.question
