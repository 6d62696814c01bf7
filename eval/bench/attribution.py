"""How well attribution tells what its sources say: labelled variants of real sentences, made by rule.

    python -m eval.bench.attribution CORPUS [-n 400] [--seed 0] [--json]

Every case is one sentence of a page, changed or not, and three to five passages as sources. For each kind
of change: the share shown as supported, the share shown in a source's own words (a quotation is never
false), the share supported in the draft's words, and where the page is among the sources, how often it
is the one cited. `facts only` repeats it with quoting off, so that the checks of facts stand alone.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs import errors
from configs.schema import Answering, Cleaning
from eval.checker.altered import FALSE_KINDS, TRUE_KINDS, cases, passages, source_of
from index.corpus import QAPair
from index.sources import load_corpus
from rag.answer import Source
from rag.attribution.attribute import attribute
from rag.attribution.references import without_marks


def measure(made: Sequence[tuple[str, str, str, list[Source]]], settings: Answering) -> dict[str, dict[str, float]]:
    """For each kind: n and shares in 0..1."""
    table: dict[str, dict[str, float]] = {}
    for kind, text, original, sources in made:
        row = table.setdefault(kind, dict.fromkeys(("n", "supported", "quoted", "restored", "reworded", "cited"), 0.0))
        found = attribute(text, sources, settings)
        original = without_marks(original)  # as a source shows it
        good = [s for s in found if s.supported]
        row["n"] += 1
        row["supported"] += bool(good)
        row["quoted"] += bool(good) and all(s.quoted for s in good)
        row["restored"] += bool(original) and any(s.quoted and original in s.text for s in good)
        row["reworded"] += any(not s.quoted for s in good)
        row["cited"] += bool(original) and any(s.citations[0] == 1 for s in good)
    for row in table.values():
        for name in row:
            row[name] = row[name] if name == "n" else round(row[name] / row["n"], 3)
    return {kind: table[kind] for kind in (*TRUE_KINDS, *FALSE_KINDS) if kind in table}


def milliseconds(pairs: Sequence[QAPair], seed: int, rounds: int = 50) -> dict[str, float]:
    """Median and 95th percentile of attributing about 100 words against five passages, none seen before."""
    from rag.attribution.support import read

    rng = random.Random(seed)
    pages = [pair for pair in pairs if len(pair.answer.split()) > 120]
    taken = []
    for _ in range(rounds):
        sources = [
            source_of(n, p, passages(p.answer)[0]) for n, p in enumerate(rng.sample(pages, min(5, len(pages))), 1)
        ]
        draft = " ".join(" ".join(source.text.split()[:35]) + " [1]." for source in sources[:3])
        read.cache_clear()
        started = time.perf_counter()
        attribute(draft, sources, Answering())
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return {"p50_ms": round(taken[len(taken) // 2], 2), "p95_ms": round(taken[int(len(taken) * 0.95)], 2)}


def run(corpus_path: str | Path, n: int = 400, seed: int = 0) -> dict[str, Any]:
    """The tables for `n` sentences of a corpus, with the default thresholds. Raises UserError for the corpus."""
    pairs = load_corpus([str(corpus_path)], Cleaning()).pairs
    made = cases(pairs, n, seed)
    settings = Answering()
    return {
        "sentences": n,
        "seed": seed,
        "settings": settings.model_dump(),
        "kinds": measure(made, settings),
        "facts_only": measure(made, settings.model_copy(update={"quote_threshold": 1.0})),
        "speed": milliseconds(pairs, seed),
    }


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = ["| sentence | n | supported | quoted | restored | in its own words | cites its page | facts only |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for kind, row in result["kinds"].items():
        alone = result["facts_only"][kind]["reworded" if kind in FALSE_KINDS else "supported"]
        shares = [f"{row[name]:.3f}" for name in ("supported", "quoted", "restored", "reworded", "cited")]
        lines.append(f"| {kind} | {row['n']:.0f} | " + " | ".join(shares) + f" | {alone:.3f} |")
    return "\n".join(lines) + f"\n\nattribute: {result['speed']}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m eval.bench.attribution", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("corpus", type=Path, help="MedQuAD's zip or folder, a table, or `starter`")
    parser.add_argument("-n", type=int, default=400, help="sentences (default: 400)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(argv)
    result = run(args.corpus, args.n, args.seed)
    print(json.dumps(result, indent=1) if args.json else table(result))
    return 0


if __name__ == "__main__":
    errors.run(main)
