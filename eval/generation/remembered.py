"""A retriever that finds and reads nothing twice: every mode asks the same questions, each of them more than once.

    pipeline = remembering(pipeline)

Not for what is timed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import PrivateAttr

from rag.pipeline import Pipeline
from rag.retrieval.hits import Retrieval
from rag.retrieval.hybrid import HybridRetriever


class Remembered(HybridRetriever):
    """What was retrieved for a question, and the vectors of the sentences that were read for it, by their texts."""

    _retrieved: dict[tuple[str, int | None], Retrieval] = PrivateAttr(default_factory=dict)
    _read: dict[tuple[str, ...], Any] = PrivateAttr(default_factory=dict)

    def retrieve(self, question: str, k: int | None = None) -> Retrieval:
        """As the retriever does, once a question."""
        key = (question, k)
        if key not in self._retrieved:
            self._retrieved[key] = super().retrieve(question, k)
        return self._retrieved[key]

    def encode(self, texts: list[str]) -> np.ndarray:
        """As the retriever does, once for the same texts together."""
        key = tuple(texts)
        if key not in self._read:
            self._read[key] = super().encode(texts)
        return np.asarray(self._read[key])


def remembering(pipeline: Pipeline) -> Pipeline:
    """The same pipeline over a retriever that remembers."""
    old = pipeline.retriever
    retriever = Remembered(index=old.index, embedder=old.embedder, settings=old.settings, k=old.k)
    return Pipeline(pipeline.profile, pipeline.index, retriever, pipeline.models)
