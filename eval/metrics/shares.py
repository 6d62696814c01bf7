"""Intervals for measured shares and times. No command of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Z95 = 1.959963984540054


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson, 1927); (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    centre = share + Z95**2 / (2 * n)
    half = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    return max(0.0, (centre - half) / (1 + Z95**2 / n)), min(1.0, (centre + half) / (1 + Z95**2 / n))


def share(outcomes: Sequence[bool]) -> dict[str, Any]:
    """A share with its count and 95% interval, rounded to a tenth of a percent."""
    low, high = wilson(sum(outcomes), len(outcomes))
    value = sum(outcomes) / len(outcomes) if outcomes else 0.0
    return {"n": len(outcomes), "share": round(value, 3), "low": round(low, 3), "high": round(high, 3)}


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile of some times, in milliseconds."""
    import numpy as np

    p50, p95 = np.percentile(np.asarray(seconds) * 1000, [50, 95])
    return {"n": len(seconds), "p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}
