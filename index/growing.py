"""An index that is still growing: what it says of itself, and the vectors that it does not have yet.

    index = Index.open(folder, growing=True)
    line(index.manifest, building(folder))      # one line for people; empty for a whole index
    index = filled(index, embed)                # as a whole index, but for what is found by vectors alone

Its words are all there. A question is looked for among the vectors that there are and among all words, and the few
passages that only their words bring get their vectors when they are asked for: so what retrieval decides on is the same
as with the whole index.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.errors import UserError
from index import passages
from index.store import read_manifest

if TYPE_CHECKING:
    from index.embedder import EmbedderLike
    from index.store import Index, Manifest

Encode = Callable[[list[str]], np.ndarray]
"""Texts to unit vectors, float32 (n, d)."""
REMEMBERED = 4096
"""Vectors that were embedded for a question and are kept: 6 MB of 384 numbers each."""
LOCK = ".lock"


class Vectors:
    """The vectors of all rows: those that are stored, and any other once it is asked for. Stands for a FAISS index."""

    def __init__(self, stored: Any, total: int, texts: Callable[[Sequence[int]], list[str]], encode: Encode) -> None:
        """`stored` holds some rows under their numbers, of `total`; `texts` gives the texts of rows."""
        import faiss

        self._stored = stored
        self._texts = texts
        self._encode = encode
        self._asked: dict[int, np.ndarray] = {}
        self._there = np.zeros(total, dtype=bool)
        self._there[faiss.vector_to_array(stored.id_map)] = True
        self.ntotal = total
        self.d: int = stored.d

    def there(self, rows: np.ndarray) -> np.ndarray:
        """Which rows are stored, (n,) bool; of the others it does not matter which were asked for before."""
        return np.asarray(self._there[rows])

    def search(self, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows of the best `count` of the stored ones, each (n, count); -1 where there are no more."""
        scores, rows = self._stored.search(vectors, count)
        return scores, rows

    def reconstruct_batch(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of rows, float32 (n, d); those that are missing are embedded in one call and remembered."""
        out = np.empty((len(rows), self.d), dtype=np.float32)
        there = self._there[rows]
        if there.any():
            out[there] = self._stored.reconstruct_batch(np.ascontiguousarray(rows[there], dtype=np.int64))
        others = rows[~there].tolist()
        asked = self._asked
        if missing := [row for row in dict.fromkeys(others) if row not in asked]:
            asked = {**asked, **dict(zip(missing, self._encode(self._texts(missing)), strict=True))}
            self._asked = dict(list(asked.items())[-REMEMBERED:])
        for place, row in zip(np.flatnonzero(~there), others, strict=True):
            out[place] = asked[row]
        return out


def filled(index: Index, embedder: EmbedderLike, encode: Encode) -> Index:
    """A stage of a growing index with vectors for every row; a whole index as it is.

    `encode` embeds what is missing, as `embedder` does.
    """
    found = index.manifest.growing
    if not found:
        return index

    def questions(rows: Sequence[int]) -> list[str]:
        return [index.pairs[row].question for row in rows]

    def texts(rows: Sequence[int]) -> list[str]:
        asked = questions([int(index.pair_of[row]) for row in rows])
        heads = passages.headings(asked, embedder.count_tokens, found["max_tokens"])
        return [passages.embedding_text(head, index.passages[row]) for head, row in zip(heads, rows, strict=True)]

    return replace(
        index,
        question_vectors=Vectors(index.question_vectors, len(index.pairs), questions, encode),
        passage_vectors=Vectors(index.passage_vectors, len(index.passages), texts, encode),
    )


def progress(manifest: Manifest) -> str:
    """How far a growing index is, in words."""
    return f"{manifest.vectors[1]:,} of {manifest.passages:,} passages have vectors"


def line(manifest: Manifest, building: bool) -> str:
    """What a reader is told of an index that is not whole, in one line; empty for a whole one."""
    if not manifest.growing:
        return ""
    if building:
        return f"The index is still growing: {progress(manifest)}. Answers get better as it grows."
    return f"The index is not finished: {progress(manifest)}. `make index` goes on with it."


def told(index: Index, newest: bool = False) -> str:
    """`line` of an opened index; `newest`: of the stage of it that is in use by now."""
    manifest = index.manifest
    if not manifest.growing:
        return ""
    if newest:
        with suppress(UserError):
            manifest = read_manifest(index.folder)[0]
    return line(manifest, building(index.folder))


def building(folder: Path) -> bool:
    """Whether a build of the index in `folder` is running; False where that cannot be told."""
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder's builds, which the system frees when a build is killed.

    Raises UserError where another build holds it.
    """
    with (folder / LOCK).open("w") as lock:
        for patience in (0.05, 0.2, 0.5, None):  # `building` holds it for a moment
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if patience is None:
                    raise UserError(f"{folder}: another build is running there; wait for it") from None
                time.sleep(patience)
        yield
