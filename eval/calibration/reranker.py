"""Train the re-ranker: `medcite eval calibrate reranker --medquad medquad.zip --mediqa FOLDER --liveqa FOLDER`.

Two networks learn from MedQuAD's train topics, asked in people's forms (`finetune/forms.py`): whether a candidate
is a page on the topic, and whether it answers what is asked. A topic that the question is to miss is taken out of the
candidates, and some synonyms are hidden from the list of names. The decision whether to answer is then fitted on
questions of validation topics, made and real, covered and not; nothing of the test halves is looked at.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs import entry
from configs.errors import UserError
from index.words import terms
from rag.retrieval.names import name_key
from rag.retrieval.ranking import Asked, Scored, score
from rag.retrieval.reranker import (
    DECIDING,
    LEFT,
    SHIPPED,
    Candidates,
    Network,
    Reranker,
    candidates,
    rank,
)
from rag.retrieval.trees import LEAF, Node, Trees

if TYPE_CHECKING:
    from finetune.forms import Made
    from index.splits import Split, Splits
    from rag.retrieval.hybrid import HybridRetriever

TRAIN, HELD_OUT = 4000, 1000
HIDDEN_UNITS = 24
OWN, OWN_WITHHELD = 350, 700
"""Validation questions as MedQuAD asks them, with their topic in the index and without."""
WITHDRAWN = 250
"""Questions on medicines whose texts MedQuAD withdrew."""
ANSWERED_UNCOVERED = 0.05
"""Share of all uncovered questions that may be answered. Of people's, the hardest of them, .071 then are (aim .08), and
.877 of the covered ones (.85), both cross-validated; at .04 .058 and .841."""
FOLDS, REPEATS = 5, 3
SIGNS = dict.fromkeys(
    ("page", "aspect", "line", "line_said", "line_words", "line_near", "line_kind", "topic_held", "titled"), 1
)
SIGNS |= dict.fromkeys(("topic_missing", "missing", *LEFT), -1)
SIGNS |= dict.fromkeys(("aspect_fit", "named", "whole_name"), 1)
"""Which way a value may move the decision: a likelier page never makes an answer less likely."""
WEIGHTS = {
    "made, covered": 0.15, "made, masked": 0.3, "made, off": 0.5, "message": 0.5, "withdrawn medicine": 0.25,
    "people, uncovered": 1.5, "own": 0.15, "own, withheld": 0.4,
}  # fmt: skip
"""What a question of a set weighs in the decision, beside 1: real questions are few, made ones are many."""


@dataclass(frozen=True, slots=True)
class Example:
    """A question's candidates and what is known of each of them, as UNSURE and those after it."""

    asked: Asked
    scored: Scored
    found: Candidates
    labels: np.ndarray
    kind: str


UNSURE, OTHER, PAGE, ANSWER, PAGE_UNSURE = -1, 0, 1, 2, 3


