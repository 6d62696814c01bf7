"""Readers: a file or folder on disk to `QAPair`s, uncleaned. `index.sources.load_corpus` is what calls them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs.errors import UserError
from index.corpus import QAPair
from index.readers import medquad, tables
from index.readers.files import walk
from index.readers.report import ReadReport

__all__ = ["ReadReport", "is_xml", "read", "source_files"]

DATA = (".xlsx", ".xls", ".ods", ".zip", ".gz", ".bz2", ".xz", ".zst", ".arrow", ".feather", ".sqlite", ".db")
"""Kinds of file that may hold a corpus but are not read in a folder; they are named where they stand in one."""


def is_xml(path: Path, column_map: str | None = None) -> bool:
    """Whether a source is read as MedQuAD's XML rather than as a table.

    Raises UserError for a path that does not exist, or that holds nothing any reader knows.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: give a MedQuAD zip or folder, a CSV, JSON, JSONL or Parquet file")
    if path.is_dir():
        if column_map is None and not tables.is_saved(path) and walk(path, (".xml",)):
            return True
        if tables.is_saved(path) or walk(path, tables.SUFFIXES):
            return False
        raise UserError(f"{path} holds nothing to read: no {', '.join(('.xml', *tables.SUFFIXES))} files")
    if path.suffix.lower() in tables.SUFFIXES:
        return False
    if path.suffix.lower() not in (".zip", ".xml"):
        kinds = ", ".join((".zip", ".xml", *tables.SUFFIXES))
        raise UserError(f"{path} is of no kind that is read here: give a folder, or a file ending in one of {kinds}")
    if column_map:
        raise UserError(f"{path} is read as MedQuAD's XML, which takes no column map ({column_map})")
    return True


def source_files(path: Path, column_map: str | None = None) -> list[Path]:
    """The files whose bytes decide what `read` gives, in order."""
    if not path.is_dir():
        is_xml(path, column_map)
        return [path]
    if is_xml(path, column_map):
        return walk(path, (".xml",))
    return walk(path, (".arrow", ".json")) if tables.is_saved(path) else walk(path, tables.SUFFIXES)


def _pass_over(folder: Path, xml: bool, taken: set[Path], report: ReadReport) -> None:
    """Name the files of a folder that hold data but are not among those that are read."""
    for file in sorted(folder.rglob("*")):
        if file in taken or file.is_dir() or any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        suffix, name = file.suffix.lower(), file.relative_to(folder).as_posix()
        if tables.is_saved(folder) and suffix in (".json", ".arrow") and not file.is_symlink():
            continue
        if file.is_symlink() and suffix in (".xml", ".arrow", *tables.SUFFIXES):
            report.pass_over(name, "a link, which is not followed: copy the file here or name it as a source")
        elif suffix in (".xml", *tables.SUFFIXES):
            kind = "MedQuAD's XML" if xml else "a saved dataset" if tables.is_saved(folder) else "tables"
            report.pass_over(name, f"this folder is read as {kind}: name the file as a source of its own")
        elif suffix in DATA:
            report.pass_over(name, f"{suffix} is not read here")


def read(path: Path, column_map: str | None = None, report: ReadReport | None = None) -> Iterator[QAPair]:
    """Stream the answered pairs of a MedQuAD zip or folder, or of a table through a column map.

    `column_map` is a shipped map's name or a TOML path; None picks the one that fits. Counts and skipped files
    go to `report`. Raises UserError for hostile input and for a source from which nothing can be read.
    """
    report = report if report is not None else ReadReport()
    xml = is_xml(path, column_map)
    if path.is_dir():
        _pass_over(path, xml, set(source_files(path, column_map)), report)
    if xml:
        yield from medquad.read(path, report)
    else:
        yield from tables.read(path, column_map, report)
