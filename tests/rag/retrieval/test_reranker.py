"""The re-ranker's numbers, its file, and that the shipped one says what it should."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from configs.errors import UserError
from rag.retrieval.ranking import Scored
from rag.retrieval.reranker import (
    DECIDING,
    FEATURES,
    LEFT,
    Network,
    Reranker,
    decision_values,
    rank,
    spread,
)
from rag.retrieval.trees import LEAF, Node, Trees


def network(weight: float = 1.0) -> Network:
    """One hidden unit that looks at the first feature alone."""
    hidden = np.zeros((len(FEATURES), 1))
    hidden[0, 0] = weight
    return Network(np.zeros(len(FEATURES)), np.ones(len(FEATURES)), hidden, np.zeros(1), np.array([2.0]), -1.0)


def test_a_network_is_what_its_formula_says() -> None:
    values = np.zeros((2, len(FEATURES)))
    values[1, 0] = 3.0
    assert network()(values) == pytest.approx([1 / (1 + np.exp(1)), 1 / (1 + np.exp(-5))])
    assert network()(-values)[1] == pytest.approx(1 / (1 + np.exp(1))), "what is below 0 does not pass"


def test_the_right_page_comes_first_and_on_it_what_is_asked() -> None:
    page, aspect = np.array([0.9, 0.9, 0.1]), np.array([0.1, 0.9, 1.0])
    assert np.argsort(-rank(page, aspect)).tolist() == [1, 0, 2]


def test_ranks_are_spread_over_all_passages() -> None:
    rows = np.arange(4)
    zeros = np.zeros(4)
    scored = Scored(rows, rows, np.array([0.4, 0.3, 0.2, 0.1]), rows, zeros, zeros, zeros)
    assert np.argsort(-spread(scored, {3: 0.9, 2: -1.0})).tolist() == [3, 2, 0, 1]


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    nodes = (Node(0, 0.5, 1, 2, 0.0), Node(LEAF, 0.0, 0, 0, -1.0), Node(LEAF, 0.0, 0, 0, 2.0))
    decision = Trees(DECIDING, 0.25, (nodes,))
    model = Reranker(network(), network(0.5), decision, {"embedder": "fake 64"})
    model.save(tmp_path / "model.json")
    again = Reranker.load(tmp_path / "model.json")
    values = np.random.default_rng(0).normal(size=(5, len(FEATURES)))
    for one, other in zip(model(values), again(values), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    known = decision_values(values[0], np.zeros(len(LEFT)), 0.9, 0.2, None)
    assert set(known) == set(DECIDING)
    assert model.confidence(known) == pytest.approx(again.confidence(known)) == pytest.approx(1 / (1 + np.exp(-2.25)))


def test_a_decision_on_other_features_is_refused(tmp_path: Path) -> None:
    model = Reranker(network(), network(), Trees(("height",), 0.0, ()), {"embedder": "fake 64"})
    model.save(tmp_path / "model.json")
    with pytest.raises(UserError, match="decides on other features"):
        Reranker.load(tmp_path / "model.json")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 1, "features": []}'])
def test_a_damaged_file_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(UserError, match="calibrate reranker"):
        Reranker.load(tmp_path / "model.json")
    with pytest.raises(UserError, match="no such file"):
        Reranker.load(tmp_path / "none.json")


def test_another_embedder_is_told(caplog: pytest.LogCaptureFixture) -> None:
    model = Reranker.load()
    assert model.check(str(model.provenance["embedder"]))
    with caplog.at_level(logging.WARNING):
        assert not model.check("other 384")
    assert "another embedder" in caplog.text


def test_the_shipped_model_answers_the_sooner_the_surer() -> None:
    """A likely page and sentence count for an answer, and a rare word that the page does not hold against it."""
    decision = Reranker.load().decision
    usual = dict.fromkeys(DECIDING, 0.5) | {"page": 1.0, "aspect": 1.0}
    span = {"page": (-6.0, 6.0), "line": (0.0, 1.0), "line_near": (0.0, 1.0), "missing": (1.0, 0.0)}
    for name, (low, high) in span.items():
        logits = [decision.logit(usual | {name: value}) for value in np.linspace(low, high, 13)]
        assert logits == sorted(logits), name
        assert logits[-1] > logits[0], name
