"""Learn what kind of thing a sentence speaks of: `medcite eval calibrate kinds`.

Sentences of MedQuAD's train topics, half of them with the one before, by the question type of their answer.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from configs import entry
from index.corpus import QAPair
from index.embedder import EmbedderLike
from index.sentences import sentences_of
from rag.retrieval.kinds import SHIPPED, Kinds

ANSWERS, OF_ANSWER, OF_TYPE = 900, 4, 1800
"""Answers of a question type that are sampled, sentences of each, and sentences of a type at most."""
LEAST_ANSWERS = 40
"""Answers that a question type must have to be learned."""
ANY = "MPlusHealthTopics"
"""The source whose answers speak of everything under one type: nothing is learned from them."""
LEAST_WORDS, MOST_WORDS = 5, 60
"""Words of a sentence that is learned from."""


def kinds(pairs: Sequence[QAPair], embedder: EmbedderLike) -> Kinds:
    """Question types learned from sentences of `pairs`: scikit-learn's multinomial logistic regression, types alike.

    Three types or more, each of LEAST_ANSWERS answers at least.
    """
    from sklearn.linear_model import LogisticRegression

    texts, labels = _sample(pairs)
    model = LogisticRegression(C=1.0, max_iter=300, class_weight="balanced").fit(embedder.encode(texts), labels)
    return Kinds(tuple(map(str, model.classes_)), model.coef_, model.intercept_)


def _sample(pairs: Sequence[QAPair]) -> tuple[list[str], list[str]]:
    """Sentences and the question types of their answers."""
    dice = random.Random(0)
    by_type: dict[str, list[QAPair]] = defaultdict(list)
    for pair in pairs:
        if pair.source != ANY:
            by_type[pair.question_type].append(pair)
    texts: list[str] = []
    labels: list[str] = []
    for name, own in sorted(by_type.items()):
        if name and len(own) >= LEAST_ANSWERS:
            drawn = list(_drawn(dice.sample(own, min(ANSWERS, len(own))), dice))
            dice.shuffle(drawn)
            texts += drawn[:OF_TYPE]
            labels += [name] * len(drawn[:OF_TYPE])
    return texts, labels


def _drawn(pairs: Iterable[QAPair], dice: random.Random) -> Iterator[str]:
    """Some sentences of each answer, each once, every other one behind the sentence before it."""
    seen: set[str] = set()
    for pair in pairs:
        lines = [pair.answer[start:end] for start, end in sentences_of(pair.answer)]
        lines = [line for line in lines if LEAST_WORDS <= len(line.split()) <= MOST_WORDS]
        for at in dice.sample(range(len(lines)), min(OF_ANSWER, len(lines))):
            if lines[at] not in seen:
                seen.add(lines[at])
                yield " ".join(lines[max(at - 1, 0) : at + 1]) if dice.random() < 0.5 else lines[at]


def accuracy(model: Kinds, pairs: Sequence[QAPair], embedder: EmbedderLike) -> float:
    """The share of sentences of `pairs` whose type is the likeliest, every type as often as in training."""
    texts, labels = _sample(pairs)
    known = [at for at, label in enumerate(labels) if label in model.names]
    chances = model(np.asarray(embedder.encode([texts[at] for at in known])))
    return float(
        np.mean([model.names[int(row.argmax())] == labels[at] for row, at in zip(chances, known, strict=True)])
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--index", type=Path, help="the index of the whole of MedQuAD (default: data/index)")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the model's file (default: the one that ships)")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Fit, print and write: two minutes."""
    from index import splits
    from index.embedder import embedder_of
    from index.store import Index

    profile = entry.load_for(args)
    embedder = embedder_of(profile.embedder)
    index = Index.open(args.index or entry.index_folder())
    pairs = list(index.pairs)
    split = splits.make(pairs, index.manifest.corpus_digest)
    model = kinds([pairs[row] for row in split.rows(pairs, "train")], embedder)
    held_out = [pairs[row] for row in split.rows(pairs, "validation")]
    standard = ("GARD", "GHR")
    facts = {
        "date": date.today().isoformat(),
        "corpus": index.manifest.corpus_digest,
        "embedder": embedder.fingerprint,
        "held out": round(accuracy(model, held_out, embedder), 3),
        "held out, neither GARD nor GHR": round(
            accuracy(model, [pair for pair in held_out if pair.source not in standard], embedder), 3
        ),
    }
    Kinds(model.names, model.weights, model.bias, facts).save(args.out)
    for name, value in facts.items():
        print(f"{name:32} {value}")
    return 0