class Labeler:
    """Makes examples over one retriever and one split."""

    def __init__(self, retriever: HybridRetriever, splits: Splits) -> None:
        self.retriever = retriever
        self.pairs = list(retriever.index.pairs)
        self.topics = np.array([splits.topic_of[pair.id] for pair in self.pairs])

    def examine(self, question: str, hidden: str = "", without: int = -1) -> tuple[Asked, Scored, Candidates]:
        """A question's candidates, a name hidden and a topic taken out of the index."""
        retriever = self.retriever
        asked = retriever.asked(retriever.searched(question).text)
        hide: frozenset[str] = frozenset()
        if hidden:
            hide = frozenset(terms(hidden))
            _keep(asked, [words != name_key(hidden) for words in asked.name_words])
        if without >= 0:
            _keep(asked, [bool((self.topics[pairs] != without).any()) for _, pairs in asked.names])
        scored = score(asked, retriever.state, retriever.settings)
        if without >= 0:
            scored = scored.only(self.topics[scored.pairs] != without)
        return asked, scored, candidates(asked, scored, retriever.state, hide)

    def own(self, row: int, withheld: bool) -> tuple[Asked, Scored, Candidates, dict[int, int]]:
        """A pair's own question and its candidates, with the label of each candidate's pair (row).

        A page without the topic is UNSURE where it shares a UMLS concept or its title is part of the question: it may
        be the same condition, or a broader one.
        """
        pair, topic = self.pairs[row], int(self.topics[row])
        asked, scored, found = self.examine(pair.question, "", topic if withheld else -1)
        said = set(terms(pair.question))
        labels: dict[int, int] = {}
        for other in scored.pairs[found.places].tolist():
            known = self.pairs[other]
            if self.topics[other] == topic:
                fits = known.question_type == pair.question_type or known.source == "MPlusHealthTopics"
                labels[other] = ANSWER if fits else PAGE
            else:
                near = set(known.cuis) & set(pair.cuis) or set(terms(known.title)) <= said
                labels[other] = UNSURE if near else OTHER
        return asked, scored, found, labels

    def example(self, one: Made) -> Example:
        """A made question with its candidates, labeled by topic, question type and UMLS concept."""
        topic, wanted = self.topics[one.row], self.pairs[one.row]
        asked, scored, found = self.examine(one.question, one.hidden, int(topic) if one.kind == "masked" else -1)
        rows = scored.pairs[found.places]
        labels = np.zeros(len(rows), dtype=np.int64)
        for place, row in enumerate(rows):
            pair = self.pairs[int(row)]
            if self.topics[row] == topic:
                # MedlinePlus has one answer a page, which may hold any aspect.
                other = PAGE if pair.source != "MPlusHealthTopics" else PAGE_UNSURE
                labels[place] = ANSWER if pair.question_type == wanted.question_type else other
            elif set(pair.cuis) & set(wanted.cuis):
                labels[place] = UNSURE
        return Example(asked, scored, found, labels, one.kind)


def _keep(asked: Asked, kept: Sequence[bool]) -> None:
    """Leave only these of the names that the question holds."""
    asked.names = [name for name, stays in zip(asked.names, kept, strict=True) if stays]
    asked.name_words = [words for words, stays in zip(asked.name_words, kept, strict=True) if stays]
    asked.named = max((share for share, _ in asked.names), default=0.0)


def networks(examples: Sequence[Example]) -> tuple[Network, Network]:
    """The network of the page and that of the aspect, trained on these examples."""
    values, labels = np.vstack([one.found.values for one in examples]), np.concatenate([one.labels for one in examples])
    kinds = np.repeat([one.kind for one in examples], [len(one.labels) for one in examples])
    known = labels != UNSURE
    on_page = (labels >= PAGE) & (labels != PAGE_UNSURE) & (kinds == "covered")
    return _network(values[known], labels[known] >= PAGE), _network(values[on_page], labels[on_page] == ANSWER)


def _network(values: np.ndarray, right: np.ndarray) -> Network:
    from sklearn.neural_network import MLPClassifier

    mean, scale = values.mean(0), np.maximum(values.std(0), 1e-6)
    fitted = MLPClassifier((HIDDEN_UNITS,), alpha=0.01, max_iter=80, early_stopping=True, random_state=0)
    fitted.fit((values - mean) / scale, right)
    (hidden, out), (hidden_bias, out_bias) = fitted.coefs_, fitted.intercepts_
    return Network(mean, scale, hidden, hidden_bias, out[:, 0], float(out_bias[0]))


def figures(model: tuple[Network, Network], examples: Sequence[Example]) -> dict[str, Any]:
    """Of held-out questions whose answer is among the candidates: the share with its page and with it first."""
    asked = [one for one in examples if one.kind == "covered" and (one.labels == ANSWER).any()]
    first = [one.labels[np.argmax(rank(model[0](one.found.values), model[1](one.found.values)))] for one in asked]
    before = [one.labels[0] for one in asked]
    return {
        "n": len(asked),
        "page first": round(float(np.mean([label >= PAGE for label in first])), 3),
        "answer first": round(float(np.mean([label == ANSWER for label in first])), 3),
        "page first, not ranked again": round(float(np.mean([label >= PAGE for label in before])), 3),
        "answer first, not ranked again": round(float(np.mean([label == ANSWER for label in before])), 3),
    }


@dataclass(frozen=True, slots=True)
class Case:
    """A question of the decision: its set, what is known of its best candidate, and whether to answer by it."""

    kind: str
    values: dict[str, float]
    answer: bool


