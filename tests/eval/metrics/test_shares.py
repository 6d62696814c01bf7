from __future__ import annotations

import pytest

from eval.metrics.shares import milliseconds, share


def test_a_share_has_wilsons_interval() -> None:
    # R's prop.test(34, 39, correct = FALSE) gives .7329 to .9440.
    assert share([True] * 34 + [False] * 5) == {"n": 39, "share": 0.872, "low": 0.733, "high": 0.944}
    assert share([True, False, True, True]) == {"n": 4, "share": 0.75, "low": 0.301, "high": 0.954}
    assert share([]) == {"n": 0, "share": 0.0, "low": 0.0, "high": 1.0}
    assert (share([True] * 9)["high"], share([False] * 9)["low"]) == (1.0, 0.0)


def test_times_are_in_milliseconds() -> None:
    found = milliseconds([second / 1000 for second in range(1, 102)])
    assert found == {"n": 101, "p50_ms": pytest.approx(51), "p95_ms": pytest.approx(96)}
