"""Sources: which corpus a build reads, merged into one, and where MedQuAD comes from when nobody gave a path.

A specification is a list of sources: a path (`medquad.zip`, `my.csv`), a path with its column map
(`dialogues.json::chatdoctor`, `my.csv::my_map.toml`), or `starter` for the project's own small corpus.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from configs.errors import UserError
from index import clean, readers
from index.corpus import QAPair
from index.readers import ReadReport, is_xml, maps, source_files
from index.readers.files import open_zip, walk, zip_names

if TYPE_CHECKING:
    from configs.schema import Cleaning

STARTER = "starter"
STARTER_FOLDER = Path(__file__).resolve().parent / "starter"
COMMIT = "577bd37b96c02d1833b2c9eed2de9f96964e96cb"
MEDQUAD_URL = f"https://github.com/abachaa/MedQuAD/archive/{COMMIT}.zip"
MEDQUAD_TREE = "fc6c86de5278cee80784ff3bfd3ecb0a2c9b1d8eecb897cc2ed56acf25173c47"
"""`tree_digest` of that commit's archive: the XML files' names and bytes, whatever the top folder is called."""
TIMEOUT = 10.0
"""Seconds without an answer after which the starter corpus is used instead."""
MAX_DOWNLOAD = 200 * 2**20
FORMAT = 2
"""Part of every digest. Raise it when reading or cleaning gives another result for the same files."""


@dataclass(frozen=True)
class Corpus:
    """Cleaned pairs with unique ids. `digest` is `sources.digest` of what they were read from."""

    pairs: list[QAPair]
    digest: str
    name: str
    report: ReadReport

    @property
    def demonstration(self) -> bool:
        """Whether any of it is the project's own demonstration text."""
        return any(pair.demonstration for pair in self.pairs)


def split(source: str) -> tuple[Path, str | None]:
    """Path and column map of one source. `starter` is the folder the project ships."""
    path, _, column_map = source.partition("::")
    if not path:
        raise UserError(f"a corpus needs a path before the column map: {source!r}")
    return (STARTER_FOLDER if path == STARTER else Path(path).expanduser()), column_map or None


def load_corpus(spec: Sequence[str], cleaning: Cleaning) -> Corpus:
    """Read, clean and merge every source of the specification, in its order.

    Raises UserError for a hostile or unreadable source, and when nothing is left. What was skipped is in `report`.
    """
    report = ReadReport()
    before = digest(spec, cleaning)
    pairs = clean.clean_pairs(_pairs(spec, report), cleaning, report)
    if not pairs:
        raise UserError(f"the corpus {', '.join(spec)} holds no answered question: {'; '.join(report.lines())}")
    return Corpus(pairs, before, name(spec), report)


def _pairs(spec: Sequence[str], report: ReadReport) -> Iterator[QAPair]:
    for source in spec:
        path, column_map = split(source)
        answered = report.answered
        yield from readers.read(path, column_map, report)
        if report.answered == answered:
            raise UserError(f"{path} holds no answered question: {'; '.join(report.lines())}")


def name(spec: Sequence[str]) -> str:
    """A short name for the corpus that can be a folder's: `medquad+chatdoctor5k`."""
    stems = (split(source)[0] for source in spec)
    plain = (re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "corpus" for path in stems)
    return "+".join(dict.fromkeys(plain))[:80]


def digest(spec: Sequence[str], cleaning: Cleaning) -> str:
    """sha256 over the sources' names and bytes, their column maps and the cleaning settings; parses nothing."""
    if not spec:
        raise UserError("no corpus was given: name a MedQuAD zip or folder, a table, or `starter`")
    total = hashlib.sha256(json.dumps([FORMAT, cleaning.model_dump(mode="json")], sort_keys=True).encode())
    for source in spec:
        path, column_map = split(source)
        if not is_xml(path, column_map):
            used = [maps.load(column_map)] if column_map else maps.shipped()
            for one in used:
                total.update(one.model_dump_json().encode())
        for file in source_files(path, column_map):
            relative = file.relative_to(path).as_posix() if path.is_dir() else file.name
            total.update(json.dumps([relative, _file_digest(file)]).encode())
    return total.hexdigest()


