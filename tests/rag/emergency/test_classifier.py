"""The emergency classifier: what it adds to the phrases, and what it must leave alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from configs import load
from index.embedder import Embedder
from rag.emergency.classifier import EmergencyClassifier
from rag.emergency.phrases import red_flag
from tests.fakes import FakeEmbedder
from tests.rag.emergency.messages import HELD_OUT

UNCOVERED = Path(__file__).parents[3] / "eval" / "datasets" / "questions" / "uncovered.jsonl"


def test_it_is_silent_with_an_embedder_it_was_not_fitted_with() -> None:
    classifier = EmergencyClassifier.load()
    assert len(classifier.model.weights) == 384
    assert classifier("I don't feel like living any more", FakeEmbedder(dimensions=384)) is None


def test_the_shipped_models_scores_are_known() -> None:
    model = EmergencyClassifier.load().model
    vectors = np.zeros((3, 384), np.float32)
    vectors[0, 0] = vectors[1, 379] = 1
    vectors[2] = 384**-0.5
    known = [0.03441433163727199, 0.16580403961184964, 0.008843884771657677]
    assert model.probability(vectors) == pytest.approx(known, abs=1e-9)
    assert model.threshold == pytest.approx(0.65)


@pytest.mark.weights
def test_it_finds_what_phrases_miss_and_leaves_other_questions_alone(weights: None) -> None:
    """Held out from every choice: the phrases alone find .650 of 40, both .875, at a precision of .972."""
    embedder = Embedder(load("embedded")[0].embedder)
    classifier = EmergencyClassifier.load()
    found = [bool(red_flag(text) or classifier(text, embedder)) for text, _ in HELD_OUT]
    hits = sum(flag and category is not None for flag, (_, category) in zip(found, HELD_OUT, strict=True))
    assert hits / sum(category is not None for _, category in HELD_OUT) >= 0.85
    assert hits / sum(found) >= 0.95
    rows = [json.loads(line) for line in UNCOVERED.read_text("utf-8").splitlines()]
    false = [row["question"] for row in rows if row["part"] == "test" and classifier(row["question"], embedder)]
    assert len(false) <= 2, false
