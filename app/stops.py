"""Which pages wait for an answer, and how each is told to stop. No command of its own."""

from __future__ import annotations

import threading


class Stops:
    """Which pages wait for an answer, by the browser session's name, and how each is told to stop."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}

    def begin(self, session: str) -> threading.Event:
        """The event that stops what this page now begins to wait for."""
        event = self._events[session] = threading.Event()
        return event

    def end(self, session: str, event: threading.Event) -> None:
        """This page waits no longer, unless it has begun something else since."""
        if self._events.get(session) is event:
            del self._events[session]

    def busy(self, session: str) -> bool:
        """Whether this page waits for an answer."""
        return session in self._events

    def stop(self, session: str) -> None:
        """Stop what this page is waiting for."""
        event = self._events.get(session)
        if event:
            event.set()
