"""How far the checker of citations can itself be trusted: `python -m eval citations --medquad FILE`.

Pairs with a known label are made from the corpus by rule (`labeled`), on test topics; precision, recall, each kind.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from configs import entry
from configs.errors import UserError
from eval.checker.altered import HELD_OUT, Labeled, labeled
from eval.checker.checker import SHIPPED, Checker, NliChecker, SupportChecker
from index import splits

SENTENCES = 1200
"""Sentences of a split from which pairs are made."""


def report(checker: Checker, made: Sequence[Labeled]) -> dict[str, Any]:
    """What the checker makes of labeled pairs (`figures`), and `plain`: the same without the kinds of HELD_OUT."""
    said = checker.supports_all([(item.premise, item.claim) for item in made])
    known = [n for n, item in enumerate(made) if item.kind not in HELD_OUT]
    plain = figures([said[n] for n in known], [made[n] for n in known])
    result = {"name": checker.name, "n": len(made), **figures(said, made)}
    return result | {"plain": {"n": len(known), "precision": plain["precision"], "recall": plain["recall"]}}


def figures(said: Sequence[bool], made: Sequence[Labeled]) -> dict[str, Any]:
    """Precision and recall of calling pairs supported, in 0..1 (None where nothing is), and shares by kind."""
    called, true = np.array(said, bool), np.array([item.supported for item in made])

    def shares(weight: np.ndarray) -> dict[str, float | None]:
        right = weight[called & true].sum()
        counted = {"precision": weight[called].sum(), "recall": weight[true].sum()}
        return {name: round(float(right / total), 4) if total else None for name, total in counted.items()}

    kinds: dict[str, dict[str, Any]] = {}
    for kind, label in {item.kind: item.supported for item in made}.items():
        mine = called[[item.kind == kind for item in made]]
        share = round(float(mine.mean()), 4)
        kinds[kind] = {"n": len(mine), "label": "supported" if label else "not", "supported": share}
    return {**shares(np.ones(len(made))), "weighted": shares(pair_weights(made)), "kinds": kinds}


def pair_weights(made: Sequence[Labeled]) -> np.ndarray:
    """Each kind of pair counts the same within its label, each label the same in all; the mean is 1."""
    count = Counter((item.supported, item.kind) for item in made)
    kinds = Counter(supported for supported, _ in count)
    return np.array([len(made) / (2 * kinds[item.supported] * count[item.supported, item.kind]) for item in made])


def table(result: dict[str, Any]) -> str:
    """A report as a Markdown table, each kind with the share called supported."""
    lines = [
        f"{result['name']}, {result['n']} pairs of {result['split']} topics: {_both(result)}; "
        f"each kind counted the same: {_both(result['weighted'])}; "
        f"without {', '.join(HELD_OUT)} (never fitted on): {_both(result['plain'])}",
        "",
        "| pair | label | n | called supported |",
        "|---|---|---|---|",
    ]
    rows = sorted(result["kinds"].items(), key=lambda item: item[1]["label"], reverse=True)
    lines += [f"| {kind} | {row['label']} | {row['n']} | {row['supported']:.3f} |" for kind, row in rows]
    return "\n".join(lines)


def _both(found: dict[str, Any]) -> str:
    shown = ("none" if found[key] is None else f"{found[key]:.3f}" for key in ("precision", "recall"))
    return "precision {}, recall {}".format(*shown)


def add_common(parser: argparse.ArgumentParser) -> None:
    """The arguments that reporting and fitting share."""
    parser.add_argument("--medquad", type=Path, help="MedQuAD's zip or folder (default: the variable MEDQUAD)")
    parser.add_argument("-n", type=int, default=SENTENCES, help=f"sentences of each split (default: {SENTENCES})")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    entry.add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_common(parser)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="the model's file (default: the one that ships)")
    parser.add_argument("--nli", type=Path, metavar="FOLDER", help="report a local entailment model instead")


def main(args: argparse.Namespace) -> int:
    """Report on test topics."""
    print_report(args, NliChecker(args.nli) if args.nli else SupportChecker.load(args.model))
    return 0


def material(args: argparse.Namespace, split: splits.Split) -> tuple[list[Labeled], dict[str, str]]:
    """Labeled pairs of a split's topics, and of what they were made."""
    if args.medquad is None:
        raise UserError("where is MedQuAD? Give --medquad FILE, or set the variable MEDQUAD")
    from index.sources import load_corpus

    corpus = load_corpus([str(args.medquad)], entry.load_for(args).cleaning)
    made = splits.make(corpus.pairs, corpus.digest)
    facts = {"split": split, "splits": made.hash, "corpus": corpus.digest}
    return labeled(corpus.pairs, made.rows(corpus.pairs, split), args.n), facts


def print_report(args: argparse.Namespace, checker: Checker) -> None:
    """Judge labeled pairs of test topics with a checker, and print what came of it."""
    unseen, facts = material(args, "test")
    result = {**facts, **report(checker, unseen)}
    if isinstance(checker, SupportChecker):
        result["threshold"] = checker.model.threshold
    print(json.dumps(result, indent=1) if args.json else table(result))
