"""How well attribution tells what its sources say: labeled variants of real sentences, made by rule.

    python -m eval attribution CORPUS [-n 400] [--seed 0] [--json]

Every case is one sentence of a page, changed or not, and three to five passages as sources. For each kind of change:
the share shown as supported, the share shown in a source's own words (a quotation is never false), the share supported
in the draft's words, and where the page is among the sources, how often it is the one cited. `facts only` repeats it
with quoting off, so that the checks of facts stand alone.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from configs.schema import Answering
    from rag.answer import Source

SHARES = ("supported", "quoted", "restored", "reworded", "cited")


def measure(made: Sequence[tuple[str, str, str, list[Source]]], settings: Answering) -> dict[str, dict[str, float]]:
    """For each kind of `eval.checker.altered.cases`: n, and SHARES in 0..1."""
    from eval.checker.altered import FALSE_KINDS, TRUE_KINDS
    from rag.attribution.attribute import attribute
    from rag.attribution.references import without_marks

    counts: dict[str, Counter[str]] = {}
    for kind, text, original, sources in made:
        original = without_marks(original)  # as a source shows it
        good = [one for one in attribute(text, sources, settings) if one.supported]
        counts.setdefault(kind, Counter()).update(
            n=1,
            supported=bool(good),
            quoted=bool(good) and all(one.quoted for one in good),
            restored=bool(original) and any(one.quoted and original in one.text for one in good),
            reworded=any(not one.quoted for one in good),
            cited=bool(original) and any(one.citations[0] == 1 for one in good),
        )
    return {
        kind: {"n": counts[kind]["n"]} | {name: round(counts[kind][name] / counts[kind]["n"], 3) for name in SHARES}
        for kind in (*TRUE_KINDS, *FALSE_KINDS)
        if kind in counts
    }


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    from eval.checker.altered import FALSE_KINDS

    lines = ["| sentence | n | supported | quoted | restored | in its own words | cites its page | facts only |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for kind, row in result["kinds"].items():
        alone = result["facts_only"][kind]["reworded" if kind in FALSE_KINDS else "supported"]
        shares = [f"{row[name]:.3f}" for name in SHARES]
        lines.append(f"| {kind} | {row['n']} | " + " | ".join(shares) + f" | {alone:.3f} |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("corpus", help="MedQuAD's zip or folder, a table, or `starter`")
    parser.add_argument("-n", type=int, default=400, help="sentences (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="of the sentences drawn (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def main(args: argparse.Namespace) -> int:
    """Measure with the default thresholds, and print."""
    from configs.schema import Answering, Cleaning
    from eval.checker.altered import cases
    from index.sources import load_corpus

    made = cases(load_corpus([args.corpus], Cleaning()).pairs, args.n, args.seed)
    settings = Answering()
    result = {
        "sentences": args.n,
        "seed": args.seed,
        "settings": settings.model_dump(),
        "kinds": measure(made, settings),
        "facts_only": measure(made, settings.model_copy(update={"quote_threshold": 1.0})),
    }
    print(json.dumps(result, indent=1) if args.json else table(result))
    return 0
