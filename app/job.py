"""One question on its way through `app/engine.py`: what was asked, and the newest snapshot of its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from configs.errors import UserError
from rag.answer import Answer

if TYPE_CHECKING:
    from app.engine import Engine

UNREAD_SECONDS = 20.0
"""A question whose asker has not looked for its answer for so long is given up: nobody is there any more."""


class Job:
    """One question on its way through the engine: what was asked, and the newest snapshot of its answer.

    The engine's thread writes, any one thread or task reads. A reader who leaves calls `abandon`.
    """

    def __init__(self, engine: Engine, question: str, options: dict[str, Any], stop: threading.Event) -> None:
        self._engine = engine
        self.question = question
        self.options = options
        self._stop = stop
        self._gone = False
        self._changed = threading.Condition()
        self._snapshot: Answer | None = None
        self._serial = 0
        self._seen = 0
        self._done = False
        self._error: UserError | None = None
        self._reading = False
        self._read_at = time.monotonic()
        self.wake: Callable[[], None] | None = None
        """Called from the engine's thread after each change; for readers that cannot block."""

    def wait(self, seconds: float) -> None:
        """Return once there is something new to take, or after `seconds`."""
        self._reading = True
        with self._changed:
            self._changed.wait_for(lambda: self._done or self._serial > self._seen, seconds)
        self._read_at = time.monotonic()
        self._reading = False

    def take(self) -> Answer | None:
        """The newest snapshot if it was not taken before. Raises the UserError that ended the question."""
        self._read_at = time.monotonic()
        with self._changed:
            if self._serial > self._seen:
                self._seen = self._serial
                return self._snapshot
            if self._error is not None:
                raise self._error
            return None

    @property
    def done(self) -> bool:
        """Whether nothing more will come, and all that came was taken."""
        with self._changed:
            return self._done and self._serial == self._seen and self._error is None

    @property
    def given_up(self) -> bool:
        """Whether it was stopped, or nobody has looked for its answer for UNREAD_SECONDS."""
        unread = not self._reading and time.monotonic() - self._read_at > UNREAD_SECONDS
        return self._gone or self._stop.is_set() or unread

    @property
    def words(self) -> str:
        """What is waited for while there is no snapshot."""
        return self._engine.words(self)

    def abandon(self) -> None:
        """Nobody waits for this question any more: it loses its place, or its generation ends."""
        self._gone = True
        self._engine.forget(self)

    def publish(self, snapshot: Answer) -> None:
        """Replace the newest snapshot; the engine's thread calls it."""
        with self._changed:
            self._snapshot = snapshot
            self._serial += 1
            self._changed.notify_all()
        self._woken()

    def finish(self, error: UserError | None = None) -> None:
        """Nothing more will come; the engine calls it once."""
        with self._changed:
            self._done = True
            self._error = error
            self._changed.notify_all()
        self._woken()

    def _woken(self) -> None:
        wake = self.wake
        if wake is not None:
            wake()
