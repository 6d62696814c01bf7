"""Fit the long form of quoting, and the details of the default form: `medcite eval calibrate digest --data FOLDER`.

What a sentence is worth, and how much the long form quotes, is fitted on what experts took of the answers to
MEDIQA-2021's 50 questions. `medcite eval experts` cross-validates the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from configs import entry
from eval.calibration.fitting import fit as logistic
from eval.datasets.experts import Expert, as_sources, read
from eval.metrics.text import rouge
from index.embedder import EmbedderLike
from index.linear import Linear
from index.words import words
from rag.attribution import details
from rag.attribution.digest import NAMES, SHIPPED, Candidates, Digest, candidates
from rag.attribution.selection import scored
from rag.retrieval.kinds import Kinds, shipped
from rag.retrieval.reading import Line, Piece

STRENGTH = 0.01
"""scikit-learn's C of what a sentence is worth; .001 to .1 gave the same to two digits."""
TAKEN = (0.25, 0.75)
"""Share of a sentence's word pairs in the excerpt: up to the first it was not taken, from the second on it was."""
PER_ROOT = tuple(np.arange(7.0, 13.1, 0.5).tolist())
"""What is tried for `Digest.per_root`."""
FOLDS = 10


def examples(experts: Sequence[Expert], embedder: EmbedderLike, types: Kinds, max_tokens: int) -> list[Candidates]:
    """The sentences of each question's answers with what is known of them."""
    found = []
    for one in experts:
        _, pieces = as_sources(one, embedder, max_tokens)
        found.append(candidates([one.question], pieces, embedder.encode, types))
    return found


def taken(one: Expert, found: Candidates) -> np.ndarray:
    """How surely each block was taken for the excerpt, (n,) in 0..1, by the share of its word pairs there."""
    excerpt = set(_pairs(one.extractive))
    shares = []
    for block in found.blocks:
        own = _pairs(" ".join(line.text for line in block))
        shares.append(sum(pair in excerpt for pair in own) / max(len(own), 1))
    low, high = TAKEN
    return np.clip((np.array(shares) - low) / (high - low), 0, 1)


def _pairs(text: str) -> list[tuple[str, str]]:
    said = words(text.lower())
    return list(pairwise(said))


def beside(lines: Sequence[Line], pieces: Sequence[Piece]) -> Candidates:
    """What the default form may quote beside its answer, with what is known of it."""
    every = details.blocks(lines)
    values = details.features(every, pieces)
    said = [at for at, block in enumerate(every) if any(line.value > -np.inf and not line.points for line in block)]
    return Candidates([every[at] for at in said], values[said])


def fit(experts: Sequence[Expert], found: Sequence[Candidates], names: tuple[str, ...] = NAMES) -> Linear:
    """What a sentence is worth. Raises ValueError where every sentence was taken, or none."""
    labels = np.concatenate([taken(one, its) for one, its in zip(experts, found, strict=True)])
    values = np.vstack([one.values for one in found])
    # A sentence taken by half counts half as taken and half as left.
    weight = np.concatenate([labels, 1 - labels])
    known = np.repeat([True, False], len(labels))[weight > 0]
    return logistic(names, np.vstack([values, values])[weight > 0], known, weight[weight > 0], STRENGTH)


def excerpt(found: Candidates, order: Linear, per_root: float, max_words: float | None = None) -> str:
    """What is quoted of the candidates, as text; `max_words` in place of the model's own number of words."""
    room = found.room(per_root) if max_words is None else max_words
    return " ".join(line.text for line in found.best(order.probability(found.values), room))


@dataclass(frozen=True)
class Unseen:
    """Models that did not see the questions they are for: `orders` and `per_root`, one a question.

    `overall` is the `per_root` that is best for all questions, each by its own model.
    """

    orders: list[Linear]
    per_root: list[float]
    overall: float


def folds_of(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The questions that a fold's model is fitted on, and those that it is for."""
    from sklearn.model_selection import KFold

    yield from KFold(min(FOLDS, count), shuffle=True, random_state=0).split(np.arange(count))


def orders(experts: Sequence[Expert], found: Sequence[Candidates], names: tuple[str, ...] = NAMES) -> list[Linear]:
    """For each question an order that was fitted without it and the others of its fold."""
    own: list[Linear | None] = [None] * len(experts)
    for known, held_out in folds_of(len(experts)):
        order = fit([experts[at] for at in known], [found[at] for at in known], names)
        for at in held_out:
            own[at] = order
    return [order for order in own if order is not None]


def cross_validate(experts: Sequence[Expert], found: Sequence[Candidates]) -> Unseen:
    """Each question's models, fitted without it and the others of its fold: first the order, then how much is quoted,
    by the ROUGE-2 that every `PER_ROOT` reaches for the questions outside the fold, each by its own order."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge2"], use_stemmer=True)
    fold_of = np.zeros(len(experts), dtype=np.int64)
    for number, (_, held_out) in enumerate(folds_of(len(experts))):
        fold_of[held_out] = number
    own = orders(experts, found)
    reached = np.array(
        [
            [scorer.score(one.extractive, excerpt(its, order, factor))["rouge2"].fmeasure for factor in PER_ROOT]
            for one, its, order in zip(experts, found, own, strict=True)
        ]
    )
    per_root = [PER_ROOT[int(reached[fold_of != fold].mean(axis=0).argmax())] for fold in fold_of]
    return Unseen(own, per_root, PER_ROOT[int(reached.mean(axis=0).argmax())])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="MEDIQA-2021's folder")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the model's file (default: the one that ships)")
    parser.add_argument(
        "--details", type=Path, default=details.SHIPPED, help="the details' file (default: the one that ships)"
    )
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Fit, print and write: three minutes on one core."""
    from index.embedder import embedder_of

    profile = entry.load_for(args)
    experts = read(args.data)
    embedder = embedder_of(profile.embedder)
    found = examples(experts, embedder, shipped(), profile.passages.max_tokens)
    order, unseen = fit(experts, found), cross_validate(experts, found)
    chosen = [excerpt(*one) for one in zip(found, unseen.orders, unseen.per_root, strict=True)]
    reached = float(np.mean(rouge(chosen, [one.extractive for one in experts])["rouge2"]))
    facts: dict[str, Any] = {
        "date": date.today().isoformat(),
        "embedder": embedder.fingerprint,
        "questions": len(experts),
        "sentences": len(np.vstack([one.values for one in found])),
        "cross-validated ROUGE-2": round(reached, 3),
    }
    Digest(shipped(), order, unseen.overall, facts).save(args.out)
    short = []
    for one in experts:
        _, pieces = as_sources(one, embedder, profile.passages.max_tokens)
        short.append(beside(scored([one.question], pieces, embedder.encode), pieces))
    also = fit(experts, short, details.NAMES)
    known = {name: facts[name] for name in ("date", "embedder", "questions")}
    replace(also, fitted_on=known | {"sentences": sum(len(its.blocks) for its in short)}).save(args.details)
    for name, value in (
        facts | dict(zip(order.names, order.weights, strict=True)) | {"per_root": unseen.overall}
    ).items():
        print(f"{name:26} {value}")
    for name, value in zip(also.names, also.weights, strict=True):
        print(f"{'details: ' + name:26} {value}")
    return 0
