"""Vectors kept by content, so that a rebuild embeds only what changed and an interrupted build is resumed."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from configs import files
from configs.errors import UserError
from index import shipped
from index.embedder import EmbedderLike, Progress

CHUNK = 512
"""Texts embedded between two commits: what a kill can cost."""


def encode(
    texts: Sequence[str],
    embedder: EmbedderLike,
    folder: Path | None,
    progress: Progress | None,
    ready: shipped.Shipped | None = None,
) -> np.ndarray:
    """Vectors of `texts`, float32 (n, d), embedding each distinct text once and only if `folder` and `ready` lack it.

    The cache is one SQLite file for each embedder and precision. None: no cache. `progress` counts all texts. `ready`
    are vectors that came with medcite; where they do not agree with the embedder, a line says so and none is taken.
    A damaged file is set aside and everything embedded again. Raises UserError where the file cannot be used.
    """
    distinct = list(dict.fromkeys(texts))
    if folder is None:
        known = _ready(distinct, embedder, ready, progress)
        missing = [text for text in distinct if text not in known]
        known |= dict(zip(missing, embedder.encode(missing, progress), strict=True))
        return _table(texts, known, embedder.dimensions)
    folder.mkdir(parents=True, exist_ok=True)
    name = files.digest(f"{embedder.fingerprint} {embedder.precision}")[:16]
    file = folder / f"{name}.sqlite"
    try:
        try:
            known = _known(file, distinct, embedder, progress, ready)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            _set_aside(file, error)
            known = _known(file, distinct, embedder, progress, ready)
    except sqlite3.Error as error:
        raise UserError(f"{file}: {error}; free some space, or delete the file, and build again") from None
    return _table(texts, known, embedder.dimensions)


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


def _known(
    file: Path,
    distinct: Sequence[str],
    embedder: EmbedderLike,
    progress: Progress | None,
    ready: shipped.Shipped | None,
) -> dict[str, np.ndarray]:
    with closing(sqlite3.connect(file, timeout=60)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
        keys = {text: files.key(text) for text in distinct}
        stored = _stored(base, list(keys.values()), embedder.dimensions)
        known = {text: stored[key] for text, key in keys.items() if key in stored}
        if progress and known:
            progress(len(known))
        known |= _ready([text for text in distinct if text not in known], embedder, ready, progress)
        missing = sorted((text for text in distinct if text not in known), key=len, reverse=True)
        for begin in range(0, len(missing), CHUNK):
            part = missing[begin : begin + CHUNK]
            vectors = embedder.encode(part, progress)
            with base:
                base.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                    [(keys[text], vector.tobytes()) for text, vector in zip(part, vectors, strict=True)],
                )
            known.update(zip(part, vectors, strict=True))
    return known


def _stored(base: sqlite3.Connection, keys: list[bytes], dimensions: int) -> dict[bytes, np.ndarray]:
    found: dict[bytes, np.ndarray] = {}
    for begin in range(0, len(keys), CHUNK):
        part = keys[begin : begin + CHUNK]
        marks = ",".join("?" * len(part))
        for key, blob in base.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part):
            if len(blob) == 4 * dimensions:
                found[key] = np.frombuffer(blob, dtype=np.float32)
    return found


def _table(texts: Sequence[str], known: dict[str, np.ndarray], dimensions: int) -> np.ndarray:
    out = np.zeros((len(texts), dimensions), dtype=np.float32)
    for row, text in enumerate(texts):
        out[row] = known[text]
    return out
