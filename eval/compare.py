"""What changed between two evaluation runs: `python -m eval compare RUN RUN`.

A run is a folder with `results.json`, or that file. Differences in what was asked, of what, come first: where they
matter, the figures are not of one thing. What only one of them has is listed, and so is what is not compared at all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from configs.errors import UserError

SCHEMA = 1
IDENTITY = ("profile", "model", "config_hash", "corpus", "splits", "adapter", "questions", "decoding", "commit",
            "versions", "code_versions", "machine", "metrics", "checker", "modes", "regimes")  # fmt: skip
DECISIVE = ("questions", "splits", "corpus", "metrics")
"""Where two runs differ in one of these, their figures are of different questions or measures."""
PARTS = {"table": "answers", "forced": "abstention disabled"}
"""Tables of the results by mode and regime, and what they are called here."""
TIMES = "times"
OWN = "the corpus's own test questions"
FACTS = {"n": None, "intervals_by": "question"}
"""What a retrieval table says of itself beside its figures, and what holds where it does not say it."""
NOT_COMPARED = (
    "Not compared: the runs' own paired differences, slices, risk and coverage, examples, peak memory and duration."
)

Key = tuple[str, str, str]
"""A row of figures: its table, the mode or system, and the regime or the set of questions."""


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
    """(what, in the first, in the second) for everything that the runs do not share, but rows that only one has."""
    asked: list[tuple[str, Any, Any]] = [(name, first.get(name), second.get(name)) for name in IDENTITY]
    mine, theirs = _retrieval(first), _retrieval(second)
    for name in (name for name in mine if name in theirs):
        one, other = ({key: run[name].get(key, default) for key, default in FACTS.items()} for run in (mine, theirs))
        asked.append((f"retrieval, {name}", one, other))
    found = [(".".join(path), a, b) for name, one, other in asked for path, a, b in _unlike(one, other, (name,))]
    return [item for item in found if item[0] != "splits.caveat"]  # words on the splits, which older runs lack


def _unlike(a: Any, b: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    # Two levels say enough: the checker's kinds would fill a page.
    if isinstance(a, dict) and isinstance(b, dict) and len(path) < 2:
        for name in dict.fromkeys((*a, *b)):
            yield from _unlike(a.get(name), b.get(name), (*path, name))
    elif a != b:
        yield path, a, b


def figures(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """Every figure that both runs have: table, row and what it is within, metric, both values with intervals, change.

    `apart` says whether the two intervals do not touch: a cautious sign, for the runs are not paired here. Intervals
    that overlap do not say that there is no difference. None where a figure has no interval.
    """
    rows = []
    for (table, row, within), name, a, b in _shared(first, second):
        if table != TIMES:
            ends = [one.get(end) for one in (a, b) for end in ("low", "high")]
            apart = None if None in ends else a["low"] > b["high"] or b["low"] > a["high"]
            place = {"table": table, "row": row, "within": within, "metric": name}
            rows.append(place | {"first": a, "second": b, "change": round(b["value"] - a["value"], 4), "apart": apart})
    return rows


def times(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """What an answer took in both runs: mode, what, both values and the change. They have no intervals."""
    return [
        {"mode": mode, "what": name, "first": a, "second": b, "change": round(b - a, 4)}
        for (table, mode, _), name, a, b in _shared(first, second)
        if table == TIMES
    ]


def alone(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, str]]:
    """("first" or "second", what) for every row that only that run has, and every figure within a row of both."""
    one, other = _rows(first), _rows(second)
    listed = []
    for which, mine, theirs in (("first", one, other), ("second", other, one)):
        for key, found in mine.items():
            if key not in theirs:
                listed.append((which, ", ".join(key)))
            elif lacking := [name for name in found if name not in theirs[key]]:
                listed.append((which, f"{', '.join(key)}: {', '.join(lacking)}"))
    return listed


def _shared(first: dict[str, Any], second: dict[str, Any]) -> Iterator[tuple[Key, str, Any, Any]]:
    others = _rows(second)
    for key, found in _rows(first).items():
        for name in (name for name in found if name in others.get(key, {})):
            yield key, name, found[name], others[key][name]


def _rows(results: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    """The figures that have a value, and the times of each mode's answers by name: `total_ms p50`."""
    rows: dict[Key, dict[str, Any]] = {
        (name, row["mode"], row["regime"]): row["figures"]
        for part, name in PARTS.items()
        for row in results.get(part) or []
    }
    for within, table in _retrieval(results).items():
        rows |= {("retrieval", row, within): found for row, found in table["systems"].items()}
    for key, row in rows.items():
        rows[key] = {name: one for name, one in row.items() if isinstance(one, dict) and one.get("value") is not None}
    for row in results.get("latency") or []:
        parts = {name: value if isinstance(value, dict) else {"": value} for name, value in row.items()}
        found = {f"{name} {part}".strip(): value for name, inner in parts.items() for part, value in inner.items()}
        rows[TIMES, row["mode"], "indexed"] = {
            name: value for name, value in found.items() if isinstance(value, (int, float))
        }
    return rows


