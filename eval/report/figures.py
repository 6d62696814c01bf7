"""How the report finds a figure in the results, and how it prints one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from eval.report.blocks import Cell, Entry, Row

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
}  # fmt: skip
"""Printed name and decimal places of a figure in `table`."""
MAIN = ("rouge1", "rouge2", "rougeL", "bleu", "bertscore", "answered_share")
REGIMES = {"indexed": "Source indexed", "withheld": "Source withheld"}
THREE = ("base", "finetuned", "finetuned+rag")


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


def cell(figure: Any, places: int = 3) -> Entry:
    """A figure (a number, or value with low and high) as a table's entry; absent ones as a dash."""
    if isinstance(figure, (int, float)):
        return Cell(number(float(figure), places))
    if not isinstance(figure, dict) or figure.get("value") is None:
        return NONE
    return Cell(number(figure["value"], places), interval(figure, places))


def entries(figures: dict[str, Any] | None, metrics: Sequence[str]) -> Row:
    """The entries of these metrics in a row's figures."""
    return tuple(cell((figures or {}).get(name), METRICS[name][1]) for name in metrics)


def labels(metrics: Sequence[str]) -> tuple[str, ...]:
    """The metrics' printed names."""
    return tuple(METRICS[name][0] for name in metrics)


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


def regime_name(regime: str) -> str:
    """A regime as printed."""
    return REGIMES.get(regime, regime)


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
            return found | {"a": a, "b": b, "value": -found["value"], "low": -found["high"], "high": -found["low"]}
    return None
