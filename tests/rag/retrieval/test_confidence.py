"""The confidence model: its file, its fit, and that its numbers mean what they say."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs.errors import UserError
from rag.retrieval.confidence import NAMES, SHIPPED, Confidence, Features, fit

SURE = Features(1.0, 0.8, 1.0, 1.0, 0.8, 0.0)
LOST = Features(0.3, 0.2, 0.0, 0.0, 0.0, 0.6)


def test_shipped_model_has_its_provenance() -> None:
    model = Confidence.load()
    assert model(SURE) > 0.95
    assert model(LOST) < 0.05
    for fact in ("date", "questions", "sets", "corpus", "embedder", "retriever"):
        assert model.provenance[fact]


@pytest.mark.parametrize("name", NAMES)
def test_each_feature_moves_it_the_right_way(name: str) -> None:
    middle = Features(0.5, 0.5, 0.3, 0.5, 0.2, 0.2)
    up = Confidence.load()(replace(middle, **{name: getattr(middle, name) + 0.3}))
    assert (up > Confidence.load()(middle)) == (name != "missing")


def test_fit_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    dice = np.random.default_rng(0)
    covered = dice.random(300) < 0.3
    rows = dice.random((300, len(NAMES))) + covered[:, None] * dice.random(len(NAMES)) * 0.7
    weights, bias = fit([Features(*map(float, row)) for row in rows], covered.tolist(), strength=1.0)
    mean, scale = rows.mean(0), rows.std(0)
    peer = LogisticRegression(class_weight="balanced", C=1.0, tol=1e-9, max_iter=1000).fit(
        (rows - mean) / scale, covered
    )
    assert np.array(weights) == pytest.approx(peer.coef_[0] / scale, rel=1e-3)
    assert bias == pytest.approx(float(peer.intercept_[0] - (peer.coef_[0] / scale * mean).sum()), rel=1e-3)


def test_fit_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="both"):
        fit([SURE, SURE], [True, True])


def test_saved_and_loaded_alike(tmp_path: Path) -> None:
    model = Confidence((1.0, 2.0, 3.0, 4.0, 5.0, -6.0), -7.0, {"embedder": "x 1"})
    model.save(tmp_path / "model.json")
    assert Confidence.load(tmp_path / "model.json") == model


def test_a_damaged_or_foreign_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    with pytest.raises(UserError, match="no such file"):
        Confidence.load(path)
    path.write_text("{", "utf-8")
    with pytest.raises(UserError, match="damaged"):
        Confidence.load(path)
    data = json.loads(SHIPPED.read_text("utf-8"))
    data["weights"].pop("named")
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(UserError, match="other features"):
        Confidence.load(path)


def test_another_embedder_is_said(caplog: pytest.LogCaptureFixture) -> None:
    model = Confidence.load()
    known = model.provenance["embedder"]
    with caplog.at_level(logging.WARNING):
        assert model.check(known)
        assert model.check("some/folder " + known.split()[-1])
        assert not caplog.records
        assert not model.check("fake 64")
    assert "another embedder" in caplog.text