def decided(cases: Sequence[Case]) -> tuple[Trees, dict[str, Any]]:
    """The decision's trees, and the share answered of each set. Its 0.5 is where to begin answering.

    Shares and threshold are those of cross-validation, in which every case is decided by trees that have not seen it.
    """
    from sklearn.model_selection import StratifiedKFold

    x = np.array([[case.values[name] for name in DECIDING] for case in cases])
    y = np.array([case.answer for case in cases])
    kinds = np.array([case.kind for case in cases])
    weight = np.array([WEIGHTS.get(case.kind, 1.0) for case in cases])
    raw = np.zeros(len(cases))
    for seed in range(REPEATS):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        for train, rest in folds.split(x, kinds):
            model = _trees(x[train], y[train], weight[train])
            raw[rest] += [model.logit(case.values) / REPEATS for case in (cases[n] for n in rest.tolist())]
    reference = np.array(["uncovered" in kind for kind in kinds])
    cut = float(np.quantile(raw[reference], 1 - ANSWERED_UNCOVERED))
    shares: dict[str, Any] = {}
    for kind in dict.fromkeys(kinds.tolist()):
        own = raw[kinds == kind]
        shares[kind] = {"n": len(own), "answered": round(float((own >= cut).mean()), 3)}
    model = _trees(x, y, weight)
    return replace(model, base=model.base - cut), shares


def _trees(values: np.ndarray, right: np.ndarray, weight: np.ndarray) -> Trees:
    from sklearn.ensemble import HistGradientBoostingClassifier

    fitted = HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.06,
        max_leaf_nodes=6,
        min_samples_leaf=15,
        l2_regularization=1.0,
        monotonic_cst=[SIGNS.get(name, 0) for name in DECIDING],
        random_state=0,
    )
    fitted.fit(values, right, sample_weight=weight)
    return exported(fitted, DECIDING)


def exported(fitted: Any, names: Sequence[str]) -> Trees:
    """The trees of a fitted HistGradientBoostingClassifier of two classes."""
    trees = []
    for (one,) in fitted._predictors:  # scikit-learn has no other door to them
        trees.append(
            tuple(
                Node(
                    LEAF if node["is_leaf"] else int(node["feature_idx"]),
                    float(node["num_threshold"]),
                    int(node["left"]),
                    int(node["right"]),
                    float(node["value"]),
                )
                for node in one.nodes
            )
        )
    return Trees(tuple(names), float(np.ravel(fitted._baseline_prediction)[0]), tuple(trees))


