"""Fit the confidence: `python -m eval calibrate confidence --medquad medquad.zip --mediqa FOLDER --liveqa FOLDER`.

Covered questions: MedQuAD's own and reworded ones of the validation topics, MEDIQA's Alexa questions with a
correct answer on a page of the corpus, and consumers' messages of MEDIQA task 2 that name a topic of the corpus.
Uncovered: the calibration half of `questions/uncovered.jsonl`, and questions on medicines whose texts MedQuAD
withdrew. A third of each, but for the messages, is wrapped in the courtesies of a letter. LiveQA-Med is read only to
leave its questions out, and nothing of the test halves is looked at.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError

if TYPE_CHECKING:
    from index.corpus import QAPair
    from index.linear import Linear
    from rag.retrieval.confidence import Features
    from rag.retrieval.hybrid import HybridRetriever

PER_SET = 250
STRENGTH = 1.0
"""scikit-learn's C; of 1, 1/5, 1/10 and 1/20 the one that answered the most calibration messages at the same share of
uncovered questions. Every weight has the sign that its feature's meaning asks for."""
ANSWERED_UNCOVERED = 0.05
"""Share of the uncovered calibration questions that may be answered: half of the target of 10%, for what the
calibration has not seen."""
LETTERS = (
    "Hello. {} Thank you very much for your help.",
    "Dear Sir or Madam, I hope you can help me. I have looked everywhere and found nothing. {} I am 45 years old."
    " Please reply soon. God bless you.",
    "Hi, my name is NAME and I live in Ohio. My mother and I talked about it last week. {} We do not know whom to ask."
    " Any information would be appreciated. Best regards, NAME",
    "Question. I have been wondering about this for a long time now. {} Thanks in advance.",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A calibration question, its set, and whether the corpus covers it."""

    question: str
    kind: str
    covered: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--medquad", type=Path, help="MedQuAD's zip or folder (default: the variable MEDQUAD)")
    parser.add_argument("--mediqa", type=Path, required=True, help="folder of the MEDIQA-2019 files")
    parser.add_argument("--liveqa", type=Path, required=True, help="folder of LiveQA-Med, whose questions are left out")
    parser.add_argument("--index", type=Path, help="the index of the whole of MedQuAD (default: data/index)")
    parser.add_argument("--out", type=Path, help="where the model is written (default: rag/retrieval/confidence.json)")
    entry.add_arguments(parser)


def cases(retriever: HybridRetriever, corpus_digest: str, medquad: Path, mediqa: Path, liveqa: Path) -> list[Case]:
    """All calibration questions; the same input gives the same list."""
    from eval.datasets import judged
    from eval.datasets import own as topics
    from eval.datasets.consumers import consumers, uncovered
    from index import splits

    pairs: list[QAPair] = list(retriever.index.pairs)
    rows = splits.make(pairs, corpus_digest).rows(pairs, "validation")
    found = [Case(asked.question, "own", True) for asked in topics.own(pairs, rows, PER_SET)]
    found += [Case(asked.question, "reworded", True) for asked in topics.reworded(pairs, rows, PER_SET)]
    alexa, messages = consumers(retriever, mediqa, liveqa)
    found += [Case(question, "alexa", True) for question in alexa]
    found += [Case(message, "message", True) for message in messages]
    found += [Case(question, f"uncovered {kind}", False) for question, kind in uncovered("calibration")]
    drugs = judged.withdrawn_questions(medquad, "MPlusDrugs")
    found += [Case(question, "withdrawn medicine", False) for question in random.Random(0).sample(drugs, PER_SET)]
    dice = random.Random(1)
    letters = [
        Case(dice.choice(LETTERS).format(case.question), f"{case.kind}, letter", case.covered)
        for case in found
        if case.kind != "message" and dice.random() < 1 / 3
    ]
    return found + letters


def calibrate(found: Sequence[Case], features: Sequence[Features]) -> tuple[Linear, dict[str, Any]]:
    """The model, and the shares answered a set. Its intercept puts the operating point at a confidence of 0.5."""
    import numpy as np
    from sklearn.utils.class_weight import compute_sample_weight

    from eval.calibration.fitting import fit
    from rag.retrieval.confidence import NAMES

    covered = np.array([case.covered for case in found])
    rows = np.array([item.vector() for item in features])
    model = fit(NAMES, rows, covered, compute_sample_weight("balanced", covered), STRENGTH)
    raw = rows @ np.array(model.weights) + model.intercept
    reference = np.array([case.kind.startswith("uncovered") for case in found])
    cut = float(np.quantile(raw[reference], 1 - ANSWERED_UNCOVERED))
    answered: dict[str, Any] = {}
    for kind in dict.fromkeys(case.kind for case in found):
        values = raw[[case.kind == kind for case in found]]
        answered[kind] = {"n": len(values), "answered": round(float((values >= cut).mean()), 3)}
    return replace(model, intercept=model.intercept - cut), answered


def main(args: argparse.Namespace) -> int:
    """Fit, print and write."""
    if args.medquad is None:
        raise UserError("where is MedQuAD? Give --medquad FILE, or set the variable MEDQUAD")
    profile = entry.load_for(args)
    from index.embedder import Embedder
    from index.store import Index
    from rag.retrieval.confidence import SHIPPED
    from rag.retrieval.hybrid import HybridRetriever

    index = Index.open(args.index or entry.index_folder())
    embedder = Embedder(profile.embedder)
    retriever = HybridRetriever.create(index, embedder, profile.retriever)
    found = cases(retriever, index.manifest.corpus_digest, args.medquad, args.mediqa, args.liveqa)
    features = [retriever.examine(case.question)[1] for case in found]
    model, answered = calibrate(found, features)
    facts = {
        "date": date.today().isoformat(),
        "questions": len(found),
        "sets": answered,
        "corpus": index.manifest.corpus_digest,
        "embedder": embedder.fingerprint,
        "precision": embedder.precision,
        "retriever": profile.retriever.model_dump(),
        "uncovered_answered_at_most": ANSWERED_UNCOVERED,
    }
    replace(model, fitted_on=facts).save(args.out or SHIPPED)
    for kind, row in answered.items():
        print(f"{kind:32} {row['n']:4} answered {row['answered']:.3f}")
    return 0