def _retrieval(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The retrieval tables by name, the corpus's own questions as one more; two readings of the grades are two."""
    found = results.get("retrieval") or {}
    tables = {f"{one['name']} ({one['policy']})" if one.get("policy") else one["name"]: one
              for one in found.get("sets") or []}  # fmt: skip
    if own := found.get("own"):
        systems = {way: row for way, row in own.items() if isinstance(row, dict)}
        tables[OWN] = {**own, "systems": systems, "n": {way: row.get("n") for way, row in systems.items()}}
    return tables


def text(first: dict[str, Any], second: dict[str, Any]) -> str:
    """The comparison for a person, in Markdown."""
    lines = []
    unlike = changed(first, second)
    parts = {what.partition(".")[0] for what, _, _ in unlike}
    if parts & set(DECISIVE):
        lines += ["**The runs differ in what was asked or how it is measured: their figures are of different things.**"]
    if "checker" in parts:
        lines += [
            "**The checkers of citations differ, in themselves or in their calibration: the runs' citation figures may "
            "be of different measures.**"
        ]
    if unlike:
        lines += _table("| differs | first | second |", [(what, _short(a), _short(b)) for what, a, b in unlike])
    else:
        lines += ["", "The runs share everything."]
    if missing := alone(first, second):
        lines += ["", "Not in both runs:", "", *(f"- only in the {which}: {what}" for which, what in missing)]
    shared = figures(first, second)
    if moved := [_cells(row) for row in shared if row["change"]]:
        lines += _table("| table | row | within | metric | first | second | change | |", moved)
        lines += ["", "The intervals are each run's own: where they overlap, there may still be a difference."]
    else:
        lines += ["", "No figure changed." if shared else "The runs have no figure in common."]
    if slower := [row for row in times(first, second) if row["change"]]:
        lines += _table(
            "| mode | time | first | second | change |",
            [(r["mode"], r["what"], f"{r['first']:g}", f"{r['second']:g}", f"{r['change']:+g}") for r in slower],
        )
        lines += ["", "Times have no intervals: what else the machine did may be the whole change."]
    return "\n".join([*lines, "", NOT_COMPARED]).strip()


def _table(head: str, rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["", head, "|---" * (head.count("|") - 1) + "|", *lines]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    form = "{value:.4g}" if row["apart"] is None else "{value:.4g} ({low:.4g} to {high:.4g})"
    word = {True: "intervals apart", False: "intervals overlap", None: "no interval"}[row["apart"]]
    values = [form.format_map(row[which]) for which in ("first", "second")]
    return (row["table"], row["row"], row["within"], row["metric"], *values, f"{row['change']:+.4g}", word)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    words = "none" if value is None else str(value)
    return words if len(words) <= 40 else words[:37] + "..."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="a run's folder or its results.json")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def main(args: argparse.Namespace) -> int:
    """Print what changed."""
    first, second = (read(place) for place in args.runs)
    if not args.json:
        print(text(first, second))
        return 0
    found = {
        "differs": [{"what": what, "first": a, "second": b} for what, a, b in changed(first, second)],
        "only_in_one": [{"run": which, "what": what} for which, what in alone(first, second)],
        "figures": figures(first, second),
        "times": times(first, second),
    }
    print(json.dumps(found, indent=2))
    return 0
