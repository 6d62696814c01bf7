"""An answer that a model writes in a thread of its own, for a reader that may stop to listen.

    with closing(pieces(run)) as given: ...

The model does not wait for the reader. What still runs at the end of the process is stopped and waited for: threads
inside a library's own code that outlive the interpreter would crash it.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Generator, Iterable
from queue import SimpleQueue
from typing import Any

LEAVING = 10.0
"""Seconds that the end of the process waits for a pass through the model to end."""

_RUNS: set[Run] = set()


class Run(threading.Thread):
    """One answer. `write` puts its pieces into `given`, and ends soon after `stopped` is set."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.given: SimpleQueue[Any] = SimpleQueue()
        self.stopped = threading.Event()

    def write(self) -> None:
        """What a backend does. Whatever it raises the reader gets."""
        raise NotImplementedError

    def start(self) -> None:
        _RUNS.add(self)
        super().start()

    def run(self) -> None:
        try:
            self.write()
        except Exception as error:
            self.given.put(error)
        finally:
            _RUNS.discard(self)
            self.given.put(None)


def pieces(run: Run) -> Generator[Any, None, None]:
    """What a run, started here, gives until it ends; closing this stops it. Raises what `write` raises."""
    run.start()
    try:
        while (given := run.given.get()) is not None:
            if isinstance(given, Exception):
                raise given
            yield given
    finally:
        run.stopped.set()


def end(runs: Iterable[Run]) -> None:
    """Stop these, and wait until they have ended."""
    ending = list(runs)
    for run in ending:
        run.stopped.set()
    for run in ending:
        run.join(LEAVING)


atexit.register(end, _RUNS)
