"""The build that goes on with a growing index while the chat answers from it, in a process of its own.

    Builder(command(folder, profile, overrides), engine.wait).start()

It begins once the chat can answer, gives way to it (`medcite index build --beside`), and ends with it: its standard
input is a pipe that this process holds open. The pipeline takes each newer stage by itself.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from configs import ROOT

RUN = f"""\
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
runpy.run_module("index", run_name="__main__", alter_sys=True)
"""
"""`python -m index`, in which `index` is medcite's package and not a folder of that name in the working directory."""


def command(folder: Path, profile: str, overrides: Sequence[str]) -> list[str]:
    """The command line that goes on with the index in `folder`, with the chat's own profile."""
    words = [sys.executable, "-P", "-c", RUN, "build", "--beside", "--index", str(folder.absolute())]
    return [*words, "--profile", profile, *(word for one in overrides for word in ("--set", one))]


class Builder:
    """One run of `words`. `said` is the line that it ended with: why it ended early, or that the index is whole."""

    def __init__(self, words: Sequence[str], wait: Callable[[], None] = lambda: None) -> None:
        """`wait` returns when the build may begin."""
        self.words = list(words)
        self.said = ""
        self._wait = wait
        self._thread = threading.Thread(target=self._run, name="builder", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it ended."""
        self._thread.join(timeout)

    def _run(self) -> None:
        self._wait()
        last = ""
        try:
            process = subprocess.Popen(
                self.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            assert process.stderr is not None
            for line in process.stderr:
                last = line.strip() or last
            code = process.wait()
        except OSError as error:
            code, last = 1, error.strerror or str(error)
        if code == 0:
            self.said = "the index is whole"
        elif code < 0 and not last.startswith("medcite: "):
            self.said = (
                f"the index stopped growing: its build was ended by signal {-code}; `make index` goes on with it"
            )
        else:
            self.said = f"the index stopped growing: {last.removeprefix('medcite: ') or f'exit code {code}'}"
        if code != 130:  # Ctrl-C, which ends the chat, too
            print(f"medcite: {self.said}", file=sys.stderr, flush=True)
