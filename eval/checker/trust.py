"""How far the checker of citations can itself be trusted: `python -m eval citations --medquad FILE`.

Pairs with a known label are made from the corpus by rule (`labelled`), on test topics; precision, recall, each kind.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs import entry
from configs.errors import UserError
from eval.checker.checker import SHIPPED, Checker, NliChecker, SupportChecker
from eval.checker.pairs import HELD_OUT, Labelled, labelled

if TYPE_CHECKING:
    from configs.schema import Profile

SENTENCES = 1200
"""Sentences of a split from which pairs are made."""


def report(checker: Checker, made: Sequence[Labelled]) -> dict[str, Any]:
    """What the checker makes of labelled pairs (`figures`), and `plain`: the same without the kinds of HELD_OUT."""
    said = checker.supports_all([(item.premise, item.claim) for item in made])
    known = [n for n, item in enumerate(made) if item.kind not in HELD_OUT]
    plain = figures([said[n] for n in known], [made[n] for n in known])
    result = {"name": checker.name, "n": len(made), **figures(said, made)}
    return result | {"plain": {"n": len(known), "precision": plain["precision"], "recall": plain["recall"]}}


def figures(said: Sequence[bool], made: Sequence[Labelled]) -> dict[str, Any]:
    """Precision and recall of calling pairs supported, in 0..1 (None where nothing is), and shares by kind."""
    rows = list(zip(said, made, pair_weights(made).tolist(), strict=True))

    def shares(weigh: bool) -> tuple[float | None, float | None]:
        right = sum(w if weigh else 1.0 for yes, item, w in rows if yes and item.supported)
        called = sum(w if weigh else 1.0 for yes, _, w in rows if yes)
        true = sum(w if weigh else 1.0 for _, item, w in rows if item.supported)
        return (round(right / called, 4) if called else None, round(right / true, 4) if true else None)

    kinds: dict[str, dict[str, Any]] = {}
    for yes, item in zip(said, made, strict=True):
        row = kinds.setdefault(item.kind, {"n": 0, "label": "supported" if item.supported else "not", "supported": 0})
        row["n"] += 1
        row["supported"] += yes
    for row in kinds.values():
        row["supported"] = round(row["supported"] / row["n"], 4)
    (precision, recall), weighted = shares(False), shares(True)
    return {
        "precision": precision,
        "recall": recall,
        "weighted": {"precision": weighted[0], "recall": weighted[1]},
        "kinds": kinds,
    }


def pair_weights(made: Sequence[Labelled]) -> np.ndarray:
    """Each kind of pair counts the same within its label, each label the same in all; the mean is 1."""
    keys = [(item.supported, item.kind) for item in made]
    count = {key: keys.count(key) for key in set(keys)}
    kinds = {label: sum(key[0] == label for key in count) for label in (True, False)}
    return np.array([len(made) / (2 * kinds[key[0]] * count[key]) for key in keys])


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
    parser.add_argument("--embeddings", action="store_true", help="the checker with the profile's embedder")
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
    if args.medquad is None:
        raise UserError("where is MedQuAD? Give --medquad FILE, or set the variable MEDQUAD")
    profile = entry.load_for(args)
    print_report(profile, args, args.model)
    return 0


def print_report(profile: Profile, args: argparse.Namespace, model: Path) -> None:
    """Judge labelled pairs of test topics with a checker, and print what came of it."""
    from index import splits
    from index.embedder import Embedder
    from index.sources import load_corpus

    corpus = load_corpus([str(args.medquad)], profile.cleaning)
    split = splits.make(corpus.pairs, corpus.digest)
    shipped = SupportChecker.load(Embedder(profile.embedder) if args.embeddings else None, model)
    nli = getattr(args, "nli", None)
    checker: Checker = NliChecker(nli) if nli else shipped
    unseen = labelled(corpus.pairs, split.rows(corpus.pairs, "test"), args.n)
    result = {"split": "test", "splits": split.hash, "corpus": corpus.digest, **report(checker, unseen)}
    if checker is shipped:
        result["threshold"] = shipped.model.threshold
    print(json.dumps(result, indent=1) if args.json else table(result))