def cases(
    labeler: Labeler,
    model: Reranker,
    held_out: Sequence[Example],
    own: dict[bool, list[int]],
    real: Sequence[tuple[str, str, Any]],
) -> list[Case]:
    """The questions of the decision: those made for the validation topics, these topics' own, and real ones.

    `own`: pairs (rows) whose questions are asked with their topic in the index (False) and without (True).
    `real`: kind, question, and whether to answer it, or the rows of the pairs that it may be answered by.
    """
    found: list[Case] = []
    weigh = labeler.retriever.weigh
    for one in held_out:
        weighed = weigh(model, one.asked, one.scored, one.found)
        label = int(one.labels[weighed.best])
        if label != UNSURE:
            answer = one.kind == "covered" and label in (ANSWER, PAGE_UNSURE)
            found.append(Case(f"made, {one.kind}", weighed.known, answer))
    for withheld, rows in own.items():
        for row in rows:
            asked, scored, candidates_of, labels = labeler.own(row, withheld)
            if len(candidates_of.places):
                weighed = weigh(model, asked, scored, candidates_of)
                label = labels[int(scored.pairs[candidates_of.places[weighed.best]])]
                if label != UNSURE:
                    found.append(Case("own, withheld" if withheld else "own", weighed.known, label == ANSWER))
    for kind, question, wanted in real:
        asked, scored, candidates_of = labeler.examine(question)
        if len(candidates_of.places):
            weighed = weigh(model, asked, scored, candidates_of)
            row = int(scored.pairs[candidates_of.places[weighed.best]])
            found.append(Case(kind, weighed.known, wanted if isinstance(wanted, bool) else row in wanted))
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--medquad", type=Path, help="MedQuAD's zip or folder (default: the variable MEDQUAD)")
    parser.add_argument("--mediqa", type=Path, required=True, help="folder of the MEDIQA-2019 files")
    parser.add_argument("--liveqa", type=Path, required=True, help="folder of LiveQA-Med, whose questions are left out")
    parser.add_argument("--index", type=Path, help="the index of the whole of MedQuAD (default: data/index)")
    parser.add_argument("--out", type=Path, help="where the model is written (default: rag/retrieval/reranker.json)")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Train, print and write: about ten minutes on two cores."""
    if args.medquad is None:
        raise UserError("where is MedQuAD? Give --medquad FILE, or set the variable MEDQUAD")
    profile = entry.load_for(args)
    from finetune.forms import made
    from index import splits
    from index.embedder import embedder_of
    from index.progress import shown
    from index.store import Index
    from rag.retrieval.hybrid import HybridRetriever

    index = Index.open(args.index or entry.index_folder())
    embedder = embedder_of(profile.embedder)
    retriever = HybridRetriever.create(index, embedder, profile.retriever)
    split = splits.make(list(index.pairs), index.manifest.corpus_digest)
    labeler = Labeler(retriever, split)
    examples: dict[str, list[Example]] = {}
    with shown() as say:
        parts: tuple[tuple[Split, int], ...] = (("train", TRAIN), ("validation", HELD_OUT))
        for part, count in parts:
            questions = made(labeler.pairs, split.rows(labeler.pairs, part), count, seed=0)
            examples[part] = []
            for done, one in enumerate(questions, 1):
                examples[part].append(labeler.example(one))
                say(f"{part} questions", done, count)
    page, aspect = networks(examples["train"])
    held_out = figures((page, aspect), examples["validation"])
    facts = {
        "date": date.today().isoformat(),
        "questions": TRAIN,
        "held out": held_out,
        "corpus": index.manifest.corpus_digest,
        "embedder": embedder.fingerprint,
        "retriever": profile.retriever.model_dump(),
        "uncovered answered at most": ANSWERED_UNCOVERED,
    }
    model = Reranker(page, aspect, Trees((), 0.0, ()), facts)
    real = real_questions(retriever, args.medquad, args.mediqa, args.liveqa)
    dice, rows = random.Random("own"), split.rows(labeler.pairs, "validation")
    own = {withheld: dice.sample(rows, min(n, len(rows))) for withheld, n in ((True, OWN_WITHHELD), (False, OWN))}
    decision, shares = decided(cases(labeler, model, examples["validation"], own, real))
    replace(model, decision=decision, provenance=facts | {"sets": shares}).save(args.out or SHIPPED)
    for name, value in held_out.items():
        print(f"{name:32} {value}")
    for kind, row in shares.items():
        print(f"{kind:32} {row['n']:4} answered {row['answered']:.3f}")
    return 0


def real_questions(
    retriever: HybridRetriever, medquad: Path, mediqa: Path, liveqa: Path
) -> list[tuple[str, str, bool | set[int]]]:
    """Questions that people asked or would ask: kind, question, whether to answer, or the rows to answer by."""
    from eval.datasets import judged
    from eval.datasets.consumers import consumers, uncovered
    from eval.datasets.people import page_of, people

    row_of_page: dict[str, set[int]] = {}
    for row, pair in enumerate(retriever.index.pairs):
        row_of_page.setdefault(page_of(pair.id), set()).add(row)
    alexa, messages = consumers(retriever, mediqa, liveqa)
    found: list[tuple[str, str, bool | set[int]]] = [("alexa", question, True) for question in alexa]
    found += [("message", message, True) for message in messages]
    found += [(f"uncovered {kind}", question, False) for question, kind in uncovered("calibration")]
    drugs = judged.withdrawn_questions(medquad, "MPlusDrugs")
    for asked in (*people("train"), *people("validation")):
        rows = set().union(*(row_of_page.get(page, set()) for page in asked.pages)) if asked.covered else False
        found.append((f"people, {'covered' if asked.covered else 'uncovered'}", asked.question, rows))
    return found + [("withdrawn medicine", question, False) for question in random.Random(0).sample(drugs, WITHDRAWN)]
