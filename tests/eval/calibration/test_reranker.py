"""The re-ranker is trained on questions whose right candidates are known, and decides on what it was shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import configs
from eval.calibration.reranker import (
    ANSWER,
    ANSWERED_UNCOVERED,
    OTHER,
    PAGE,
    Case,
    Labeler,
    cases,
    decided,
    figures,
    networks,
)
from finetune.forms import Made, made
from index import build, splits
from index.readers import ReadReport
from index.sources import Corpus
from rag.retrieval.hybrid import HybridRetriever
from rag.retrieval.reranker import DECIDING, FEATURES, Reranker
from rag.retrieval.trees import Trees
from tests.eval.datasets.test_people import PAIRS
from tests.fakes import FakeEmbedder


@pytest.fixture(scope="module")
def labeler(tmp_path_factory: pytest.TempPathFactory) -> Labeler:
    profile, _ = configs.load("embedded")
    corpus = Corpus(PAIRS, "digest", "small", ReadReport())
    folder: Path = tmp_path_factory.mktemp("index")
    embedder = FakeEmbedder(dimensions=384, max_tokens=256)
    index = build.build(corpus, folder, profile.passages, embedder, profile.index)
    retriever = HybridRetriever.create(index, embedder, profile.retriever)
    return Labeler(retriever, splits.make(PAIRS, "digest"))


def test_candidates_are_labeled_by_topic_and_type(labeler: Labeler) -> None:
    row = next(n for n, pair in enumerate(PAIRS) if pair.focus == "Measles" and pair.question_type == "symptoms")
    found = labeler.example(Made("symptoms of measles", row, "covered"))
    rows = found.scored.pairs[found.found.places]
    for label, other in zip(found.labels.tolist(), rows.tolist(), strict=True):
        pair = PAIRS[other]
        wanted = ANSWER if pair.question_type == "symptoms" else PAGE
        assert label == (wanted if pair.focus == "Measles" else OTHER)


def test_a_masked_topic_is_no_candidate(labeler: Labeler) -> None:
    found = labeler.example(Made("symptoms of measles", 5, "masked"))
    assert all(PAIRS[row].focus != "Measles" for row in found.scored.pairs[found.found.places])
    assert not any(len(pairs) and PAIRS[pairs[0]].focus == "Measles" for _, pairs in found.asked.names)


def test_a_hidden_name_does_not_give_its_page_away(labeler: Labeler) -> None:
    plain = labeler.example(Made("measles synonym", 4, "covered"))
    hidden = labeler.example(Made("measles synonym", 4, "covered", "Measles synonym"))
    at = FEATURES.index("named")
    assert plain.found.values[:, at].max() > hidden.found.values[:, at].max()


def test_trained_networks_find_page_and_answer(labeler: Labeler) -> None:
    examples = [labeler.example(one) for one in made(PAIRS, range(len(PAIRS)), 400, seed=0)]
    page, aspect = networks(examples)
    found = figures((page, aspect), examples)
    assert found["n"] > 100
    assert found["page first"] > 0.9
    model = Reranker(page, aspect, Trees((), 0.0, ()), {})
    real = [("uncovered other", "Which train goes to Paris?", False), ("alexa", "treatment of measles", {6})]
    known = cases(labeler, model, examples[:40], {True: [5], False: [5, 6]}, real)
    assert {case.kind for case in known} >= {"uncovered other", "alexa", "made, covered", "own", "own, withheld"}
    assert not any(case.answer for case in known if case.kind == "own, withheld")


def test_an_own_question_is_labeled_by_topic_concept_and_title(labeler: Labeler) -> None:
    symptoms = PAIRS[5]
    *_, labels = labeler.own(5, False)
    assert labels[5] == ANSWER
    assert {labels[row] for row in labels if PAIRS[row].focus == symptoms.focus and row != 5} <= {ANSWER, PAGE}
    *_, withheld = labeler.own(5, True)
    assert withheld
    assert set(withheld.values()) == {OTHER}
    assert all(PAIRS[row].focus != symptoms.focus for row in withheld)


def test_the_decision_answers_no_more_of_the_uncovered_than_it_may() -> None:
    dice = np.random.default_rng(0)

    def case(kind: str, answer: bool) -> Case:
        return Case(kind, {name: round(dice.normal(2.0 * answer), 1) for name in DECIDING}, answer)

    found = [case("uncovered other", False) for _ in range(200)] + [case("alexa", True) for _ in range(200)]
    decision, shares = decided(found)
    assert decision.names == DECIDING
    assert shares["uncovered other"]["answered"] <= ANSWERED_UNCOVERED + 0.005
    assert shares["alexa"]["answered"] > 0.9


def test_a_likelier_page_never_makes_an_answer_less_likely() -> None:
    dice = np.random.default_rng(0)
    found = []
    for _ in range(400):
        answer = bool(dice.integers(2))
        # The data say the opposite: a likely page goes with what is not to be answered.
        values = {name: round(dice.normal(1.0 * answer), 1) for name in DECIDING}
        values["page"] = round(dice.normal(-1.0 * answer), 1)
        found.append(Case("uncovered other" if not answer else "alexa", values, answer))
    decision, _ = decided(found)
    known = dict(found[0].values)
    logits = [decision.logit(known | {"page": page}) for page in np.linspace(-3, 3, 13)]
    assert logits == sorted(logits)
