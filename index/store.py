"""The index on disk: passages, vectors, lexical postings and a manifest, in one folder, whole or not at all.

    index = Index.open(folder)

A folder holds generations (`gen-…`) and a small file `current` that names the one in use. A build writes a new
generation, its manifest last, and then replaces `current`: a kill at any moment leaves the old index in use.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import Field, asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from configs import files
from configs.errors import UserError
from index import identity
from index.corpus import QAPair
from index.passages import Passage
from index.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

    from index.lexical import Lexical

SCHEMA = 1
CURRENT = "current"
MANIFEST = "manifest.json"
PAIRS, PASSAGES = "pairs.parquet", "passages.parquet"
QUESTION_VECTORS, PASSAGE_VECTORS = "questions.faiss", "passages.faiss"
LEXICAL = "lexical"
VOCABULARY = "vocabulary.json"

Row = TypeVar("Row", QAPair, Passage)


@dataclass(frozen=True)
class Manifest:
    """What an index was made from and by, and the size and SHA-256 of each of its files.

    `sources` holds the corpus's `identity.Part`s; `spec` the specification it was read from, in absolute paths, and
    `named` whether a person named it. An older index has none of the three. `growing` is empty for a whole index; for
    a stage of one that grows it says how many `questions` and `passages` have vectors, and the `max_tokens` of the cut.
    """

    schema: int
    created: str
    corpus_name: str
    corpus_digest: str
    config_hash: str
    embedder: str
    precision: str
    dimensions: int
    pairs: int
    passages: int
    demonstration: int
    versions: dict[str, str]
    commit: str
    files: dict[str, dict[str, Any]]
    sources: list[dict[str, Any]] = field(default_factory=list)
    spec: list[str] = field(default_factory=list)
    named: bool = False
    growing: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[identity.Part, ...]:
        """What the corpus is; of an older index, what its name tells."""
        return identity.parsed(self.sources) or identity.from_name(self.corpus_name, self.pairs)

    @property
    def vectors(self) -> tuple[int, int]:
        """How many questions and passages have vectors."""
        found = self.growing
        return (found["questions"], found["passages"]) if found else (self.pairs, self.passages)

    @property
    def words(self) -> dict[str, str]:
        """The hashes of what stays the same while an index grows: all of its files but the vectors."""
        vectors = (QUESTION_VECTORS, PASSAGE_VECTORS)
        return {name: entry["sha256"] for name, entry in self.files.items() if name not in vectors}


class Rows(Sequence[Row], Generic[Row]):
    """Rows of a table as objects, made when asked for: opening a large index stays quick."""

    def __init__(self, table: pa.Table, kind: type[Row]) -> None:
        self._kind: Any = kind
        self._columns = [_read(table, one) for one in fields(kind)]
        self._size = table.num_rows

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[n] for n in range(*row.indices(self._size))]
        if not -self._size <= row < self._size:
            raise IndexError(row)
        return self._make([column[int(row) % self._size].as_py() for column in self._columns])

    def __iter__(self) -> Iterator[Row]:
        for values in zip(*(column.to_pylist() for column in self._columns), strict=True):
            yield self._make(values)

    def _make(self, values: Any) -> Row:
        return self._kind(*(tuple(value) if isinstance(value, list) else value for value in values))


def _read(table: pa.Table, one: Field[Any]) -> Any:
    """A column of a table; one that an older index lacks holds the field's default."""
    import pyarrow as pa

    if one.name in table.column_names:
        return table[one.name].combine_chunks()
    default = list(one.default) if isinstance(one.default, tuple) else one.default
    return pa.array([default] * table.num_rows, pa.list_(pa.string()) if isinstance(default, list) else None)