def _file_digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def tree_digest(path: Path) -> str:
    """sha256 over the sorted (name, sha256 of content) of an archive's or folder's XML files, top folder left out.

    The same for GitHub's archive of a branch, of a commit, and for a checkout of it.
    """
    found: list[tuple[str, str]] = []
    if path.is_dir():
        for file in walk(path, (".xml",)):
            found.append((file.relative_to(path).as_posix(), _file_digest(file)))
    else:
        with open_zip(path) as archive:
            for entry in zip_names(archive, ".xml"):
                inner = PurePosixPath(*PurePosixPath(entry).parts[1:]).as_posix()
                found.append((inner, hashlib.sha256(archive.read(entry)).hexdigest()))
    return hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()


def asked_for(
    given: Sequence[str] | None, medquad: str | None, cache: Path, notify: Callable[[str], None]
) -> list[str]:
    """A command's corpus specification: what was `given`, else `default_corpus` of the variable MEDQUAD's value."""
    return list(given) if given else default_corpus(Path(medquad) if medquad else None, cache, notify)


def default_corpus(
    medquad: Path | None,
    cache: Path,
    notify: Callable[[str], None],
    url: str = MEDQUAD_URL,
    tree: str = MEDQUAD_TREE,
) -> list[str]:
    """The specification when the user named none: MedQuAD at the given path, else downloaded into `cache`.

    Without a network it is the starter corpus, and `notify` gets a line that says why. Raises UserError when a
    path was given and is not there.
    """
    if medquad is not None:
        if not medquad.exists():
            raise UserError(f"MEDQUAD names {medquad}, which does not exist: give MedQuAD's zip or folder, or unset it")
        return [str(medquad)]
    try:
        return [str(download(cache, notify, url, tree))]
    except UserError as error:
        notify(f"{error} Using the starter corpus: demonstration text, not from NIH.")
        return [STARTER]


def download(cache: Path, notify: Callable[[str], None], url: str = MEDQUAD_URL, tree: str = MEDQUAD_TREE) -> Path:
    """MedQuAD's archive in the cache folder, fetched if it is not there and checked by content either way.

    It is written under a temporary name and renamed once `tree_digest` agrees. Raises UserError otherwise.
    """
    target, seal = cache / "medquad.zip", cache / "medquad.zip.sha256"
    try:
        if target.is_file() and seal.is_file() and seal.read_text("utf-8") == f"{tree} {_file_digest(target)}":
            return target
        notify(f"Downloading MedQuAD (16 MB, CC BY 4.0) from {url}")
        cache.mkdir(parents=True, exist_ok=True)
        handle, temporary_name = tempfile.mkstemp(prefix="medquad-", suffix=".part", dir=cache)
        temporary = Path(temporary_name)
        try:
            with os.fdopen(handle, "wb") as out:
                _fetch(url, out.write)
            _check_tree(temporary, url, tree)
            file_digest = _file_digest(temporary)
            os.replace(temporary, target)
            seal.write_text(f"{tree} {file_digest}", "utf-8")
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
        raise UserError(f"MedQuAD could not be downloaded ({reason}).") from error
    return target


def _check_tree(archive: Path, url: str, tree: str) -> None:
    try:
        right = tree_digest(archive) == tree
    except UserError:
        raise UserError(f"What {url} gave is not a zip file that is safe to read.") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        raise UserError(f"What {url} gave is damaged ({error}).") from error
    if not right:
        raise UserError(f"What {url} gave is not the MedQuAD that was asked for (its content differs).")


def _fetch(url: str, write: Callable[[bytes], object]) -> None:
    """Stream a URL. Raises OSError (urllib's errors are) for no network, a refusal, or a transfer cut short."""
    from http.client import HTTPException

    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            length, got = answer.headers.get("Content-Length"), 0
            while chunk := answer.read(2**18):
                got += len(chunk)
                if got > MAX_DOWNLOAD:
                    raise OSError(f"more than {MAX_DOWNLOAD:,} bytes")
                write(chunk)
    except HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    if length and got != int(length):
        raise OSError(f"cut off after {got:,} of {length} bytes")
