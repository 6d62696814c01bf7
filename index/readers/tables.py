"""CSV, JSON, JSONL, Parquet and saved `datasets` folders, row by row through a column map."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.extras import need
from index import clean
from index.corpus import QAPair
from index.readers import maps
from index.readers.delimited import Delimited
from index.readers.files import TABLES, walk
from index.readers.report import ReadReport

SUFFIXES = TABLES
BATCH = 2048
PEEK = 50
"""Rows looked at for the column names of a format that has no header."""
Row = dict[str, Any]


@dataclass
class Table:
    """The column names, and a stream of rows that is read once: each with where it stands, for people."""

    columns: list[str]
    rows: Callable[[Collection[str]], Iterator[tuple[str, Row]]]
    """Takes the columns without which a row is of no use."""


def read(path: Path, column_map: str | None, report: ReadReport) -> Iterator[QAPair]:
    """The pairs of one file or one folder, through the named map or the one that fits.

    A single file that cannot be read is a UserError; in a folder it is skipped and named, unless nothing is left.
    """
    if path.is_dir() and is_saved(path):
        report.files += 1
        yield from _pairs(path, _saved(path), column_map, report)
        return
    files = walk(path, SUFFIXES) if path.is_dir() else [path]
    read_one, first_error = False, None
    for file in files:
        report.files += 1
        try:
            yield from _pairs(file, _open(file, report), column_map, report)
            read_one = True
        except UserError as error:
            if len(files) == 1:
                raise
            first_error = first_error or error
            report.skip(file.relative_to(path).as_posix(), error)
    if first_error and not read_one:
        raise first_error


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `datasets`' `save_to_disk`."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def _pairs(path: Path, table: Table, name: str | None, report: ReadReport) -> Iterator[QAPair]:
    column_map = maps.choose(table.columns, path, name)
    for number, (place, row) in enumerate(table.rows(column_map.needed), start=1):
        if objects := [column for column in column_map.needed if maps.is_object(row.get(column))]:
            report.skip(place, f"{', '.join(objects)}: an object, not text: give its text a column")
            continue
        report.read += 1
        if not column_map.keeps(row):
            report.left_out += 1
            continue
        question, answer = column_map.value(column_map.question, row), column_map.value(column_map.answer, row)
        if not answer:
            report.unanswered += 1
            continue
        if column_map.deidentify:
            question = _deidentify(question, report)
            answer = _deidentify(answer, report)
        own = column_map.value(column_map.id, row)
        url = column_map.value(column_map.url, row)
        source = column_map.value(column_map.source, row) or path.stem
        report.answered += 1
        report.answered_by_source[source] += 1
        yield QAPair(
            id=own or f"{path.stem}/{number}",
            question=question,
            answer=answer,
            collection=column_map.value(column_map.collection, row) or path.stem,
            document=column_map.value(column_map.document, row),
            question_id=column_map.value(column_map.question_id, row),
            question_type=column_map.value(column_map.question_type, row),
            focus=column_map.value(column_map.focus, row),
            synonyms=column_map.values(column_map.synonyms, row),
            cuis=column_map.values(column_map.cuis, row),
            semantic_types=column_map.values(column_map.semantic_types, row),
            semantic_group=column_map.value(column_map.semantic_group, row),
            source=source,
            url=url,
            urls=(url,) if url else (),
        )


def _deidentify(text: str, report: ReadReport) -> str:
    text, emails, phones = clean.deidentify(text)
    report.emails += emails
    report.phones += phones
    return text


def _open(path: Path, report: ReadReport) -> Table:
    readers = {".csv": _csv, ".tsv": _csv, ".json": _json, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}
    try:
        table = readers[path.suffix.lower()](path, report)
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise _unreadable(path, error) from error
    return Table(table.columns, lambda needed: _guarded(path, table, needed))


def _guarded(path: Path, table: Table, needed: Collection[str]) -> Iterator[tuple[str, Row]]:
    """The rows, with the errors that streaming can still meet turned into one line."""
    import pyarrow

    try:
        yield from table.rows(needed)
    except (UnicodeDecodeError, OSError, csv.Error, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, UnicodeDecodeError):
        return UserError(
            f"{path} is not UTF-8 (byte 0x{error.object[error.start]:02x}): convert it, "
            f"for example with `iconv -f WINDOWS-1252 -t UTF-8`"
        )
    return UserError(f"{path} cannot be read: {error}")


def _csv(path: Path, report: ReadReport) -> Table:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as peek:
        try:
            header = [name.strip() for name in Delimited(peek, delimiter).header()]
        except UserError as error:
            raise UserError(f"{path}: {error}: close it") from error
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        raise UserError(f"{path} names a column twice: {', '.join(named)}")
    if len(named) == 1 and ";" in named[0]:
        raise UserError(f"{path} has semicolons between its columns: save it with commas, or as .tsv with tabs")

    def rows(needed: Collection[str]) -> Iterator[tuple[str, Row]]:
        least = max((header.index(name) + 1 for name in needed if name in header), default=1)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = Delimited(stream, delimiter)
            table.header()
            for record in table.rows(len(header), least):
                place = f"{path.name} {record.place}"
                if record.problem:
                    report.skip(place, record.problem)
                    continue
                if record.mended:
                    report.mend(place, record.mended)
                # A column without a name cannot be asked for, and a row may lack its last cells.
                yield place, {name: cell for name, cell in zip(header, record.cells, strict=False) if name}

    return Table(named, rows)


def _json(path: Path, report: ReadReport) -> Table:
    with path.open(encoding="utf-8-sig") as stream:
        start = ""
        while (character := stream.read(1)).isspace():
            pass
        start = character + stream.readline()
        if start.startswith("{") and _is_object(start):  # a .json that is really one object a line
            return _jsonl(path, report)
        stream.seek(0)
        try:
            data = json.load(stream)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{path} is not JSON: {error}") from error
    if isinstance(data, dict) and isinstance(data.get("data"), list):
        data = data["data"]
    if not isinstance(data, list):
        raise UserError(f'{path} should hold a list of records, or {{"data": [...]}}')

    def records() -> Iterator[tuple[str, Row]]:
        for number, record in enumerate(data, start=1):
            place = f"{path.name} record {number}"
            if isinstance(record, dict):
                yield place, record
            else:
                report.skip(place, "not an object")

    return _peek(records())


def _is_object(line: str) -> bool:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return False
    return isinstance(record, dict) and not isinstance(record.get("data"), list)


def _jsonl(path: Path, report: ReadReport) -> Table:
    def records() -> Iterator[tuple[str, Row]]:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                place = f"{path.name} line {number}"
                try:
                    record = json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    report.skip(place, error)
                    continue
                if isinstance(record, dict):
                    yield place, record
                else:
                    report.skip(place, "not an object")

    return _peek(records())


def _peek(records: Iterator[tuple[str, Row]]) -> Table:
    first = list(islice(records, PEEK))
    columns = list(dict.fromkeys(str(name) for _, record in first for name in record))
    return Table(columns, lambda needed: chain(first, records))


def _parquet(path: Path, report: ReadReport) -> Table:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} is not a Parquet file: {error}") from error
    rows = (row for batch in file.iter_batches(batch_size=BATCH) for row in batch.to_pylist())
    return Table(list(file.schema_arrow.names), lambda needed: _numbered(path, rows))


def _saved(folder: Path) -> Table:
    need("datasets", f"{folder} is a saved dataset")
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:
        # datasets raises whatever its Arrow, JSON and feature layers raise; all mean the same to a reader.
        raise UserError(f"{folder} looks like a saved dataset but cannot be read: {error}") from error
    splits = list(loaded.values()) if isinstance(loaded, datasets.DatasetDict) else [loaded]
    columns = list(dict.fromkeys(name for split in splits for name in split.column_names))

    def rows() -> Iterator[Row]:
        for split in splits:
            for start in range(0, len(split), BATCH):
                batch = split[start : start + BATCH]
                yield from (dict(zip(batch, cells, strict=True)) for cells in zip(*batch.values(), strict=True))

    return Table(columns, lambda needed: _numbered(folder, rows()))


def _numbered(path: Path, rows: Iterator[Row]) -> Iterator[tuple[str, Row]]:
    return ((f"{path.name} row {number}", row) for number, row in enumerate(rows, start=1))
