"""Measure speed: `python -m eval bench [PART ...]`.

Writes one JSON file under data/bench/ and prints a table. Speeds are ratios against a baseline in the same run;
absolute times are of this machine, which the file describes.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from configs import entry, files
from configs.errors import UserError

PARTS: dict[str, tuple[str, int | None]] = {
    "retrieval": ("retrieval.run", 1000),
    "generation": ("generation.run", 24),
    "startup": ("startup.run", 5),
    "attribution": ("attribution.run", 50),
    "finetune": ("finetune.run", 6),
    "evaluation": ("generation.evaluation", 24),
    "indexing": ("indexing.run", None),
    "growing": ("growing.run", 100_000),
}
"""Each part's function of (profile, index, n), and its own `n`: questions, answers, starts, drafts, steps of training,
answers, pairs (None: all that the index was built from), and rows of a table."""
INDEX = ("corpus_name", "corpus_digest", "embedder", "precision", "pairs", "passages", "commit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    own = "questions, starts, drafts, steps or pairs of every part (default: the part's own number)"
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"which, of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--index", type=Path, metavar="FOLDER", help="models are beside it (default: data/index)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the JSON (default: data/bench/DATE.json)")
    parser.add_argument("-n", type=int, help=own)
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run the parts asked for; one that fails is named and the others go on."""
    from eval.bench.machine import machine
    from index.store import read_manifest

    unknown = sorted(set(args.parts) - set(PARTS))
    if unknown:
        raise UserError(f"no benchmark {unknown[0]!r}; there are: {', '.join(PARTS)}")
    if args.n is not None and args.n < 1:
        raise UserError(f"-n {args.n}: at least 1 is needed")
    profile, index = entry.load_for(args, adapter=True), args.index or entry.index_folder()
    manifest, _ = read_manifest(index)
    results: dict[str, Any] = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "profile": profile.name,
        "machine": machine(),
        "index": {name: getattr(manifest, name) for name in INDEX},
    }
    failed = 0
    for part in args.parts or PARTS:
        print(f"{part} ...", file=sys.stderr, flush=True)
        try:
            module, _, function = PARTS[part][0].partition(".")
            measure = getattr(import_module(f"eval.bench.{module}"), function)
            results[part] = measure(profile, index, args.n or PARTS[part][1])
        except UserError as error:
            failed += 1
            results[part] = {"failed": str(error)}
            print(f"medcite: {part}: {error}", file=sys.stderr)
    out = args.out or entry.data_folder() / "bench" / f"{results['when'].replace(':', '')}.json"
    _show(results)
    with files.said(out):
        files.write_json(out, results)
    print(f"written to {out}", file=sys.stderr)
    return 2 if failed else 0


def _show(results: dict[str, Any]) -> None:
    """Print every figure, a line each."""
    from rich.console import Console
    from rich.table import Table

    table = Table("part", "figure", "value", title=f"medcite bench, profile {results['profile']}")
    for part in PARTS:
        for name, value in _flat(results.get(part, {})):
            table.add_row(part, name, value)
    Console(width=160 if not sys.stdout.isatty() else None).print(table)


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        return [(prefix, text if len(text) <= 100 else text[:97] + "...")]
    return [row for name, inner in value.items() for row in _flat(inner, f"{prefix} {name}".strip())]
