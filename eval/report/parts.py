"""What several sections of the report are made of: facts as rows, a difference as a cell, a section without figures."""

from __future__ import annotations

from typing import Any

from eval.report.blocks import Cell, Entry, Text
from eval.report.figures import (
    NONE,
    interval,
    number,
)

MEASURES = {
    "map": "MAP", "mrr": "MRR", "p@1": "P@1", "ndcg@10": "nDCG@10", "grade@1": "Mean grade at 1",
    "mean_grade@1": "Mean grade at 1",
}  # fmt: skip


def difference(found: dict[str, Any] | None, places: int) -> Entry:
    if found is None or found.get("value") is None:
        return NONE
    remark = "" if found["shown"] else "no difference shown"
    return Cell(number(found["value"], places, True), interval(found, places, True), remark)


def facts(found: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """The scalars in a dict, those of inner dicts after their key."""
    said: list[tuple[str, str]] = []
    for key, value in found.items():
        name = f"{before}{str(key).replace('_', ' ')}"
        if isinstance(value, dict):
            said += facts(value, f"{name}, ")
        elif isinstance(value, list):
            said.append((name, ", ".join(plain(item) for item in value)))
        else:
            said.append((name, plain(value)))
    return said


def plain(value: Any) -> str:
    """A scalar as a person reads it."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)


def absent(what: str) -> Text:
    return Text(f"{what} in this run.", "absent")
