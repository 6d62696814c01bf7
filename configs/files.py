"""Files and folders written whole or not at all, and the digests that things are kept under.

    files.write(path, text); files.write_json(path, value)
    with files.aside(path) as new: figure.savefig(new)
    with files.folder(path) as new: model.save_pretrained(new)
    files.digest(text), files.digest_json(value), files.digest_file(path)

New content is written beside its place, put on the disk and renamed: an error, a full disk or a kill leaves what was
there before, and a reader sees the old content or the new. What fails raises OSError; `said` makes one line of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs.errors import UserError

ASIDE = ".new-"
"""How the names begin of what is not yet in its place; a kill leaves such a file or folder behind."""


def digest(content: str | bytes) -> str:
    """SHA-256 of bytes, or of text as UTF-8, in hex."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def digest_json(value: Any) -> str:
    """SHA-256 of a JSON value in one form: keys sorted, ASCII, `json.dumps`'s own blanks."""
    return digest(json.dumps(value, sort_keys=True))


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex. Raises OSError where it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def key(text: str) -> bytes:
    """16 bytes of BLAKE2b of any text, surrogates too: a short key where there are many."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, text as UTF-8 without change to its line ends; missing folders are made."""
    data = content.encode() if isinstance(content, str) else content
    with aside(path) as new:
        new.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """`write` a JSON value, two blanks an indent, with a line end."""
    write(path, json.dumps(value, indent=2) + "\n")


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """The path of a file to write, which takes the place of `path` where the block ends well, and else goes.

    A link, a device or a pipe (`--out /dev/stdout`) is itself given, as no file may take its place.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{ASIDE}{secrets.token_hex(8)}")
    try:
        yield new
        _flush(new)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


@contextmanager
def folder(path: Path, over: bool = True) -> Iterator[Path]:
    """An empty folder, which takes the place of `path` where the block ends well, and else goes.

    A folder cannot replace another in one step: a reader may for a moment find none at `path`, never a part of one.
    `over` False: one that is there already stays, and OSError is raised.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=ASIDE, dir=path.parent, ignore_cleanup_errors=True) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        yield new
        sync(new)
        if not (over and os.path.lexists(path)):
            os.rename(new, path)
            return
        os.rename(path, old)
        try:
            os.rename(new, path)
        except BaseException:
            os.rename(old, path)
            raise


def sync(place: Path) -> None:
    """Put a folder and all that is in it on the disk, so that a power cut loses nothing of it."""
    for path in (*place.rglob("*"), place):
        _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def said(place: Path | str, what: str = "cannot be written", then: str = "") -> Iterator[None]:
    """Make an OSError one line for people (UserError): the place, what went wrong, the system's reason, and `then`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{place}: {what}: {error.strerror or error}{then}") from None
