"""What a measurement ran on, and what it took."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from configs import cuda_found


def machine() -> dict[str, Any]:
    """What it ran on; torch is not imported: where it was first, llama.cpp's threads spin (`llama_server.py`)."""
    lines = _lines("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    facts = {"cpu": names[0] if names else platform.processor(), "cores": len(os.sched_getaffinity(0))}
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    facts["knows"] = sorted(flags & {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"})
    facts |= {"bf16": bool(flags & {"avx512_bf16", "amx_tile"}), "cuda": cuda_found()}
    return facts | {"torch": version("torch"), "python": platform.python_version()}


def peak_gb(process: int | str = "self") -> float:
    """Most memory resident in a process, by its id, in GB; 0 where the system does not tell."""
    peaks = [int(line.split()[1]) for line in _lines(f"/proc/{process}/status") if line.startswith("VmHWM")]
    return round(sum(peaks) / 2**20, 2)


@contextmanager
def another_program() -> Iterator[None]:
    """While it lasts another program keeps a core busy."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
