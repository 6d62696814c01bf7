"""Progress of long work: a bar on a terminal, a plain line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 10.0
"""Seconds between two lines in a log."""


@contextmanager
def shown() -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with (step, done, total); shows items, rate and time left on stderr."""
    if sys.stderr.isatty():
        yield from _bar()
    else:
        yield _lines()


def _bar() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, tuple[TaskID, float]] = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = (progress.add_task(step, total=total, rate=""), time.monotonic())
            task, begun = tasks[step]
            progress.update(task, completed=done, total=total, rate=_rate(done, time.monotonic() - begun))

        yield report


def _lines() -> Callable[[str, int, int], None]:
    begun: dict[str, float] = {}
    last = 0.0

    def report(step: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        start = begun.setdefault(step, now)
        if done < total and now - last < EVERY:
            return
        last = now
        rate = done / (now - start) if now > start else 0.0
        left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
        print(f"{step}: {done:,} of {total:,} {_rate(done, now - start)}{left}", file=sys.stderr, flush=True)

    return report


def _rate(done: int, seconds: float) -> str:
    return f"{done / seconds:,.0f}/s" if seconds > 0.5 and done else ""
