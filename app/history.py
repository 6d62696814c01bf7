"""Conversations kept on this machine, so that a reload or a restart shows them with their citations.

One SQLite file, `data/history.sqlite`, readable by its owner alone. A conversation is found by a
random id that only the asking browser holds.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from rag.answer import Answer

SHOWN = 50
"""Turns of one conversation that are shown again; older ones are deleted."""

_ID = re.compile(r"[A-Za-z0-9_-]{20,64}")
_TABLE = (
    "create table if not exists turn (row integer primary key, conversation text not null, key text not null, "
    "question text not null, answer text, error text not null default '')"
)
_INDEX = "create index if not exists by_conversation on turn (conversation, row)"


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with its answer, or with the one line that says why there is none.

    `key` is unique and safe in an HTML id. An `answer` that is not complete was stopped by the reader.
    """

    key: str
    question: str
    answer: Answer | None = None
    error: str = ""


def new_id() -> str:
    """A conversation id that cannot be guessed (144 bits)."""
    return secrets.token_urlsafe(18)


def new_key() -> str:
    """A turn's key: a letter first, as an HTML id needs."""
    return "t" + secrets.token_hex(6)


def valid_id(value: object) -> str:
    """`value` if it can be a conversation id, else a new one."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else new_id()


class History:
    """The file of conversations. Falls back to memory, with a line on stderr, where it cannot be written."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self.kept = False
        if path is not None:
            try:
                self._db = self._open(path)
                self.kept = True
                return
            except (OSError, sqlite3.Error) as error:
                print(f"medcite: {path}: {error}; conversations are kept until the program ends", file=sys.stderr)
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._prepare(self._db)

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        db = sqlite3.connect(path, check_same_thread=False, timeout=5)
        self._prepare(db)
        return db

    @staticmethod
    def _prepare(db: sqlite3.Connection) -> None:
        db.execute("pragma secure_delete = on")
        with db:
            db.execute(_TABLE)
            db.execute(_INDEX)

    def turns(self, conversation: str) -> list[Turn]:
        """The last SHOWN turns, oldest first."""
        query = "select key, question, answer, error from turn where conversation = ? order by row desc limit ?"
        with self._lock:
            rows = self._db.execute(query, (conversation, SHOWN)).fetchall()
        return [_turn(*row) for row in reversed(rows)]

    def add(self, conversation: str, turn: Turn) -> None:
        """Append a turn, and let the oldest go past SHOWN."""
        answer = turn.answer.model_dump_json() if turn.answer else None
        with self._lock, self._db:
            self._db.execute(
                "insert into turn (conversation, key, question, answer, error) values (?, ?, ?, ?, ?)",
                (conversation, turn.key, turn.question.encode("utf-8", "replace").decode(), answer, turn.error),
            )
            self._db.execute(
                "delete from turn where conversation = ?1 and row not in "
                "(select row from turn where conversation = ?1 order by row desc limit ?2)",
                (conversation, SHOWN),
            )

    def clear(self, conversation: str) -> None:
        """Delete a conversation; SQLite overwrites its text."""
        with self._lock, self._db:
            self._db.execute("delete from turn where conversation = ?", (conversation,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def _turn(key: str, question: str, answer: str | None, error: str) -> Turn:
    if answer is None:
        return Turn(key, question, None, error)
    try:
        return Turn(key, question, Answer.model_validate_json(answer), error)
    except ValidationError:
        return Turn(key, question, None, "This answer was kept by another version and cannot be shown; ask again.")
