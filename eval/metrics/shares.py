"""Intervals of measured shares, and percentiles of times. No command of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def share(outcomes: Sequence[bool]) -> dict[str, Any]:
    """A share with its count and 95% interval (Wilson, 1927; 0 to 1 for none), to a tenth of a percent."""
    from scipy.stats import binomtest

    n, held = len(outcomes), sum(outcomes)
    low, high = binomtest(held, n).proportion_ci(method="wilson") if n else (0.0, 1.0)
    value = held / n if n else 0.0
    return {"n": n, "share": round(value, 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile of some times, in milliseconds."""
    p50, p95 = np.percentile(np.asarray(seconds) * 1000, [50, 95])
    return {"n": len(seconds), "p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}
