"""FAISS indexes over unit vectors: flat inner product, HNSW past a size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HNSW_LINKS, HNSW_BUILD, HNSW_SEARCH = 32, 200, 128
"""M, efConstruction and efSearch; recall and speed against flat stand in docs/measurements/2026-11-21-bench.md."""


def make(vectors: np.ndarray, hnsw_above: int) -> Any:
    """A FAISS index over the rows of `vectors`, float32 (n, d), L2-normalized; inner product is the cosine."""
    import faiss

    count, dimensions = vectors.shape
    if count > hnsw_above:
        index: Any = faiss.IndexHNSWFlat(dimensions, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = HNSW_BUILD
        index.hnsw.efSearch = HNSW_SEARCH
    else:
        index = faiss.IndexFlatIP(dimensions)
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return index


def some(vectors: np.ndarray, rows: np.ndarray) -> Any:
    """A flat FAISS index over some rows of a table, each under its own number: what a growing index has of vectors."""
    import faiss

    index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), np.ascontiguousarray(rows, dtype=np.int64))
    return index


def write(index: Any, path: Path) -> None:
    """Write a FAISS index to a file."""
    import faiss

    faiss.write_index(index, str(path))


def read(path: Path) -> Any:
    """Read a FAISS index from a file."""
    import faiss

    return faiss.read_index(str(path))
