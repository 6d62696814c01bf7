"""A retriever that finds and reads nothing twice: every mode asks the same questions, each of them more than once.

    pipeline = remembering(pipeline)

Not for what is timed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, PrivateAttr

from rag.pipeline import Pipeline
from rag.retrieval.hits import Retrieval
from rag.retrieval.hybrid import HybridRetriever


class Remembered(HybridRetriever):
    """What `plain` found for a question, and the vectors of what is read for its answer, by their texts."""

    plain: HybridRetriever = Field(description="the same retriever, which remembers nothing")
    _retrieved: dict[tuple[str, int | None], Retrieval] = PrivateAttr(default_factory=dict)
    _read: dict[tuple[str, ...], Any] = PrivateAttr(default_factory=dict)

    def retrieve(self, question: str, k: int | None = None) -> Retrieval:
        """As `plain` does, once a question."""
        key = (question, k)
        if key not in self._retrieved:
            self._retrieved[key] = self.plain.retrieve(question, k)
        return self._retrieved[key]

    def encode(self, texts: list[str]) -> np.ndarray:
        """As `plain` does, once for the same texts together."""
        key = tuple(texts)
        if key not in self._read:
            self._read[key] = self.plain.encode(texts)
        return np.asarray(self._read[key])


def remembering(pipeline: Pipeline) -> Pipeline:
    """The same pipeline over a retriever that remembers."""
    plain = pipeline.retriever
    given = {name: getattr(plain, name) for name in ("index", "embedder", "settings", "k", "hidden_names")}
    return Pipeline(pipeline.profile, pipeline.index, Remembered(plain=plain, **given), pipeline.models)
