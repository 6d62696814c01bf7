"""What changed between two evaluation runs: `python -m eval compare RUN RUN`.

A run is a folder with `results.json`, or that file. Differences in what was asked, of what, come first: where they
matter, the figures are not of one thing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from configs.errors import UserError

SCHEMA = 1
IDENTITY = ("profile", "model", "config_hash", "corpus", "splits", "adapter", "questions", "decoding", "commit",
            "versions", "machine", "metrics")  # fmt: skip
DECISIVE = ("questions", "splits", "corpus", "metrics")
"""Where two runs differ in one of these, their figures are of different questions or measures."""


def read(place: Path) -> dict[str, Any]:
    """A run's results. Raises UserError where there are none, or of another schema."""
    path = place / "results.json" if place.is_dir() else place
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        schema = found["schema"]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a folder that `python -m eval --out FOLDER` wrote") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: no evaluation results; give a folder that `python -m eval` wrote") from None
    if schema != SCHEMA:
        raise UserError(f"{path}: results of schema {schema}, this program reads {SCHEMA}")
    return found


def changed(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(what, in the first, in the second) for everything that the runs do not share."""
    return [
        (".".join(path), a, b)
        for name in IDENTITY
        for path, a, b in _unlike(first.get(name), second.get(name), (name,))
    ]


def _unlike(a: Any, b: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in dict.fromkeys((*a, *b)):
            yield from _unlike(a.get(name), b.get(name), (*path, name))
    elif a != b:
        yield path, a, b


def figures(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """Every figure that both runs have: mode, regime, metric, both values with intervals, and the change.

    `apart` says whether the two intervals do not touch: a cautious sign, for the runs are not paired here.
    """
    rows = []
    others = {(row["mode"], row["regime"]): row["figures"] for row in second["table"]}
    for row in first["table"]:
        other = others.get((row["mode"], row["regime"]), {})
        for name, a in row["figures"].items():
            b = other.get(name)
            if not a or not b or a.get("value") is None or b.get("value") is None:
                continue
            apart = a["low"] > b["high"] or b["low"] > a["high"]
            rows.append(
                {
                    "mode": row["mode"], "regime": row["regime"], "metric": name, "first": a, "second": b,
                    "change": round(b["value"] - a["value"], 4), "apart": apart,
                }
            )  # fmt: skip
    return rows


def text(first: dict[str, Any], second: dict[str, Any]) -> str:
    """The comparison for a person, in Markdown."""
    lines = []
    unlike = changed(first, second)
    if any(what.partition(".")[0] in DECISIVE for what, _, _ in unlike):
        lines += ["**The runs differ in what was asked or how it is measured: their figures are of different things.**"]
    lines += ["", "| differs | first | second |", "|---|---|---|"] if unlike else ["", "The runs share everything."]
    lines += [f"| {what} | {_short(a)} | {_short(b)} |" for what, a, b in unlike]
    rows = [row for row in figures(first, second) if row["change"]]
    if not rows:
        return "\n".join([*lines, "", "No figure changed."]).strip()
    lines += ["", "| mode | sources | metric | first | second | change | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        spans = [f"{f['value']:.4g} ({f['low']:.4g} to {f['high']:.4g})" for f in (row["first"], row["second"])]
        word = "intervals apart" if row["apart"] else "no difference shown"
        lines.append(
            f"| {row['mode']} | {row['regime']} | {row['metric']} | {spans[0]} | {spans[1]} | {row['change']:+.4g} "
            f"| {word} |"
        )
    return "\n".join(lines).strip()


def _short(value: Any) -> str:
    words = "none" if value is None else str(value)
    return (words if len(words) <= 40 else words[:37] + "...").replace("|", "\\|")


def main(argv: Sequence[str] | None = None) -> int:
    """Print what changed."""
    parser = argparse.ArgumentParser(prog="python -m eval compare", description="What changed between two runs.")
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="a run's folder or its results.json")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = parser.parse_args(argv)
    first, second = (read(place) for place in args.runs)
    if args.json:
        unlike = [{"what": what, "first": a, "second": b} for what, a, b in changed(first, second)]
        json.dump({"differs": unlike, "figures": figures(first, second)}, sys.stdout, indent=2)
        print()
    else:
        print(text(first, second))
    return 0
