"""Fit the checker of citations on validation topics: `python -m eval calibrate citations --medquad FILE`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from eval.calibration.fitting import fit as logistic
from eval.checker.altered import HELD_OUT, Labeled
from eval.checker.checker import SHIPPED, SupportChecker, measure
from eval.checker.claims import NAMES
from eval.checker.trust import add_common, figures, material, pair_weights, print_report
from index.linear import Linear

FOLDS = 5


def fit(features: np.ndarray, made: Sequence[Labeled]) -> tuple[Linear, dict[str, Any]]:
    """The model with its threshold, and what is said of pairs by models that did not see their page (`figures`).

    Each kind of pair weighs the same within its label, and both labels do. The threshold is where the share of
    supported pairs refused equals that of unsupported ones accepted (equal error), by the chances of five models, each
    without a fifth of the pages. Raises ValueError unless both labels occur.
    """
    from sklearn.model_selection import GroupKFold

    labels = np.array([item.supported for item in made])
    weight = pair_weights(made)
    chances = np.zeros(len(made))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    for known, unseen in folds.split(features, labels, [item.page for item in made]):
        part = logistic(NAMES, features[known], labels[known], weight[known])
        chances[unseen] = part.probability(features[unseen])
    threshold = equal_error(chances, labels, weight)
    model = replace(logistic(NAMES, features, labels, weight), threshold=threshold)
    return model, figures([bool(chance >= threshold) for chance in chances], made)


def equal_error(chances: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> float:
    """The threshold at which weighted shares of supported pairs refused and unsupported ones accepted are nearest."""
    order = np.argsort(chances)
    values, good, weight = chances[order], labels[order], weight[order]
    refused = np.concatenate([[0.0], np.cumsum(weight * good)]) / (weight * good).sum()
    accepted = 1 - np.concatenate([[0.0], np.cumsum(weight * ~good)]) / (weight * ~good).sum()
    at = int(np.argmin(np.abs(refused - accepted)))
    low, high = values[max(at - 1, 0)], values[min(at, len(values) - 1)]
    return round(float(low + high) / 2, 4)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_common(parser)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the model's file (default: the one that ships)")


def main(args: argparse.Namespace) -> int:
    """Fit, write, and report on test topics."""
    made, facts = material(args, "validation")
    known = [item for item in made if item.kind not in HELD_OUT]
    model, shown = fit(measure([(item.premise, item.claim) for item in known]), known)
    fitted_on = {
        "date": date.today().isoformat(),
        **facts,
        "sentences": args.n,
        "n": len(known),
        "not fitted on": list(HELD_OUT),
        "threshold": "equal error, out of fold, each kind the same",
        "out of fold": shown,
    }
    replace(model, fitted_on=fitted_on).save(args.out)
    print_report(args, SupportChecker.load(args.out))
    return 0
