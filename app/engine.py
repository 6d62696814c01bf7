"""The one pipeline behind every door: loaded in the background, one generation at a time, first come, first served.

    engine = Engine(load)
    engine.start()
    for answer in engine.ask("What is gout?", stop=threading.Event()): ...

One thread generates, and it alone opens and closes the pipeline's streams. Whoever asked only reads the newest
snapshot, so an asker who is cancelled, dropped or forgotten cannot keep the next one waiting.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from math import ceil
from typing import Any, Protocol

from app.job import Job
from app.remembered import Remembered
from configs.errors import UserError
from index.identity import Part
from rag.answer import Answer, Timings

MAX_QUESTION_BYTES = 102_400
"""100 kB, as UTF-8: longer than any question, and the prompt shortens what fits."""

MAX_WAITING = 16
"""Questions that may wait for their turn; at a few seconds each the last one waits about a minute."""

POLL_SECONDS = 0.1

STOP_SECONDS = 2.0
"""How long a reader who pressed stop waits for the generation to end; a stuck one does not keep the page."""

STUCK_SECONDS = 90.0
"""A generator that has written nothing for so long is reported as stuck; a first token took up to 8 s."""

FIRST_ESTIMATE = 6.0
"""Seconds an answer is taken to need before one was timed."""


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

    @property
    def growing(self) -> str: ...

    def renew(self) -> None: ...

    def warm(self) -> None: ...

    def stream(self, input: str, **options: Any) -> Iterator[Answer]: ...


class Unavailable(UserError):
    """Nothing is wrong with the question: the pipeline is not there, or too many are waiting."""


class Busy(Unavailable):
    """Too many questions are waiting; `retry_after` is the whole number of seconds until there should be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many questions are waiting; ask again in {retry_after} seconds")
        self.retry_after = retry_after


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


