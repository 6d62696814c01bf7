"""The one pipeline behind every door: loaded in the background, one generation at a time, stoppable.

engine = Engine(load)
engine.start()
for answer in engine.ask("What is gout?", stop=threading.Event()): ...
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, Protocol

from configs.errors import UserError
from index.identity import Part
from rag.answer import Answer

MAX_QUESTION_BYTES = 102_400
"""100 kB, as UTF-8: longer than any question, and the prompt shortens what fits."""

MAX_WAITING = 16
"""Questions that may wait for their turn; at a few seconds each the last one waits about a minute."""

POLL_SECONDS = 0.1


class PipelineLike(Protocol):
    """What the app needs of `rag.pipeline.Pipeline`."""

    @property
    def modes(self) -> Sequence[str]: ...

    @property
    def retriever(self) -> Any: ...

    @property
    def index(self) -> Any: ...

    @property
    def profile(self) -> Any: ...

    def warm(self) -> None: ...

    def stream(self, input: str, **options: Any) -> Iterator[Answer]: ...


class Unavailable(UserError):
    """Nothing is wrong with the question: the pipeline is not there, or too many are waiting."""


class Failed(UserError):
    """Nothing is wrong with the question: the pipeline broke while answering it."""


def check(question: str) -> str:
    """The question, trimmed. Raises UserError if it is empty or longer than MAX_QUESTION_BYTES."""
    text = question.strip()
    if not text:
        raise UserError("the question is empty; type one, such as: What are the symptoms of gout?")
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_QUESTION_BYTES:
        raise UserError(f"the question is {size // 1024} kB long; ask with at most {MAX_QUESTION_BYTES // 1024} kB")
    return text


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


class Engine:
    """Loads a pipeline in a background thread and lets one question through at a time.

    `state` is "loading", "ready" or "failed"; `detail` says the last two in one line.
    """

    def __init__(self, load: Callable[[], PipelineLike], corpus: Sequence[Part] = ()) -> None:
        """`corpus` is what the index is known to hold before it is loaded."""
        self._load = load
        self._corpus = tuple(corpus)
        self._pipeline: PipelineLike | None = None
        self._loaded = threading.Event()
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self.detail = "loading"
        self.started = time.monotonic()
        self.load_seconds = 0.0

    @property
    def state(self) -> str:
        """loading, ready or failed."""
        if not self._loaded.is_set():
            return "loading"
        return "ready" if self._pipeline else "failed"

    @property
    def corpus(self) -> tuple[Part, ...]:
        """What the answers are made from: the loaded index's corpus, before that what was known; else nothing."""
        return tuple(self._pipeline.index.manifest.parts) if self._pipeline else self._corpus

    def start(self) -> None:
        """Begin loading; returns at once."""
        threading.Thread(target=self._run, name="load", daemon=True).start()

    def _run(self) -> None:
        try:
            pipeline = self._load()
            pipeline.warm()
            self._pipeline = pipeline
            self.load_seconds = time.monotonic() - self.started
            self.detail = f"ready after {self.load_seconds:.1f} s"
        except Exception as error:
            self.detail = one_line(error)
            print(f"medcite: {self.detail}", file=sys.stderr, flush=True)
        finally:
            self._loaded.set()

    def pipeline(self, timeout: float | None = None) -> PipelineLike:
        """The loaded pipeline; waits at most `timeout` seconds. Raises Unavailable if it is not there."""
        if not self._loaded.wait(timeout):
            raise Unavailable("the model is still loading; ask again in a few seconds")
        if self._pipeline is None:
            raise Unavailable(f"the model could not be loaded: {self.detail}")
        return self._pipeline

    def ask(self, question: str, stop: threading.Event | None = None, **options: Any) -> Iterator[Answer | str]:
        """Snapshots of the answer; before the first, strings that say in words what is waited for.

        Options that are None are left to the profile. Ends early, closing the generation, once `stop` is set.
        Raises UserError in one line for whatever goes wrong; the full cause goes to stderr.
        """
        stop = stop or threading.Event()
        text = check(question)
        chosen = {name: value for name, value in options.items() if value is not None}
        with self._count:
            if self._waiting >= MAX_WAITING:
                raise Unavailable("too many questions are waiting; ask again in a minute")
            self._waiting += 1
        try:
            yield from self._wait(self._loaded.wait, stop, "Loading the model; your question is next.")
            if stop.is_set():
                return
            pipeline = self.pipeline()
            held = False

            def acquire(timeout: float) -> bool:
                nonlocal held
                held = self._turn.acquire(timeout=timeout)
                return held

            try:
                yield from self._wait(acquire, stop, "Waiting for another question to finish.")
                if not stop.is_set():
                    yield from self._snapshots(pipeline, text, stop, chosen)
            finally:
                if held:
                    self._turn.release()
        finally:
            with self._count:
                self._waiting -= 1

    def _snapshots(
        self, pipeline: PipelineLike, text: str, stop: threading.Event, options: dict[str, Any]
    ) -> Iterator[Answer]:
        try:
            # Closing the stream is what ends a generation that nobody waits for any more.
            with closing(pipeline.stream(text, **options)) as snapshots:  # type: ignore[type-var]
                for snapshot in snapshots:
                    yield snapshot
                    if stop.is_set():
                        return
        except UserError:
            raise
        except Exception as error:
            print(f"medcite: while answering: {one_line(error)}", file=sys.stderr, flush=True)
            raise Failed(f"the answer could not be finished: {one_line(error)}") from error

    def _wait(self, ready: Callable[[float], bool], stop: threading.Event, words: str) -> Iterator[str]:
        """Poll `ready` until it is true or `stop` is set; says `words` after each poll that was not."""
        while not stop.is_set():
            if ready(POLL_SECONDS):
                return
            yield words


def one_line(error: BaseException) -> str:
    """An exception in one line without a traceback."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    name = type(error).__name__
    return f"{name}: {text[:200]}" if text else name
