"""Measure speed, and what attribution lets through: `python -m eval bench [indexing retrieval generation startup ...]`.

Writes one JSON file under data/bench/ and prints a table. Speeds are ratios against a baseline in the same run;
absolute times are of this machine, which the file describes.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from configs import entry, files
from configs.errors import UserError
from eval.bench.machine import machine

PARTS = ("retrieval", "generation", "startup", "attribution", "finetune", "evaluation", "indexing")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"which, of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--index", type=Path, metavar="FOLDER", help="the index (default: data/index)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the JSON (default: data/bench/DATE.json)")
    parser.add_argument("-n", type=int, default=24, help="questions that are answered for speed (default: 24)")
    parser.add_argument("--limit", type=int, help="pairs that are indexed for speed (default: all)")
    parser.add_argument("--medquad", type=Path, help="MedQuAD's archive (default: the variable MEDQUAD)")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run the parts asked for; one that fails is named and the others go on."""
    unknown = sorted(set(args.parts) - set(PARTS))
    if unknown:
        raise UserError(f"no benchmark {unknown[0]!r}; there are: {', '.join(PARTS)}")
    profile = entry.load_for(args, adapter=True)
    folder = args.index or entry.index_folder()
    results: dict[str, Any] = {"when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    results |= {"profile": profile.name, "machine": machine(), "index": _manifest(folder)}
    failed = 0
    for part in args.parts or PARTS:
        print(f"{part} ...", file=sys.stderr, flush=True)
        try:
            results[part] = _step(part, profile, folder, args)()
        except UserError as error:
            failed += 1
            results[part] = {"failed": str(error)}
            print(f"medcite: {part}: {error}", file=sys.stderr)
    out = args.out or entry.data_folder() / "bench" / f"{results['when'].replace(':', '')}.json"
    show(results)
    with files.said(out):
        files.write_json(out, results)
    print(f"written to {out}", file=sys.stderr)
    return 2 if failed else 0


def _step(part: str, profile: Any, folder: Path, args: argparse.Namespace) -> Callable[[], Any]:
    """The benchmark of that name, with what it needs."""
    if part == "startup":
        from eval.bench import startup

        return lambda: startup.run(folder)
    if part == "retrieval":
        from eval.bench import retrieval

        return lambda: retrieval.run(profile, folder)
    if part == "generation":
        from eval.bench import generation

        return lambda: generation.run(profile, generation.prompts(profile, folder, args.n), args.n)
    if part == "finetune":
        from eval.bench import finetune

        return lambda: finetune.run(profile, folder, entry.data_folder() / "models")
    if part == "evaluation":
        from eval.bench import evaluation

        return lambda: evaluation.run(profile, folder, entry.data_folder() / "models", args.n)
    spec = [str(args.medquad)] if args.medquad else ["starter"]
    if part == "attribution":
        from eval.bench import attribution

        return lambda: attribution.run(Path(spec[0]), 400, 0)
    from eval.bench import indexing

    return lambda: indexing.run(profile, spec, entry.data_folder() / "bench" / "work", args.limit, args.overrides)


def _manifest(folder: Path) -> dict[str, Any]:
    from index.store import read_manifest

    manifest, _ = read_manifest(folder)
    kept = ("corpus_name", "corpus_digest", "embedder", "precision", "pairs", "passages", "commit")
    return {name: getattr(manifest, name) for name in kept}


def show(results: dict[str, Any]) -> None:
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
