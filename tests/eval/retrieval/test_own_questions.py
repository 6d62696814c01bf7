"""MedQuAD's own questions over the whole index: what counts as found, and by what the intervals are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from configs import load
from configs.schema import IndexSettings, Passages
from eval.datasets.own import Asked
from eval.metrics.bootstrap import ClusterBootstrap
from eval.retrieval import judged_sets, own_questions
from index.build import build
from index.corpus import QAPair
from index.store import Index
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes

PROFILE = load("embedded")[0]


def test_ranks() -> None:
    assert own_questions.ranks([False, False, True, True]) == {
        "recall@1": 0.0, "recall@3": 1.0, "recall@5": 1.0, "recall@10": 1.0, "mrr": pytest.approx(1 / 3)
    }  # fmt: skip
    assert set(own_questions.ranks([False]).values()) == {0.0}
    assert own_questions.ranks([]) == own_questions.ranks([False])


def page(row: int) -> QAPair:
    """A page of its own: words that no other page has, and another name for its topic."""
    return QAPair(
        f"p{row}",
        f"What are the signs of topic{row}x?",
        f"The signs of topic{row}x are sign{row}a and sign{row}b.",
        collection="c",
        document=str(row),
        focus=f"topic{row}x",
        synonyms=(f"other{row}y",),
        source="NIDDK",
        url=f"https://example.org/{row}",
        urls=(f"https://example.org/{row}",),
    )


def test_own_questions_over_an_index(tmp_path: Path) -> None:
    embedder = fakes.FakeEmbedder(dimensions=384)
    pairs = [page(row) for row in range(60)]
    folder = tmp_path / "index"
    build(fakes.corpus(pairs), folder, Passages(max_tokens=64), embedder, IndexSettings())
    found = own_questions.own(PROFILE, embedder, folder, 5)
    assert found["as written"]["n"] == 5
    assert found["as written"]["recall@1"]["value"] == 1
    assert found["as written"]["topic mrr"]["value"] == 1
    # The other name stands in no text that is embedded; the list of names and BM25's text hold it.
    assert found["reworded"]["topic recall@1"]["value"] == 1
    assert found["reworded, BM25 alone"]["topic recall@1"]["value"] == 1
    assert found["reworded, embedder alone"]["topic recall@1"]["value"] < 1
    assert found["reworded, synonym not in the list of names"]["n"] == 5
    assert found == own_questions.own(PROFILE, embedder, folder, 5)


def test_intervals_of_own_questions_are_by_the_splits_topics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages on each topic: its questions are drawn together."""
    pages = [replace(page(row), focus=f"topic{row // 2}x") for row in range(60)]
    folder = tmp_path / "index"
    embedder = fakes.FakeEmbedder(dimensions=384)
    build(fakes.corpus(pages), folder, Passages(max_tokens=64), embedder, IndexSettings())
    given: list[Sequence[int]] = []

    def spied(clusters: Sequence[int], *more: Any) -> ClusterBootstrap:
        given.append(clusters)
        return ClusterBootstrap(clusters, *more)

    monkeypatch.setattr(own_questions, "ClusterBootstrap", spied)
    found = own_questions.own(PROFILE, embedder, folder, 6)
    assert found["intervals_by"] == "topic"
    rows = [name for name, row in found.items() if isinstance(row, dict)]
    assert len(given) == len(rows)
    for name, topics in zip(rows, given, strict=True):
        assert len(topics) == found[name]["n"] == 6
        assert len(set(topics)) == 3
    printed = judged_sets.markdown({"sets": [], "own": found})
    assert "95% intervals by topic." in printed
    assert "retriever as deployed" in printed
    assert "| as written | 6 |" in printed
    assert "caveat" not in found
    bare = [replace(pair, focus="", document="") for pair in pages]
    build(fakes.corpus(bare), tmp_path / "bare", Passages(max_tokens=64), embedder, IndexSettings())
    found = own_questions.own(PROFILE, embedder, tmp_path / "bare", 6)
    assert "lower bound" in found["caveat"]
    assert "No pair names a focus (disease) or a document" in judged_sets.markdown({"sets": [], "own": found})
    assert found["as written"]["topic recall@1"]["value"] == found["as written"]["recall@1"]["value"]


def test_the_same_answer_under_another_question_is_the_pair(tmp_path: Path) -> None:
    embedder = fakes.FakeEmbedder(dimensions=384)
    pairs = [page(0), QAPair("twin", "Which signs?", page(0).answer, url="https://example.org/t"), page(1)]
    folder = tmp_path / "index"
    build(fakes.corpus(pairs), folder, Passages(max_tokens=64), embedder, IndexSettings())
    retriever = HybridRetriever.create(Index.open(folder), embedder, PROFILE.retriever)
    found = own_questions.measure("twins", retriever.propose, pairs, [Asked(pairs[0].question, 1)], [0])
    assert found["recall@1"]["value"] == 1
    assert found["topic recall@1"]["value"] == 0
