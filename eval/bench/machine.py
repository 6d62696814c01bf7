"""What a measurement ran on, and what it took."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """What it ran on."""
    import torch

    lines = _lines("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    facts = {"cpu": names[0] if names else platform.processor(), "cores": len(os.sched_getaffinity(0))}
    facts |= {"threads": torch.get_num_threads(), "bf16": bool(native), "cuda": torch.cuda.is_available()}
    return facts | {"torch": torch.__version__, "python": platform.python_version()}


def peak_gb() -> float:
    """Most memory resident in this process, in GB; 0 where the system does not tell."""
    peaks = [int(line.split()[1]) for line in _lines("/proc/self/status") if line.startswith("VmHWM")]
    return round(sum(peaks) / 2**20, 2)


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
