"""Retrieval from an index that is still growing: the same features as from the whole one, and never half of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from configs import load
from configs.schema import IndexSettings, Passages, Retriever
from index import build as building
from index import cache
from index.build import Work, build, go_on
from index.store import Index
from rag.__main__ import render
from rag.pipeline import Pipeline
from rag.retrieval import ranking
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes

CUTTING, SETTINGS = Passages(max_tokens=64), IndexSettings()
PAIRS = 60


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "STAGED", 10)
    monkeypatch.setattr(building, "EVERY", 0.0)
    monkeypatch.setattr(cache, "CHUNK", 16)


@pytest.fixture
def embedder() -> fakes.FakeEmbedder:
    return fakes.FakeEmbedder(dimensions=384)


@pytest.fixture
def folder(tmp_path: Path, embedder: fakes.FakeEmbedder) -> Path:
    """The first stage of an index: words alone."""
    place = tmp_path / "index"
    source = fakes.corpus(PAIRS)
    build(source, place, CUTTING, embedder, SETTINGS, embeddings=tmp_path / "cache", first=True)
    assert embedder.encoded == []
    return place


@pytest.fixture
def whole(tmp_path: Path, folder: Path) -> Index:
    """The same index, whole, somewhere else."""
    return build(fakes.corpus(PAIRS), tmp_path / "whole", CUTTING, fakes.FakeEmbedder(dimensions=384), SETTINGS)


def retriever(index: Index, embedder: fakes.FakeEmbedder) -> HybridRetriever:
    return HybridRetriever.create(index, embedder, Retriever())


QUESTIONS = [
    "What are the signs, part 2, of gout?",
    "Which page says that measles has sign38x4?",
    "sign7x1 of glaucoma",
    "How much is a train ticket to the sea?",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_words_find_is_decided_as_with_the_whole_index(
    question: str, folder: Path, whole: Index, embedder: fakes.FakeEmbedder
) -> None:
    stage = retriever(Index.open(folder, growing=True), embedder)
    found, expected = stage.retrieve(question, 3), retriever(whole, embedder).retrieve(question, 3)
    below = Retriever().abstain_below
    assert (found.confidence >= below) == (expected.confidence >= below)
    for hit in found.hits:
        asked = stage.encode([question])[0]
        assert hit.passage_cosine == pytest.approx(float(whole.passage_vectors.reconstruct(hit.row) @ asked), abs=1e-5)
        pair = int(whole.pair_of[hit.row])
        assert hit.question_cosine == pytest.approx(float(whole.question_vectors.reconstruct(pair) @ asked), abs=1e-5)
    if "ticket" not in question:
        assert found.hits[0].passage.id == expected.hits[0].passage.id


def test_a_question_embeds_a_few_texts_and_an_answer_whole_or_not_at_all(
    folder: Path, embedder: fakes.FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "QUESTIONS_ASKED", 7)
    monkeypatch.setattr(ranking, "PASSAGES_ASKED", 9)
    stage = retriever(Index.open(folder, growing=True), embedder)
    scored = ranking.score(stage.asked("What are the signs of gout?"), stage.state, stage.settings)
    texts = embedder.encoded
    assert sum(text.endswith("gout?") and "\n" not in text for text in texts) <= 7 + 1
    assert sum("\n" in text for text in texts) <= 9
    assert 0 < len(set(scored.pairs.tolist())) <= 3
    before = len(texts)
    stage.index.passage_vectors.reconstruct_batch(stage.state.passages_of(np.unique(scored.pairs)))
    again = ranking.score(stage.asked("What are the signs of gout?"), stage.state, stage.settings)
    assert len(texts) == before, "every passage of these answers was embedded, and is remembered"
    assert np.array_equal(again.rows, scored.rows)


def test_an_answer_longer_than_what_may_be_embedded_can_still_be_found(
    tmp_path: Path, embedder: fakes.FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "PASSAGES_ASKED", 2)
    long = fakes.pair(1, answer=" ".join(f"Sentence {n} says that gout has sign {n} of many." for n in range(60)))
    rows = [long, *(fakes.pair(row) for row in range(30) if fakes.TOPICS[row % 10] != "gout")]
    place = tmp_path / "index"
    build(fakes.corpus(rows), place, CUTTING, embedder, SETTINGS, first=True)
    stage = retriever(Index.open(place, growing=True), embedder)
    assert stage.retrieve("What are the signs of gout?", 1).hits[0].pair.focus == "gout"


def test_an_answer_longer_than_that_takes_no_place_from_those_with_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "PASSAGES_ASKED", 2)
    pair_of = np.array([0, 0, 0, 1, 2, 2, 2, 3])  # 0 and 3 lack vectors, 1 and 2 have them
    lacking = np.isin(pair_of, (0, 3))
    vectors = SimpleNamespace(
        there=lambda rows: ~lacking[rows],
        reconstruct_batch=lambda rows: np.ones((len(rows), 4), np.float32),
    )
    questions = SimpleNamespace(
        there=lambda rows: np.ones(len(rows), bool), reconstruct_batch=lambda rows: np.ones((len(rows), 4), np.float32)
    )
    index = SimpleNamespace(pairs=[None] * 4, question_vectors=questions, passage_vectors=vectors)
    state: Any = SimpleNamespace(index=index, pair_of=pair_of, first=np.array([0, 3, 4, 7, 8]))
    asked: Any = SimpleNamespace(vectors=np.ones((1, 4), np.float32))
    lexical = np.array([4, 4, 4, 3, 2, 2, 2, 1], np.float32)
    every = np.arange(8)
    kept = ranking._affordable(every, asked, lexical, np.zeros(4, np.float32), state, Retriever())
    assert kept.tolist() == [0, 1, 2, 3, 4, 5, 6]  # the long one is the best; the last one would be one too many


def test_the_newest_stage_is_taken_and_what_depends_on_words_is_kept(
    folder: Path, whole: Index, embedder: fakes.FakeEmbedder, tmp_path: Path
) -> None:
    stage = retriever(Index.open(folder, growing=True), embedder)
    assert stage.newest() is stage
    speller = stage.speller
    go_on(folder, Work(embedder, SETTINGS, tmp_path / "cache"))
    later = stage.newest()
    assert later is not stage
    assert not later.index.manifest.growing
    assert later.speller is speller
    assert later.state.names is stage.state.names
    assert later.state.index is later.index
    assert later.newest() is later
    for question in QUESTIONS:
        assert later.retrieve(question, 5) == retriever(whole, embedder).retrieve(question, 5)


def test_another_corpus_in_its_place_is_taken_as_a_whole(
    folder: Path, embedder: fakes.FakeEmbedder, tmp_path: Path
) -> None:
    stage = retriever(Index.open(folder, growing=True), embedder)
    rows = [replace(fakes.pair(row), focus="") for row in range(4)]
    build(fakes.corpus(rows), folder, CUTTING, embedder, SETTINGS)
    later = stage.newest()
    assert len(later.index.pairs) == 4
    assert later.state.names is not stage.state.names


def test_an_index_that_went_away_leaves_the_stage_that_is_open(folder: Path, embedder: fakes.FakeEmbedder) -> None:
    stage = retriever(Index.open(folder, growing=True), embedder)
    (folder / "current").write_text("gen-nowhere")
    assert stage.newest() is stage
    assert stage.retrieve(QUESTIONS[0], 1).hits


@pytest.fixture
def pipeline(folder: Path, embedder: fakes.FakeEmbedder, tmp_path: Path) -> Pipeline:
    profile, _ = load("embedded", ["retriever.abstain_below=0.0"])
    index = Index.open(folder, growing=True)
    return Pipeline(profile, index, HybridRetriever.create(index, embedder, profile.retriever), tmp_path)


def test_an_answer_says_how_far_the_index_is_until_it_is_whole(
    pipeline: Pipeline, folder: Path, embedder: fakes.FakeEmbedder, tmp_path: Path
) -> None:
    answer = pipeline.invoke(QUESTIONS[0], mode="extractive")
    said = f"The index is not finished: 0 of {len(pipeline.index.passages)} passages have vectors."
    assert answer.growing.startswith(said)
    assert f"({said}" in render(answer)
    assert pipeline.growing == answer.growing
    go_on(folder, Work(embedder, SETTINGS, tmp_path / "cache"))
    assert pipeline.growing == ""
    after = pipeline.invoke(QUESTIONS[0], mode="extractive")
    assert after.growing == ""
    assert not pipeline.index.manifest.growing
    assert after.sentences == answer.sentences


def test_a_stage_that_comes_while_an_answer_is_written_changes_nothing_of_it(
    pipeline: Pipeline, folder: Path, embedder: fakes.FakeEmbedder
) -> None:
    open_one = pipeline.stream("I have chest pain and gout, what are its signs?", mode="extractive")
    first = next(open_one)
    assert first.status == "emergency"
    rows = [fakes.pair(row) for row in range(2)]
    build(fakes.corpus(rows), folder, CUTTING, embedder, SETTINGS)
    assert pipeline.invoke(QUESTIONS[0], mode="extractive").complete
    assert len(pipeline.index.pairs) == 2
    last = list(open_one)[-1]
    assert last.complete
    assert last.growing
