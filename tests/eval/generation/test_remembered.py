"""What is asked again is neither searched nor embedded again, and the answer is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from configs import load
from configs.schema import IndexSettings
from eval.generation.remembered import remembering
from index.build import build
from index.store import Index
from rag.pipeline import Pipeline
from rag.retrieval.hybrid import HybridRetriever
from tests.fakes import FakeEmbedder, corpus
from tests.index.killed import CUTTING


class Counting(FakeEmbedder):
    """Counts the batches that it is asked for."""

    batches = 0

    def encode(self, texts: Any, *given: Any, **more: Any) -> np.ndarray:
        """As the fake does."""
        self.batches += 1
        return super().encode(texts, *given, **more)


def test_the_second_asking_computes_nothing_and_finds_the_same(tmp_path: Path, monkeypatch: Any) -> None:
    embedder = Counting(dimensions=384)
    build(corpus(9), tmp_path, CUTTING, embedder, IndexSettings())
    profile, _ = load("embedded", ["retriever.abstain_below=0", "answering.mode=extractive"])
    monkeypatch.setattr("rag.retrieval.reranker.Reranker.check", lambda self, fingerprint: None)
    index = Index.open(tmp_path)
    plain = Pipeline(profile, index, HybridRetriever.create(index, embedder, profile.retriever), tmp_path)
    monkeypatch.setattr(plain, "emergency_classifier", lambda question, retriever: "")
    other = remembering(plain)
    monkeypatch.setattr(other, "emergency_classifier", lambda question, retriever: "")
    question = plain.index.pairs[3].question
    timeless = {"timings"}
    wanted = plain.invoke(question)
    first = other.invoke(question)
    before = embedder.batches
    again = other.invoke(question)
    assert embedder.batches == before
    assert again.sentences
    assert (
        first.model_dump(exclude=timeless) == again.model_dump(exclude=timeless) == wanted.model_dump(exclude=timeless)
    )
    plain.invoke(question)
    assert embedder.batches > before, "the retriever that people get embeds again"
