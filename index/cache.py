"""Vectors kept by content, so that a rebuild embeds only what changed and an interrupted build is resumed."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np

from configs import files
from configs.errors import UserError
from index import shipped
from index.embedder import EmbedderLike, Progress

CHUNK = 512
"""Texts embedded between two commits: what a kill can cost."""

T = TypeVar("T")


def encode(
    texts: Sequence[str],
    embedder: EmbedderLike,
    folder: Path | None,
    progress: Progress | None,
    ready: shipped.Shipped | None = None,
) -> np.ndarray:
    """Vectors of `texts`, float32 (n, d), embedding each distinct text once and only if `folder` and `ready` lack it.

    `progress` counts all texts; the rest is as `find` and `embed` have it. Raises UserError as they do.
    """
    known = find(texts, embedder, folder, progress, ready)
    for part in chunks(texts, known, folder):
        known |= embed(part, embedder, folder, progress)
    return table(texts, known, embedder.dimensions)


def find(
    texts: Sequence[str],
    embedder: EmbedderLike,
    folder: Path | None,
    progress: Progress | None = None,
    ready: shipped.Shipped | None = None,
) -> dict[str, np.ndarray]:
    """The vectors, float32 (d,), of those of the texts that have one already; embeds nothing but a sample of `ready`.

    The cache is one SQLite file for each embedder and precision. None: no cache. `ready` are vectors that came with
    medcite; where they do not agree with the embedder, a line says so and none is taken. A damaged file is set aside.
    Raises UserError where the file cannot be used.
    """
    distinct = list(dict.fromkeys(texts))
    known: dict[str, np.ndarray] = {}
    if folder is not None:
        keys = {text: files.key(text) for text in distinct}
        stored = _with(folder, embedder, lambda base: _stored(base, list(keys.values()), embedder.dimensions))
        known = {text: stored[key] for text, key in keys.items() if key in stored}
        if progress and known:
            progress(len(known))
    return known | _ready([text for text in distinct if text not in known], embedder, ready, progress)


def chunks(
    texts: Sequence[str], known: Collection[str], folder: Path | None, first: Collection[str] = ()
) -> list[list[str]]:
    """The distinct texts that are not `known`, in the parts in which they are embedded, in that order.

    A vector depends a little on what it is computed beside, so the parts are the same whatever is wanted first: they
    are made in the order of lengths. Those that hold most of the texts in `first` come first, then the shortest.
    Without a cache there is one part, for nothing is kept between them.
    """
    missing = [text for text in dict.fromkeys(texts) if text not in known]
    if folder is None:
        return [missing] if missing else []
    missing.sort(key=len, reverse=True)
    parts = [missing[begin : begin + CHUNK] for begin in range(0, len(missing), CHUNK)]
    wanted = [sum(text in first for text in part) / len(part) for part in parts]
    return [parts[at] for at in sorted(range(len(parts)), key=lambda at: (-wanted[at], -at))]


def embed(
    texts: Sequence[str], embedder: EmbedderLike, folder: Path | None, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """The vectors of distinct texts, embedded and then kept all at once. Raises UserError as `find`."""
    vectors = embedder.encode(texts, progress)
    if folder is not None:
        rows = [(files.key(text), vector.tobytes()) for text, vector in zip(texts, vectors, strict=True)]

        def insert(base: sqlite3.Connection) -> None:
            with base:
                base.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

        _with(folder, embedder, insert)
    return dict(zip(texts, vectors, strict=True))


def table(texts: Sequence[str], known: Mapping[str, np.ndarray], dimensions: int) -> np.ndarray:
    """The vectors of `texts` as rows, float32 (n, d)."""
    out = np.zeros((len(texts), dimensions), dtype=np.float32)
    for row, text in enumerate(texts):
        out[row] = known[text]
    return out


def _with(folder: Path, embedder: EmbedderLike, use: Callable[[sqlite3.Connection], T]) -> T:
    """What `use` gives for the embedder's file, opened; a damaged one is set aside and a new one taken."""
    file = folder / f"{files.digest(f'{embedder.fingerprint} {embedder.precision}')[:16]}.sqlite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return _opened(file, use)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            _set_aside(file, error)
            return _opened(file, use)
    except sqlite3.Error as error:
        raise UserError(f"{file}: {error}; free some space, or delete the file, and build again") from None


def _opened(file: Path, use: Callable[[sqlite3.Connection], T]) -> T:
    with closing(sqlite3.connect(file, timeout=60)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
        return use(base)


def _set_aside(file: Path, error: sqlite3.Error) -> None:
    print(f"medcite: {file}: {error}; set aside, its texts are embedded again", file=sys.stderr)
    for part in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        if part.exists():
            part.replace(part.with_name(f"damaged-{part.name}"))


def _ready(
    texts: Sequence[str], embedder: EmbedderLike, ready: shipped.Shipped | None, progress: Progress | None
) -> dict[str, np.ndarray]:
    """The texts whose vectors came with medcite; none where those are damaged or not this embedder's."""
    if ready is None or not texts:
        return {}
    keys = {text: files.key(text) for text in texts}
    try:
        vectors = ready.find(list(keys.values()))
    except UserError as error:
        print(f"medcite: {error}; all texts are embedded", file=sys.stderr)
        return {}
    found = {text: vectors[key] for text, key in keys.items() if key in vectors}
    if found and not shipped.agree(found, embedder):
        print(f"medcite: {ready.folder}: not this embedder's vectors; all texts are embedded", file=sys.stderr)
        return {}
    if progress and found:
        progress(len(found))
    return found


def _stored(base: sqlite3.Connection, keys: list[bytes], dimensions: int) -> dict[bytes, np.ndarray]:
    found: dict[bytes, np.ndarray] = {}
    for begin in range(0, len(keys), CHUNK):
        part = keys[begin : begin + CHUNK]
        marks = ",".join("?" * len(part))
        for key, blob in base.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part):
            if len(blob) == 4 * dimensions:
                found[key] = np.frombuffer(blob, dtype=np.float32)
    return found
