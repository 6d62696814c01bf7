"""The lexical index: BM25 (bm25s) over stemmed words of each passage and its question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index.words import terms


class Lexical:
    """A BM25 index over passages; row n is passage n."""

    def __init__(self, engine: object) -> None:
        self.engine = engine

    @classmethod
    def build(cls, texts: Sequence[str]) -> Lexical:
        """Index `texts`, with bm25s' defaults (Lucene's BM25, k1 1.5, b 0.75)."""
        import bm25s

        engine = bm25s.BM25()
        # bm25s cannot index a corpus without a single word.
        tokens = [terms(text) or ["_"] for text in texts]
        engine.index(tokens, show_progress=False)
        return cls(engine)

    def save(self, folder: Path) -> None:
        """Write bm25s' own files into `folder`."""
        self.engine.save(str(folder))  # type: ignore[attr-defined]

    @classmethod
    def open(cls, folder: Path) -> Lexical:
        """Read what `save` wrote."""
        import bm25s

        return cls(bm25s.BM25.load(str(folder), show_progress=False))

    def scores(self, text: str) -> np.ndarray:
        """BM25 of every passage for a question, float32 of shape (n_passages,); 0 where no word is shared."""
        known = [word for word in terms(text) if word in self.engine.vocab_dict]  # type: ignore[attr-defined]
        if not known:
            return np.zeros(self.size, dtype=np.float32)
        return np.asarray(self.engine.get_scores(known), dtype=np.float32)  # type: ignore[attr-defined]

    @property
    def size(self) -> int:
        """The number of passages."""
        return int(self.engine.scores["num_docs"])  # type: ignore[attr-defined]
