"""The lexical index: BM25 (bm25s) over stemmed words of each passage and its question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from index.words import terms


class Lexical:
    """A BM25 index over passages; row n is passage n. Nothing outside this class knows how bm25s keeps it.

    bm25s keeps a sparse matrix by column, a column a word: `indptr` bounds each column's slice of `indices` (the rows,
    ascending) and of `data` (the scores).
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._bounds = np.asarray(engine.scores["indptr"])

    @classmethod
    def build(cls, texts: Sequence[str]) -> Lexical:
        """Index `texts`, with bm25s' defaults (Lucene's BM25, k1 1.5, b 0.75)."""
        import bm25s

        engine = bm25s.BM25()
        # Words are numbered as they come: bm25s' own numbers are others in every process.
        numbers: dict[str, int] = {}
        # bm25s cannot index a corpus without a single word.
        ids = [[numbers.setdefault(word, len(numbers)) for word in terms(text) or ["_"]] for text in texts]
        engine.index((ids, numbers), show_progress=False)
        return cls(engine)

    def save(self, folder: Path) -> None:
        """Write bm25s' own files into `folder`."""
        self._engine.save(str(folder))

    @classmethod
    def open(cls, folder: Path) -> Lexical:
        """Read what `save` wrote."""
        import bm25s

        return cls(bm25s.BM25.load(str(folder), show_progress=False))

    def scores(self, text: str) -> np.ndarray:
        """BM25 of every passage for a question, float32 of shape (n_passages,); 0 where no word is shared."""
        known = [word for word in terms(text) if word in self._engine.vocab_dict]
        if not known:
            return np.zeros(int(self._engine.scores["num_docs"]), dtype=np.float32)
        return np.asarray(self._engine.get_scores(known), dtype=np.float32)

    def term(self, word: str) -> int | None:
        """The number of a stemmed word, from 0; None for one that no passage has."""
        # bm25s' vocabulary may hold a word, the empty one, that has no column.
        found = self._engine.vocab_dict.get(word)
        return found if found is not None and found < len(self._bounds) - 1 else None

    @property
    def frequencies(self) -> np.ndarray:
        """How many passages have each term, int of shape (n_terms,)."""
        return np.diff(self._bounds)

    def postings(self, term: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the passages that have a term, ascending, and the BM25 that it adds to each, float32."""
        span = slice(self._bounds[term], self._bounds[term + 1])
        return self._engine.scores["indices"][span], self._engine.scores["data"][span]
