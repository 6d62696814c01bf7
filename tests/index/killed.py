"""Builds that are killed for certain moments: `python -m tests.index.killed ROOT`, for `test_build.py`.

For every stage, a copy of the index in ROOT/base is built anew in a process of its own, which gets a real SIGKILL
at that stage. The copies are left in ROOT/STAGE.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from configs.schema import IndexSettings, Passages
from index.build import build
from tests.fakes import FakeEmbedder, corpus

STAGES = (
    "cutting 0",
    "embedding 700",
    "writing 0",
    "writing 1",
    "before rename 1",
    "after rename 1",
    "before replace 1",
    "after replace 1",
    "before replace 2",
    "after replace 2",
)
"""What `report` says, or the n-th `os.rename` or `os.replace` of a build."""

CUTTING = Passages(max_tokens=48)
NEW = 140
"""Pairs of the corpus that the killed builds index: over 700 texts, so that the vector cache commits once before."""


def main(root: Path) -> None:
    """Kill one build a stage."""
    for stage in STAGES:
        folder = root / stage
        shutil.copytree(root / "base", folder)
        reached, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _build_until(stage, folder, root / "cache" / stage, writer)
            os._exit(1)
        os.close(writer)
        if os.read(reached, 1) != b"!":
            sys.exit(f"the build ended before {stage!r}")
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"the build at {stage!r} was not killed")


def _build_until(stage: str, folder: Path, cache: Path, writer: int) -> None:
    def stop() -> None:
        os.write(writer, b"!")
        time.sleep(60)

    def report(step: str, done: int, total: int) -> None:
        if stage == f"{step} {done}":
            stop()

    def stopping(name: str, real: Callable[..., None]) -> Callable[..., None]:
        calls = 0

        def call(*args: Any, **keywords: Any) -> None:
            nonlocal calls
            calls += 1
            if stage == f"before {name} {calls}":
                stop()
            real(*args, **keywords)
            if stage == f"after {name} {calls}":
                stop()

        return call

    os.rename = stopping("rename", os.rename)
    os.replace = stopping("replace", os.replace)
    build(corpus(NEW), folder, CUTTING, FakeEmbedder(), IndexSettings(), embeddings=cache, report=report)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
