"""How the report finds a figure in the results and prints it, and the tables that it puts figures into."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NONE = "–"
"""What stands where a figure does not apply or was not measured."""
METRICS: dict[str, tuple[str, int]] = {
    "rouge1": ("ROUGE-1", 3), "rouge2": ("ROUGE-2", 3), "rougeL": ("ROUGE-L", 3), "rougeLsum": ("ROUGE-Lsum", 3),
    "bleu": ("BLEU", 1), "bertscore": ("BERTScore F1", 3), "token_f1": ("Token F1", 3),
    "exact_match": ("Exact match", 3), "length_ratio": ("Length ratio", 2),
    "flesch_kincaid": ("Flesch-Kincaid grade", 1), "smog": ("SMOG grade", 1),
    "perplexity": ("Perplexity of the reference", 1),
    "answered_share": ("Answered", 3), "abstained_share": ("Abstained", 3),
    "fallback_share": ("Fell back on quoting", 3), "empty_share": ("Wrote nothing", 3),
    "citation_recall": ("Citation recall", 3), "citation_precision": ("Citation precision", 3),
    "unsupported_share": ("Unsupported sentences", 3), "invented_numbers": ("Invented numbers", 3),
    "map": ("MAP", 3), "mrr": ("MRR", 3), "p@1": ("P@1", 3), "ndcg@10": ("nDCG@10", 3),
    "grade@1": ("Mean grade at 1", 3), "mean_grade@1": ("Mean grade at 1", 3),
}  # fmt: skip
"""Printed name and decimal places of a figure of an answer or of a ranking."""
REGIMES = {"indexed": "Source indexed", "withheld": "Source withheld"}
_NUMERIC = re.compile(r"[+−]?[\d.,]+%?|–")


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is printed: the value, its 95% interval and a remark under it."""

    value: str
    interval: str = ""
    remark: str = ""

    def __str__(self) -> str:
        """In a line: `.030 (−.010 to .070), no difference shown`."""
        return self.value + (f" ({self.interval})" if self.interval else "") + (f", {self.remark}" * bool(self.remark))


Entry = str | Cell
Row = tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `name` is unique in the report. The first entry of a row is its heading.

    `groups`: rows by the title that they stand under, "" for none; `grouping` says what the titles are of.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    groups: dict[str, list[Row]]
    grouping: str = ""

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold figures alone; none does without a row, and the first one never."""
        rows = [row for group in self.groups.values() for row in group]
        return [
            place > 0
            and bool(rows)
            and all(isinstance(row[place], Cell) or _NUMERIC.fullmatch(str(row[place])) for row in rows)
            for place in range(len(self.columns))
        ]


def number(value: float | None, places: int = 3, signed: bool = False) -> str:
    """A figure as printed: .706 and −.020, with three places or more without the zero before the point; 12.3, 0.5.

    A value that is not 0 but would be printed so gets one more place.
    """
    if value is None or math.isnan(value):
        return NONE
    text = f"{abs(value):.{places}f}"
    if value and not float(text):
        text = f"{abs(value):.{places + 1}f}"
    sign = "" if not float(text) else "−" if value < 0 else "+" if signed else ""
    return sign + (text.removeprefix("0") if places >= 3 and text.startswith("0.") else text)


def interval(figure: dict[str, Any], places: int = 3, signed: bool = False) -> str:
    """`.688 to .722`, or nothing where the figure has no interval."""
    if figure.get("low") is None or figure.get("high") is None:
        return ""
    return f"{number(figure['low'], places, signed)} to {number(figure['high'], places, signed)}"


def plain(value: Any) -> str:
    """A scalar as a person reads it."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)


def cell(figure: Any, places: int = 3, signed: bool = False) -> Entry:
    """A figure (a number, or value with low and high) as a table's entry; absent ones as a dash.

    A difference that is not `shown` says so.
    """
    if isinstance(figure, (int, float)):
        return Cell(number(float(figure), places))
    if not isinstance(figure, dict) or figure.get("value") is None:
        return NONE
    remark = "" if figure.get("shown", True) else "no difference shown"
    return Cell(number(figure["value"], places, signed), interval(figure, places, signed), remark)


def entries(figures: dict[str, Any] | None, metrics: Sequence[str], signed: bool = False) -> Row:
    """The entries of these metrics among a row's figures."""
    return tuple(cell((figures or {}).get(name), METRICS.get(name, ("", 3))[1], signed) for name in metrics)


def labels(names: Sequence[str]) -> tuple[str, ...]:
    """The printed names of metrics, and of what else a table counts."""
    made = (name if name == "n" else name.replace("_", " ").capitalize() for name in names)
    return tuple(METRICS[name][0] if name in METRICS else other for name, other in zip(names, made, strict=True))


def row_of(results: dict[str, Any], mode: str, regime: str, part: str = "table") -> dict[str, Any] | None:
    """The row of a mode in a regime; a mode that sees no sources has the same row in both."""
    rows = [row for row in results.get(part) or [] if row["mode"] == mode]
    for row in rows:
        if row["regime"] == regime:
            return row
    return next((row for row in rows if not row.get("sources", True)), None)


def sees_sources(results: dict[str, Any], mode: str) -> bool:
    """Whether a mode reads passages, by the results' own word."""
    return any(row.get("sources", True) for row in results.get("table") or [] if row["mode"] == mode)


def modes_of(results: dict[str, Any]) -> list[str]:
    """The modes that were run, in the results' order."""
    return list(results.get("modes") or dict.fromkeys(row["mode"] for row in results.get("table") or []))


def regimes_of(results: dict[str, Any]) -> list[str]:
    """The regimes that were run, in the results' order."""
    return list(results.get("regimes") or REGIMES)


def ways_of(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Each mode in each regime; once, in the first, where it sees no sources."""
    regimes = regimes_of(results)
    return [(mode, r) for mode in modes_of(results) for r in (regimes if sees_sources(results, mode) else regimes[:1])]


def difference(results: dict[str, Any], a: str, b: str, metric: str, regime: str) -> dict[str, Any] | None:
    """The paired difference a - b: value, low, high and shown; turned round where the results hold b - a.

    Between two modes that see no sources it is the same in both regimes, so either will do.
    """
    blind = not sees_sources(results, a) and not sees_sources(results, b)
    for found in results.get("differences") or []:
        if found["metric"] != metric or (found["regime"] != regime and not blind):
            continue
        if (found["a"], found["b"]) == (a, b):
            return dict(found)
        if (found["a"], found["b"]) == (b, a):
            return turned(found) | {"a": a, "b": b}
    return None


def turned(found: dict[str, Any]) -> dict[str, Any]:
    """A difference seen from the other side."""
    return found | {"value": -found["value"], "low": -found["high"], "high": -found["low"]}


def by_mode(
    results: dict[str, Any], name: str, caption: str, modes: list[str], metrics: Sequence[str], part: str = "table"
) -> Table:
    """These modes' figures in each regime, with n."""
    groups: dict[str, list[Row]] = {}
    for regime in regimes_of(results):
        found = [(mode, row_of(results, mode, regime, part)) for mode in modes]
        groups[REGIMES.get(regime, regime)] = [
            (mode, f"{row['n']:,}", *entries(row.get("figures"), metrics)) for mode, row in found if row
        ]
    return Table(name, caption, ("Mode", "n", *labels(metrics)), groups, "Regime")
