"""The files of a corpus, from a folder or straight from a zip, with hostile archives refused.

Nothing is unpacked to disk: each file is read into memory, one at a time, under a size limit.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from configs.errors import UserError
from index.readers.report import ReadReport

MAX_FILE = 64 * 2**20
"""Bytes of one XML file. MedQuAD's largest has under 0.2 MB."""
MAX_TOTAL = 2 * 2**30
"""Bytes of a whole archive, unpacked. MedQuAD has 37 MB."""
MAX_RATIO = 100
"""Unpacked over packed size, for anything over `RATIO_FROM`. Text seldom passes 20; deflate can reach 1,032."""
RATIO_FROM = 2**20
MAX_ENTRIES = 200_000
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
"""How the names of tables end."""


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `2_GARD` before `10_ADAM`."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", name)]


def walk(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files under a folder with one of the suffixes, in natural order. Links are not followed."""
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and not path.is_symlink()
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return sorted(found, key=lambda path: natural(path.relative_to(folder).as_posix()))


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open an archive after checking every entry's name and size. Raises UserError for what is not safe."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise UserError(f"{path} is not a zip file that can be read ({error}): download it again") from error
    try:
        _check(path, archive.infolist())
    except UserError:
        archive.close()
        raise
    return archive


def _check(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise UserError(f"{path} holds {len(entries):,} entries, over the limit of {MAX_ENTRIES:,}: refused")
    for entry in entries:
        # orig_filename: zipfile has already rewritten separators and cut at NUL in `filename`.
        name = entry.orig_filename
        escapes = (
            name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name)
        ) or "\0" in name
        if escapes:
            raise UserError(f"{path} holds an entry that points outside the archive, {name[:80]!r}: refused")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UserError(f"{path} holds a symbolic link, {name[:80]!r}: refused")
        if entry.file_size > RATIO_FROM and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            times = entry.file_size / max(entry.compress_size, 1)
            raise UserError(f"{path}: {name[:80]!r} unpacks to {times:,.0f} times its size, like a zip bomb: refused")
    total = sum(entry.file_size for entry in entries)
    if total > MAX_TOTAL:
        raise UserError(f"{path} unpacks to {total:,} bytes, over the limit of {MAX_TOTAL:,}: refused")
    packed = path.stat().st_size
    if total > RATIO_FROM and total > MAX_RATIO * packed:
        raise UserError(f"{path} unpacks to {total / packed:,.0f} times its size, like a zip bomb: refused")


def zip_names(archive: zipfile.ZipFile, suffix: str) -> list[str]:
    """The archive's files with a suffix, in natural order, without the litter of macOS."""
    names = {
        entry.filename
        for entry in archive.infolist()
        if not entry.is_dir()
        and entry.filename.lower().endswith(suffix)
        and not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(entry.filename).parts)
    }
    return sorted(names, key=natural)


def xml_files(path: Path, report: ReadReport) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Name and bytes of each XML file of a zip, a folder or a single file. Unreadable ones go to the report."""
    if path.is_dir():
        yield from _from_disk(path, walk(path, (".xml",)), report)
    elif path.suffix.lower() == ".xml":
        yield from _from_disk(path.parent, [path], report)
    else:
        with open_zip(path) as archive:
            names = zip_names(archive, ".xml")
            if not names:
                raise UserError(f"{path} holds no XML file: MedQuAD's zip was expected; unpack other corpora first")
            for suffix in TABLES:
                for name in zip_names(archive, suffix):
                    report.pass_over(name, "this archive is read as MedQuAD's XML: unpack it and name the file")
            for name in names:
                report.files += 1
                try:
                    with archive.open(name) as stream:
                        data = stream.read(MAX_FILE + 1)
                except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
                    report.skip(name, error)
                    continue
                if len(data) > MAX_FILE:
                    report.skip(name, f"over {MAX_FILE:,} bytes")
                    continue
                yield PurePosixPath(name), data


def _from_disk(root: Path, files: list[Path], report: ReadReport) -> Iterator[tuple[PurePosixPath, bytes]]:
    for file in files:
        report.files += 1
        name = file.relative_to(root).as_posix()
        try:
            if file.stat().st_size > MAX_FILE:
                report.skip(name, f"over {MAX_FILE:,} bytes")
                continue
            data = file.read_bytes()
        except OSError as error:
            report.skip(name, error.strerror or error)
            continue
        yield PurePosixPath(name) if file.parent != root else PurePosixPath(root.name) / name, data
