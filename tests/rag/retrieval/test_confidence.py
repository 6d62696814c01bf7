"""The confidence model: that its numbers mean what they say, and what it was fitted on."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from rag.retrieval.confidence import NAMES, Confidence, Features

SURE = Features(1.0, 0.8, 1.0, 1.0, 0.8, 0.0)
LOST = Features(0.3, 0.2, 0.0, 0.0, 0.0, 0.6)


def test_shipped_model_has_its_provenance() -> None:
    model = Confidence.load()
    assert model(SURE) > 0.95
    assert model(LOST) < 0.05
    for fact in ("date", "questions", "sets", "corpus", "embedder", "retriever"):
        assert model.model.fitted_on[fact]


@pytest.mark.parametrize("name", NAMES)
def test_each_feature_moves_it_the_right_way(name: str) -> None:
    middle = Features(0.5, 0.5, 0.3, 0.5, 0.2, 0.2)
    up = Confidence.load()(replace(middle, **{name: getattr(middle, name) + 0.3}))
    assert (up > Confidence.load()(middle)) == (name != "missing")


def test_the_shipped_models_scores_are_known() -> None:
    model = Confidence.load()
    middle = Features(0.5, 0.5, 0.3, 0.5, 0.2, 0.2)
    known = [0.999987816705452, 0.5921210428382911, 0.0003399634200707325]
    assert [model(item) for item in (SURE, middle, LOST)] == pytest.approx(known, abs=1e-9)


def test_another_embedder_is_said(caplog: pytest.LogCaptureFixture) -> None:
    model = Confidence.load()
    known = model.model.fitted_on["embedder"]
    with caplog.at_level(logging.WARNING):
        assert model.check(known)
        assert model.check("some/folder " + known.split()[-1])
        assert not caplog.records
        assert not model.check("fake 64")
    assert "another embedder" in caplog.text
