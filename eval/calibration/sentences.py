"""Fit what a sentence is worth as an answer: `medcite eval calibrate sentences`.

On the sentences that a reader labeled for people's train and validation questions (`eval/datasets/sentences.py`), as
retrieval reads them. Printed are also figures of questions that the model did not see, in FOLDS parts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs import entry
from configs.errors import UserError
from eval.calibration.fitting import fit as logistic
from eval.datasets.people import people
from eval.datasets.sentences import ANSWERS, digest, labeled
from index.linear import Linear
from rag.attribution.selection import EMBEDDED
from rag.attribution.worth import NAMES, SHIPPED, embedded, features
from rag.retrieval.names import Said
from rag.retrieval.reading import read
from rag.sources import pieces_of, source

if TYPE_CHECKING:
    from rag.retrieval.hybrid import HybridRetriever

HITS = 16
"""Passages of a question that are read: among the first five are too few of the labeled sentences."""
STRENGTH = 0.05
"""scikit-learn's C; .03 to .3 gave the same to two digits."""
FOLDS = 5
PARTS = ("train", "validation")
FIRST = 3
"""Sentences of which one should answer."""


@dataclass(frozen=True)
class Known:
    """A question's labeled sentences: features (n, len(NAMES)), labels (n,), and what retrieval made of each (n,)."""

    features: np.ndarray
    labels: np.ndarray
    before: np.ndarray


def known(retriever: HybridRetriever) -> list[Known]:
    """The labeled sentences of each question that retrieval finds, each once."""
    labels = {one.id: one.labels for one in labeled()}
    found = []
    for one in [one for part in PARTS for one in people(part) if one.id in labels]:  # type: ignore[arg-type]
        hits = retriever.retrieve(one.question, HITS)
        texts, said = hits.texts or (one.question,), Said.of(one.question)
        sources = [source(n, hit, said) for n, hit in enumerate(hits.hits, 1)]
        pieces = pieces_of(retriever, hits.hits, sources)
        weights = retriever.word_weights(texts[0])
        lines = [line for line in read(texts, pieces, retriever.encode, HITS * EMBEDDED, weights) if embedded(line)]
        values = features(lines, pieces, texts, retriever.encode)
        first = {digest(line.text): at for at, line in reversed(list(enumerate(lines)))}
        rows = [at for name, at in first.items() if name in labels[one.id]]
        if rows:
            own = np.array([labels[one.id][digest(lines[at].text)] for at in rows])
            found.append(Known(values[rows], own, np.array([lines[at].value for at in rows])))
    return found


def fit(found: Sequence[Known]) -> Linear:
    """What a sentence is worth: one that answers counts whole, one that belongs beside it half."""
    values = np.vstack([one.features for one in found])
    share = np.concatenate([one.labels for one in found]) / ANSWERS
    weight = np.concatenate([share, 1 - share])
    yes = np.repeat([True, False], len(share))
    return logistic(NAMES, np.vstack([values, values])[weight > 0], yes[weight > 0], weight[weight > 0], STRENGTH)


def figures(found: Sequence[Known], worths: Sequence[np.ndarray]) -> dict[str, float]:
    """Shares of the questions whose best sentence answers, and at least belongs, and of which one of the first FIRST
    answers; and of these the share that is beside the question."""
    order = [np.argsort(-own, kind="stable")[:FIRST] for own in worths]
    labels = [one.labels[rows] for one, rows in zip(found, order, strict=True)]
    return {
        "best answers": round(float(np.mean([own[0] == ANSWERS for own in labels])), 3),
        "best belongs": round(float(np.mean([own[0] > 0 for own in labels])), 3),
        f"one of {FIRST} answers": round(float(np.mean([(own == ANSWERS).any() for own in labels])), 3),
        f"of {FIRST} beside": round(float(np.mean([(own == 0).mean() for own in labels])), 3),
    }


def unseen(found: Sequence[Known]) -> list[np.ndarray]:
    """What each question's sentences are worth by a model that did not see it."""
    from sklearn.model_selection import KFold

    worths: list[np.ndarray] = [np.zeros(0)] * len(found)
    for seen, held_out in KFold(FOLDS, shuffle=True, random_state=0).split(np.arange(len(found))):
        model = fit([found[at] for at in seen])
        for at in held_out:
            worths[at] = model.probability(found[at].features)
    return worths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--index", type=Path, help="the index of the whole of MedQuAD (default: data/index)")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the model's file (default: the one that ships)")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Fit, print and write: some minutes."""
    from eval.datasets.withheld import abstention_disabled
    from rag.pipeline import Pipeline

    profile = entry.load_for(args)
    folder = args.index or entry.index_folder()
    pipeline = Pipeline.open(abstention_disabled(profile), folder, entry.data_folder() / "models")
    found = known(pipeline.retriever)
    if len(found) < FOLDS:
        raise UserError(f"{folder}: holds too few of the labeled sentences: they are MedQuAD's; make index")
    facts = {
        "date": date.today().isoformat(),
        "corpus": pipeline.index.manifest.corpus_digest,
        "embedder": pipeline.retriever.fingerprint,
        "questions": len(found),
        "sentences": int(sum(len(one.labels) for one in found)),
        "unseen": figures(found, unseen(found)),
        "before": figures(found, [one.before for one in found]),
    }
    replace(fit(found), fitted_on=facts).save(args.out)
    for name, value in facts.items():
        print(f"{name:32} {value}")
    return 0
