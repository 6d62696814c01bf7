"""Fit the checker of citations on validation topics: `python -m eval calibrate citations --medquad FILE`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs import entry
from configs.errors import UserError
from eval.checker.checker import SHIPPED, Model, key_of, measure, save
from eval.checker.claims import NAMES
from eval.checker.pairs import HELD_OUT, Labelled, labelled
from eval.checker.trust import add_common, figures, pair_weights, print_report

if TYPE_CHECKING:
    from index.embedder import EmbedderLike

FOLDS = 5


def fit(features: np.ndarray, made: Sequence[Labelled], seed: int = 0) -> tuple[Model, dict[str, Any]]:
    """An L2-regularised logistic regression (scikit-learn, C = 1 on standardised features), its threshold, and what
    it does with the pairs it was fitted on, each judged by a model that did not see its page (`figures`).

    Supported and unsupported pairs weigh the same in all, and so does each kind among its own. The threshold is
    where the share of supported pairs refused equals that of unsupported ones accepted (equal error), by the
    chances of five models, each without a fifth of the pages. Raises ValueError unless both labels occur.
    """
    from sklearn.model_selection import GroupKFold

    labels = np.array([item.supported for item in made])
    if labels.all() or not labels.any():
        raise ValueError("both supported and unsupported pairs are needed")
    weight = pair_weights(made)
    chances = np.zeros(len(made))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    for known, unseen in folds.split(features, labels, [item.page for item in made]):
        weights, bias = _regression(features[known], labels[known], weight[known])
        chances[unseen] = Model(weights, bias, 0.5).chances(features[unseen])
    weights, bias = _regression(features, labels, weight)
    threshold = equal_error(chances, labels, weight)
    return Model(weights, bias, threshold), figures([bool(chance >= threshold) for chance in chances], made)


def _regression(features: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> tuple[tuple[float, ...], float]:
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-6)
    model = LogisticRegression(C=1.0, max_iter=1000).fit((features - mean) / scale, labels, sample_weight=weight)
    weights = model.coef_[0] / scale
    return tuple(float(w) for w in weights), float(model.intercept_[0] - (weights * mean).sum())


def equal_error(chances: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> float:
    """The threshold at which weighted shares of supported pairs refused and unsupported ones accepted are nearest."""
    order = np.argsort(chances)
    values, good, weight = chances[order], labels[order], weight[order]
    refused = np.concatenate([[0.0], np.cumsum(weight * good)]) / (weight * good).sum()
    accepted = 1 - np.concatenate([[0.0], np.cumsum(weight * ~good)]) / (weight * ~good).sum()
    at = int(np.argmin(np.abs(refused - accepted)))
    low, high = values[max(at - 1, 0)], values[min(at, len(values) - 1)]
    return round(float(low + high) / 2, 4)


def fit_and_save(
    path: Path,
    features: np.ndarray,
    known: Sequence[Labelled],
    facts: dict[str, Any],
    embedder: EmbedderLike | None = None,
) -> None:
    """Fit the lexical model, and with an embedder (then the last feature is the cosine) the other, and write them."""
    fitted = {False: fit(features[:, : len(NAMES)], known)}
    facts = {**facts, "n": len(known), "not fitted on": list(HELD_OUT)}
    facts["threshold"] = "equal error, out of fold, each kind the same"
    if embedder is not None:
        fitted[True] = fit(features, known)
        facts["embedder"] = embedder.fingerprint
    facts["out of fold"] = {key_of(flag): shown for flag, (_, shown) in fitted.items()}
    save(path, {flag: model for flag, (model, _) in fitted.items()}, facts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_common(parser)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the model's file (default: the one that ships)")


def main(args: argparse.Namespace) -> int:
    """Fit, write, and report on test topics."""
    if args.medquad is None:
        raise UserError("where is MedQuAD? Give --medquad FILE, or set the variable MEDQUAD")
    profile = entry.load_for(args)
    from index import splits
    from index.embedder import Embedder
    from index.sources import load_corpus

    corpus = load_corpus([str(args.medquad)], profile.cleaning)
    split = splits.make(corpus.pairs, corpus.digest)
    embedder = Embedder(profile.embedder) if args.embeddings else None
    made = labelled(corpus.pairs, split.rows(corpus.pairs, "validation"), args.n)
    known = [item for item in made if item.kind not in HELD_OUT]
    features = measure([(item.premise, item.claim) for item in known], embedder)
    facts = {"corpus": corpus.digest, "splits": split.hash, "split": "validation", "sentences": args.n}
    fit_and_save(args.out, features, known, facts, embedder)
    print_report(profile, args, args.out)
    return 0