class Engine:
    """Loads a pipeline in a background thread and answers one question at a time, in the order they came.

    `state` is "loading", "ready", "stuck" or "failed"; `detail` says in one line what is known of it.
    """

    def __init__(self, load: Callable[[], PipelineLike], corpus: Sequence[Part] = ()) -> None:
        """`corpus` is what the index is known to hold before it is loaded."""
        self._load = load
        self._corpus = tuple(corpus)
        self._pipeline: PipelineLike | None = None
        self._loaded = threading.Event()
        self._line: deque[Job] = deque()
        self._came = threading.Condition()
        self._current: Job | None = None
        self._moved = time.monotonic()
        self._seconds = FIRST_ESTIMATE
        self._detail = "loading"
        self._known = Remembered()
        self.started = time.monotonic()
        self.load_seconds = 0.0
        self.answered: Callable[[Answer | None], None] | None = None
        """Told of each question that is done: its answer, None where it broke off; not of one that was given up."""

    @property
    def state(self) -> str:
        """loading, ready, stuck (a generation is under way and nothing came for STUCK_SECONDS) or failed."""
        if not self._loaded.is_set():
            return "loading"
        if self._pipeline is None:
            return "failed"
        return "stuck" if self._silent() > STUCK_SECONDS else "ready"

    @property
    def loaded(self) -> bool:
        """Whether the pipeline is there, be its generator stuck or not."""
        return self._pipeline is not None

    @property
    def detail(self) -> str:
        """The state in one line."""
        if self.state == "stuck":
            return (
                f"the generator has written nothing for {self._silent():.0f} s and {self.waiting} more are waiting; "
                "if this lasts, restart the program"
            )
        return self._detail

    @property
    def waiting(self) -> int:
        """Questions that wait for their turn; the one that is being answered is not among them."""
        with self._came:
            self._clear()
            return len(self._line)

    @property
    def answering(self) -> bool:
        """Whether a question is being answered."""
        return self._current is not None

    def _silent(self) -> float:
        """Seconds since the generation under way last gave anything; 0 where there is none."""
        return time.monotonic() - self._moved if self._current is not None else 0.0

    @property
    def corpus(self) -> tuple[Part, ...]:
        """What the answers are made from: the loaded index's corpus, before that what was known; else nothing."""
        return tuple(self._pipeline.index.manifest.parts) if self._pipeline else self._corpus

    @property
    def growing(self) -> str:
        """One line on an index that is still growing; empty where it is whole, or not loaded yet."""
        return self._pipeline.growing if self._pipeline else ""

    def wait(self) -> None:
        """Return once the pipeline is there, or could not be loaded."""
        self._loaded.wait()

    def start(self) -> None:
        """Begin loading; returns at once."""
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def _run(self) -> None:
        try:
            pipeline = self._load()
            pipeline.warm()
            self._pipeline = pipeline
            self.load_seconds = time.monotonic() - self.started
            self._detail = f"ready after {self.load_seconds:.1f} s"
        except Exception as error:
            self._detail = one_line(error)
            print(f"medcite: {self._detail}", file=sys.stderr, flush=True)
        finally:
            self._loaded.set()
        while True:
            with self._came:
                self._came.wait_for(lambda: bool(self._line))
                job = self._line.popleft()
                self._moved = time.monotonic()
                self._current = job
            try:
                job.finish(self._answer(job))
            finally:
                self._current = None

    def pipeline(self, timeout: float | None = None) -> PipelineLike:
        """The loaded pipeline; waits at most `timeout` seconds. Raises Unavailable if it is not there."""
        if not self._loaded.wait(timeout):
            raise Unavailable("the model is still loading; ask again in a few seconds")
        if self._pipeline is None:
            raise Unavailable(f"the model could not be loaded: {self._detail}")
        return self._pipeline

    def submit(self, question: str, stop: threading.Event | None = None, **options: Any) -> Job:
        """Put a question at the end of the line. Options that are None are left to the profile.

        Raises UserError for a question that cannot be asked, and Busy where MAX_WAITING wait already.
        """
        text = check(question)
        chosen = {name: value for name, value in options.items() if value is not None}
        job = Job(self, text, chosen, stop or threading.Event())
        with self._came:
            self._clear()
            if len(self._line) >= MAX_WAITING:
                # One has to be answered before there is room.
                raise Busy(max(1, min(600, ceil(self._seconds))))
            self._line.append(job)
            self._came.notify()
        return job

    def forget(self, job: Job) -> None:
        """Take a question out of the line, if it still stands there."""
        with self._came:
            if job in self._line:
                self._line.remove(job)

    def words(self, job: Job) -> str:
        """What a question waits for, in words for its reader."""
        with self._came:
            place = self._line.index(job) if job in self._line else -1
            before = place + (self._current is not None)
        if not self._loaded.is_set():
            return f"Loading the model; {_before(place)}."
        return "Looking for sources." if place < 0 else f"Waiting for your turn; {_before(before)}."

    def ask(self, question: str, stop: threading.Event | None = None, **options: Any) -> Iterator[Answer | str]:
        """Snapshots of the answer; before the first, strings that say in words what is waited for.

        Each snapshot replaces the one before it, and a reader slower than the generator misses some, never the last.
        Ends early once `stop` is set. Raises UserError in one line for whatever goes wrong; the full cause goes to
        stderr.
        """
        job = self.submit(question, stop, **options)
        begun, stopped = False, 0.0
        try:
            while not job.done:
                job.wait(POLL_SECONDS)
                snapshot = job.take()
                if snapshot is not None:
                    begun = True
                    yield snapshot
                elif stop is not None and stop.is_set():
                    stopped = stopped or time.monotonic()
                    if self._current is not job or time.monotonic() - stopped > STOP_SECONDS:
                        return
                elif not begun:
                    yield job.words
        finally:
            job.abandon()

    def _clear(self) -> None:
        """Drop those from the line who have gone; the lock is held."""
        for job in [job for job in self._line if job.given_up]:
            self._line.remove(job)
            job.finish()

    def _answer(self, job: Job) -> UserError | None:
        """Generate one answer to its end, or until nobody waits for it. Gives the error that ended it."""
        if job.given_up:
            return None
        begun = time.monotonic()
        last: Answer | None = None
        try:
            pipeline = self.pipeline()
            key = self._known.key(pipeline, job.question, job.options)
            if known := self._known.get(key):
                job.publish(known)
                if self.answered:
                    took = Timings(total_ms=(time.monotonic() - begun) * 1000)
                    self.answered(known.model_copy(update={"timings": took}))
                return None
            # Closing the stream ends a generation that nobody waits for any more, in the thread that runs it.
            with closing(pipeline.stream(job.question, **job.options)) as snapshots:  # type: ignore[type-var]
                for snapshot in snapshots:
                    last = snapshot
                    self._moved = time.monotonic()
                    job.publish(snapshot)
                    if job.given_up:
                        return None
        except UserError as error:
            return error
        except BaseException as error:  # whatever it is, the thread must live: nobody else answers
            print(f"medcite: while answering: {one_line(error)}", file=sys.stderr, flush=True)
            if self.answered:
                self.answered(None)
            return Failed(f"the answer could not be finished: {one_line(error)}")
        if last is not None:
            self._known.put(key, last)
        self._seconds += 0.3 * (time.monotonic() - begun - self._seconds)
        if self.answered and last is not None:
            self.answered(last)
        return None


def _before(count: int) -> str:
    if count <= 0:
        return "your question is next"
    return "1 question is before yours" if count == 1 else f"{count} questions are before yours"


def one_line(error: BaseException) -> str:
    """An exception in one line without a traceback."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    name = type(error).__name__
    return f"{name}: {text[:200]}" if text else name
