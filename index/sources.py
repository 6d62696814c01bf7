"""Sources: which corpus a build reads, merged into one, and where MedQuAD comes from when nobody gave a path.

A specification is a list of sources: a path (`medquad.zip`, `my.csv`), a path with its column map
(`dialogues.json::chatdoctor`, `my.csv::my_map.toml`), or `starter` for the project's own small corpus. What a person
gives may also name `medquad`, which `resolved` replaces by MedQuAD's path.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from configs import files
from configs.errors import UserError
from index import clean, identity, readers
from index.corpus import QAPair
from index.readers import ReadReport, is_xml, maps, source_files
from index.readers.files import open_zip, walk, zip_names

if TYPE_CHECKING:
    from configs.schema import Cleaning

STARTER = "starter"
MEDQUAD = "medquad"
STARTER_FOLDER = Path(__file__).resolve().parent / "starter"
COMMIT = "577bd37b96c02d1833b2c9eed2de9f96964e96cb"
MEDQUAD_URL = f"https://github.com/abachaa/MedQuAD/archive/{COMMIT}.zip"
MEDQUAD_TREE = "fc6c86de5278cee80784ff3bfd3ecb0a2c9b1d8eecb897cc2ed56acf25173c47"
"""`tree_digest` of that commit's archive: the XML files' names and bytes, whatever the top folder is called."""
TIMEOUT = 10.0
"""Seconds without an answer after which the starter corpus is used instead."""
MAX_DOWNLOAD = 200 * 2**20
FORMAT = 4
"""Part of every digest. Raise it when reading or cleaning gives another result for the same files."""


@dataclass(frozen=True)
class Corpus:
    """Cleaned pairs with unique ids. `digest` is `sources.digest` of what they were read from, `spec` says where
    that is, in absolute paths, and `parts` what it is.
    """

    pairs: list[QAPair]
    digest: str
    name: str
    report: ReadReport
    parts: tuple[identity.Part, ...] = ()
    spec: tuple[str, ...] = ()

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
    ends: list[int] = []
    pairs = clean.clean_pairs(_pairs(spec, report, ends), cleaning, report)
    if not pairs:
        raise UserError(f"the corpus {', '.join(spec)} holds no answered question: {'; '.join(report.lines())}")
    parts = identity.counted_parts(
        (_stem(source), is_xml(*split(source)), pairs[start:end])
        for source, start, end in zip(spec, [0, *ends], ends, strict=False)
    )
    return Corpus(pairs, before, name(spec), report, parts, tuple(absolute(spec)))


def _pairs(spec: Sequence[str], report: ReadReport, ends: list[int]) -> Iterator[QAPair]:
    """The sources' pairs. `ends` gets, after each source, how many pairs cleaning has kept by then, in order."""
    for source in spec:
        path, column_map = split(source)
        answered = report.answered
        yield from readers.read(path, column_map, report)
        if report.answered == answered:
            raise UserError(f"{path} holds no answered question: {'; '.join(report.lines())}")
        # Whoever asks for the next source has dealt with every pair of this one.
        ends.append(report.answered - report.empty - report.too_short - report.too_long - report.duplicates)


def _stem(source: str) -> str:
    """What a reader would call the source: its file's or folder's name without the ending."""
    path = split(source)[0]
    path = path if path.name else path.resolve()
    return path.name if path.is_dir() else path.stem


def absolute(spec: Sequence[str]) -> list[str]:
    """The specification with its paths made absolute, those of column maps too."""
    found = []
    for source in spec:
        path, column_map = split(source)
        if path == STARTER_FOLDER:
            found.append(STARTER)
            continue
        where = os.path.abspath(path)
        if column_map:
            where += f"::{os.path.abspath(column_map) if column_map.endswith('.toml') else column_map}"
        found.append(where)
    return found


def missing(spec: Sequence[str]) -> str:
    """The first path of a specification that is not there, of a column map too; empty where all are."""
    for source in spec:
        path, column_map = split(source)
        if not path.exists():
            return str(path)
        if column_map and column_map.endswith(".toml") and not Path(column_map).is_file():
            return column_map
    return ""


def given(options: Sequence[str] | None, variable: str | None) -> list[str]:
    """The sources that a person named: the option --corpus, else the variable CORPUS's value.

    The variable is one source where the whole of it is one; else it is cut as a shell cuts words, so that several
    can be named and quotation marks keep blanks. Raises UserError that names what of it is not there.
    """
    text = (variable or "").strip()
    if options or not text:
        return list(options or ())
    if _is_source(text):
        return [text]
    try:
        words = shlex.split(text)
    except ValueError:  # an apostrophe in a name, say
        words = text.split()
    lost = [word for word in words if not _is_source(word)]
    if not lost:
        return words
    several = f" (nor is the whole of {text})" if len(words) > 1 else ""
    raise UserError(
        f"CORPUS: {lost[0]} is not there{several}: give a file or folder, with ::MAP if its columns need one, "
        "medquad or starter; put quotation marks around a name with blanks"
    )


def _is_source(text: str) -> bool:
    """Whether a text is one source: a name, or a path that is there, with a column map that is there if any."""
    if text in (STARTER, MEDQUAD):
        return True
    path, column_map = split(text)
    known = not column_map or column_map in maps.names() or Path(column_map).is_file()
    return path.exists() and known


def name(spec: Sequence[str]) -> str:
    """A short name for the corpus that can be a folder's: `medquad+chatdoctor5k`."""
    stems = (split(source)[0] for source in spec)
    plain = (re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "corpus" for path in stems)
    return "+".join(dict.fromkeys(plain))[:80]


def digest(spec: Sequence[str], cleaning: Cleaning) -> str:
    """sha256 over the sources' names and bytes, their column maps and the cleaning settings; parses nothing."""
    if not spec:
        raise UserError("no corpus was given: name a MedQuAD zip or folder, a table, or `starter`")
    parts = [json.dumps([FORMAT, cleaning.model_dump(mode="json")], sort_keys=True)]
    for source in spec:
        path, column_map = split(source)
        if not is_xml(path, column_map):
            used = [maps.load(column_map)] if column_map else maps.shipped()
            parts += [one.model_dump_json() for one in used]
        for file in source_files(path, column_map):
            relative = file.relative_to(path).as_posix() if path.is_dir() else file.name
            parts.append(json.dumps([relative, _file_digest(file)]))
    return files.digest("".join(parts))


def _file_digest(file: Path) -> str:
    try:
        return files.digest_file(file)
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
                found.append((inner, files.digest(archive.read(entry))))
    return files.digest_json(sorted(found))


def resolved(given: Sequence[str], medquad: str | None, cache: Path, notify: Callable[[str], None]) -> list[str]:
    """The specification with `medquad` replaced by the path in the variable of that name, else by the download.

    Raises UserError where MedQuAD was named and cannot be had: another corpus would not be what was asked for.
    """
    found = []
    for source in given:
        if source != MEDQUAD:
            found.append(source)
        elif medquad:
            found += default_corpus(Path(medquad), cache, notify)
        else:
            try:
                found.append(str(download(cache, notify)))
            except UserError as error:
                raise UserError(f"{error} Set MEDQUAD to MedQuAD's zip or folder.") from None
    return found


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
        with files.aside(target) as new:
            with new.open("wb") as out:
                _fetch(url, out.write)
            _check_tree(new, url, tree)
            file_digest = _file_digest(new)
        files.write(seal, f"{tree} {file_digest}")
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
