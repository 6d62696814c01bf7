"""What a measurement ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """What it ran on."""
    import torch

    name = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    facts = {"cpu": name, "cores": len(os.sched_getaffinity(0)), "threads": torch.get_num_threads()}
    facts |= {"bf16": bool(native), "cuda": torch.cuda.is_available(), "torch": torch.__version__}
    return facts | {"python": platform.python_version()}
