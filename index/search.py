"""A plain search of an opened index: dense and lexical ranks fused. The full retriever is in `rag/retrieval/`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from index.corpus import QAPair
from index.embedder import EmbedderLike
from index.passages import Passage
from index.store import Index

RANK_CONSTANT = 60
"""k of reciprocal rank fusion: Cormack, Clarke & Büttcher, SIGIR 2009."""
DEPTH = 100


@dataclass(frozen=True)
class Found:
    """One passage: `score` is the fused one, `cosine` that of the passage, `bm25` the raw lexical score."""

    passage: Passage
    pair: QAPair
    score: float
    cosine: float
    bm25: float


def search(index: Index, embedder: EmbedderLike, question: str, k: int) -> list[Found]:
    """The `k` best passages for a question, best first, by reciprocal rank fusion of cosine and BM25."""
    vector = embedder.encode([question])
    depth = min(max(DEPTH, k), len(index.passages))
    cosines, rows = index.passage_vectors.search(vector, depth)
    cosine = {int(row): float(value) for row, value in zip(rows[0], cosines[0], strict=True) if row >= 0}
    lexical = index.lexical.scores(question)
    best = np.argsort(-lexical, kind="stable")[:depth]
    fused: dict[int, float] = {}
    for ranking in (list(cosine), [int(row) for row in best if lexical[row] > 0]):
        for rank, row in enumerate(ranking, 1):
            fused[row] = fused.get(row, 0.0) + 1 / (RANK_CONSTANT + rank)
    found = []
    for row in sorted(fused, key=lambda row: (-fused[row], row))[:k]:
        passage = index.passages[row]
        value = cosine.get(row)
        if value is None:
            value = float(index.passage_vectors.reconstruct(row) @ vector[0])
        found.append(Found(passage, index.pairs[passage.pair], fused[row], value, float(lexical[row])))
    return found
