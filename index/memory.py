"""Freed memory kept for the next large array, instead of given back to the system page by page.

glibc maps arrays past 32 MB anew each time, and the system zeroes every page of them: a tenth of a training step on
two cores (docs/decisions/precision.md).
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Options of glibc's mallopt(3)."""
KEPT = 2**30
"""Bytes: an array up to this size comes from memory that is kept."""


def keep_freed() -> bool:
    """Have malloc keep what is freed; False where the C library is not glibc. Nothing else changes."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    wanted = {M_MMAP_THRESHOLD: KEPT, M_TRIM_THRESHOLD: 2 * KEPT - 1, M_TOP_PAD: 2**28}
    taken = [mallopt(option, value) == 1 for option, value in wanted.items()]  # each, whatever the others say
    return all(taken)