@dataclass(frozen=True)
class Index:
    """An opened index. Row n of `question_vectors` is pair n, row n of `passage_vectors` and `lexical` passage n.

    A stage of a growing index holds the vectors that are there, under those numbers; `index.growing` makes it whole.
    """

    folder: Path
    manifest: Manifest
    pairs: Sequence[QAPair]
    passages: Sequence[Passage]
    pair_of: np.ndarray
    question_vectors: Any
    passage_vectors: Any
    lexical: Lexical

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The corpus's words; of an index that was built without them, counted now."""
        try:
            return Vocabulary.load(_in_use(self.folder) / VOCABULARY)
        except (OSError, ValueError, KeyError):
            return Vocabulary.of(self.pairs)

    @classmethod
    def open(cls, folder: Path, growing: bool = False, before: Index | None = None) -> Index:
        """Open the index in `folder`. `before`: an earlier stage of it, of which what is the same is taken.

        Raises UserError where there is none, or it is of another schema or damaged, and, unless `growing` is wanted,
        where it is not whole yet.
        """
        while True:
            manifest, place = read_manifest(folder)
            if manifest.growing and not growing:
                raise UserError(f"{folder}: not all of it has vectors yet; wait for its build, or go on: make index")
            try:
                return cls._open(folder, manifest, place, before)
            except UserError:
                if place == read_manifest(folder)[1]:
                    raise
                # A build put another generation in use and removed this one while it was being opened.

    @classmethod
    def _open(cls, folder: Path, manifest: Manifest, place: Path, before: Index | None) -> Index:
        import pyarrow.parquet as pq

        from index import vectors
        from index.lexical import Lexical

        check_sizes(manifest, place)
        try:
            asked, cut = vectors.read(place / QUESTION_VECTORS), vectors.read(place / PASSAGE_VECTORS)
            if before is not None and before.manifest.words == manifest.words:
                index = replace(before, manifest=manifest, question_vectors=asked, passage_vectors=cut)
            else:
                # Not `read_table` nor `to_numpy`, which import pandas: half of the time that opening would take.
                pairs = pq.ParquetFile(place / PAIRS).read()
                passages = pq.ParquetFile(place / PASSAGES).read()
                index = cls(
                    folder,
                    manifest,
                    Rows(pairs, QAPair),
                    Rows(passages, Passage),
                    np.from_dlpack(passages["pair"].combine_chunks()).astype(np.int32),
                    asked,
                    cut,
                    Lexical.open(place / LEXICAL),
                )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(f"{place}: damaged index ({error}); build it again: make index") from None
        vectored = (index.question_vectors.ntotal, index.passage_vectors.ntotal)
        rows = (len(index.pairs), vectored[0], len(index.passages), vectored[1])
        if rows != (manifest.pairs, manifest.vectors[0], manifest.passages, manifest.vectors[1]):
            raise UserError(f"{place}: damaged index (rows {rows} do not fit); build it again: make index")
        return index


def read_manifest(folder: Path) -> tuple[Manifest, Path]:
    """The manifest in use and the folder of its generation. Raises UserError where there is none to be read."""
    try:
        while True:
            place = _in_use(folder)
            try:
                data = json.loads((place / MANIFEST).read_text("utf-8"))
                break
            except FileNotFoundError:
                if place == _in_use(folder):
                    raise
        if data.get("schema") != SCHEMA:
            raise UserError(f"{folder}: an index of schema {data.get('schema')}, not {SCHEMA}; build it: make index")
        manifest = Manifest(**data)
        identity.parsed(manifest.sources)
        _ = manifest.vectors
        return manifest, place
    except FileNotFoundError:
        raise UserError(f"{folder}: no index there; build one: make index") from None
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{folder}: damaged index ({error}); build it again: make index") from None


def _in_use(folder: Path) -> Path:
    return folder / Path((folder / CURRENT).read_text("utf-8").strip()).name


def check_sizes(manifest: Manifest, place: Path) -> None:
    """Raise UserError if a file is missing or of another size than the manifest says."""
    for name, entry in manifest.files.items():
        file = place / name
        if not file.is_file():
            raise UserError(f"{file}: missing from the index; build it again: make index")
        if file.stat().st_size != entry["size"]:
            raise UserError(f"{file}: {file.stat().st_size} bytes, not {entry['size']}; build it again: make index")


def verify(folder: Path) -> Manifest:
    """Read every file of the index in use and compare its hash. Raises UserError for the first that differs."""
    manifest, place = read_manifest(folder)
    check_sizes(manifest, place)
    for name, entry in manifest.files.items():
        if files.digest_file(place / name) != entry["sha256"]:
            raise UserError(f"{place / name}: its content changed; build the index again: make index")
    Index.open(folder, growing=True)
    return manifest


def write_tables(place: Path, pairs: Sequence[QAPair], passages: Sequence[Passage]) -> None:
    """Write pairs and passages as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, kind, rows in ((PAIRS, QAPair, pairs), (PASSAGES, Passage, passages)):
        columns = {one.name: _column(pa, [getattr(row, one.name) for row in rows], one.type) for one in fields(kind)}
        pq.write_table(pa.table(columns), place / name)


def _column(pa: Any, values: list[Any], kind: Any) -> Any:
    types = {"int": pa.int32(), "bool": pa.bool_(), "str": pa.string()}
    return pa.array(
        [list(value) if isinstance(value, tuple) else value for value in values],
        types.get(str(kind), pa.list_(pa.string())),
    )


def publish(folder: Path, place: Path, manifest: Manifest) -> None:
    """Write the manifest of a finished generation, put it in use, and remove the others."""
    files.write_json(place / MANIFEST, asdict(manifest))
    files.write(folder / CURRENT, place.name + "\n")
    for other in folder.glob("gen-*"):
        if other != place:
            # A reader that opened it keeps its files in memory; one that is just opening starts again.
            shutil.rmtree(other, ignore_errors=True)


def remember(folder: Path, spec: Sequence[str], named: bool, parts: Sequence[identity.Part] = ()) -> None:
    """Change where the manifest in use says its corpus is read from: the same files, under other paths.

    `parts` is what an older index's corpus is known to be; a manifest that says so itself keeps its own word.
    """
    manifest, place = read_manifest(folder)
    rows = manifest.sources or [asdict(one) for one in parts]
    changed = replace(manifest, spec=list(spec), named=named, sources=rows)
    if changed != manifest:
        with files.said(place / MANIFEST):
            files.write_json(place / MANIFEST, asdict(changed))
