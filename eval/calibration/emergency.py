"""Fit the emergency classifier, `rag/emergency/classifier.json`: `python -m eval calibrate emergency`.

Fitted on the labeled messages that the phrases were written with, on the calibration half of the uncovered
questions and on a sample of the corpus' own questions; held-out messages and the test half are only reported on.
The threshold is the lowest whose cross-validated false positives on uncovered questions stay at MAX_FALSE_POSITIVES.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from configs import entry
from eval.calibration.fitting import fit as logistic
from eval.datasets.consumers import QUESTIONS
from index.linear import Linear

SAMPLE = 1500
"""The corpus' questions taken as no emergencies; each weighs a tenth of a labeled message."""
STRENGTH = 10.0
"""scikit-learn's C; 1, 10 and 100 were compared by cross-validation (docs/decisions/emergencies.md)."""
MAX_FALSE_POSITIVES = 0.025
FOLDS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--index", type=Path, metavar="FOLDER", help="an index of MedQuAD (default: data/index)")
    parser.add_argument("--out", type=Path, help="where the model is written (default: rag/emergency/classifier.json)")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Fit, report and write."""
    from index.embedder import embedder_of
    from index.store import Index
    from rag.emergency.classifier import SHIPPED

    profile = entry.load_for(args)
    embedder = embedder_of(profile.embedder)
    index = Index.open(args.index or entry.index_folder())
    rows = np.random.default_rng(0).permutation(len(index.pairs))[: 2 * SAMPLE]
    corpus = index.question_vectors.reconstruct_batch(rows.astype(np.int64))
    model, report = fit(embedder, corpus[:SAMPLE], corpus[SAMPLE:])
    facts = {"date": date.today().isoformat(), "embedder": embedder.fingerprint, "corpus": index.manifest.corpus_digest}
    replace(model, fitted_on={**facts, **report}).save(args.out or SHIPPED)
    print(json.dumps(report, indent=2))
    return 0


def fit(embedder: Any, corpus: np.ndarray, unseen: np.ndarray) -> tuple[Linear, dict[str, Any]]:
    """The model and what it does on what it has not seen; `corpus` and `unseen` are (n, d) question vectors."""
    from sklearn.model_selection import StratifiedKFold

    from rag.emergency.phrases import red_flag

    labeled = _rows("emergencies.jsonl")
    held_out = [row for row in labeled if row["part"] == "held-out"]
    labeled = [row for row in labeled if row["part"] != "held-out"]
    uncovered = _rows("uncovered.jsonl")
    known = embedder.encode([row["message"] for row in labeled])
    other = embedder.encode([row["question"] for row in uncovered])
    calibration = np.array([row["part"] == "calibration" for row in uncovered])
    wanted = np.array([bool(row["category"]) for row in labeled])

    names = tuple(map(str, range(corpus.shape[1])))
    x = np.vstack([known, other[calibration], corpus])
    y = np.concatenate([wanted, np.zeros(int(calibration.sum()) + len(corpus), dtype=bool)])
    weight = np.concatenate([np.ones(len(y) - len(corpus)), np.full(len(corpus), 0.1)])
    folded = np.zeros(len(y))
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y):
        part = logistic(names, x[train], y[train], weight[train], STRENGTH, standardize=False)
        folded[test] = part.probability(x[test])
    on_uncovered = folded[len(known) : len(known) + int(calibration.sum())]
    threshold = next(t for t in np.arange(0.3, 0.96, 0.05) if (on_uncovered > t).mean() <= MAX_FALSE_POSITIVES)

    model = logistic(names, x, y, weight, STRENGTH, standardize=False)
    rounded = tuple(float(f"{value:.5g}") for value in model.weights)
    model = replace(model, weights=rounded, threshold=round(float(threshold), 2))

    def flagged(vectors: np.ndarray) -> np.ndarray:
        return model.probability(vectors) > model.threshold

    phrases = np.array([red_flag(row["message"]) is not None for row in held_out])
    truth = np.array([bool(row["category"]) for row in held_out])
    either = phrases | flagged(embedder.encode([row["message"] for row in held_out]))
    report = {
        "labeled": len(labeled),
        "threshold": model.threshold,
        "cross_validated_recall": round(float((folded[: len(known)][wanted] > threshold).mean()), 3),
        "cross_validated_false_alarms_hard": round(float((folded[: len(known)][~wanted] > threshold).mean()), 3),
        "held_out": len(held_out),
        "held_out_recall_phrases": round(float(phrases[truth].mean()), 3),
        "held_out_recall_both": round(float(either[truth].mean()), 3),
        "held_out_precision_both": round(float(truth[either].mean()), 3),
        "false_alarms_corpus_questions": round(float(flagged(unseen).mean()), 4),
        "false_alarms_uncovered_test": round(float(flagged(other[~calibration]).mean()), 4),
    }
    return model, report


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (QUESTIONS / name).read_text("utf-8").splitlines()]
