"""Fitted logistic models: their probabilities, and one format of their files that says when it is not to be trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.errors import UserError
from index.linear import Linear

MODEL = Linear(("a", "b"), (2.0, -1.0), 0.5, 0.7, {"date": "2026-11-26", "n": 3})


def test_probabilities_by_hand() -> None:
    found = MODEL.probability(np.array([[0.0, 0.5], [1.0, 0.5], [1e6, 0.0], [0.0, 1e6]]))
    assert found == pytest.approx([0.5, 1 / (1 + np.exp(-2)), 1, 0])
    assert MODEL.probability(np.array([1, 0.5], np.float32)) == pytest.approx(1 / (1 + np.exp(-2)))


def test_saved_and_loaded_alike(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    MODEL.save(path)
    assert Linear.load(path, "x", ("a", "b")) == MODEL
    assert [item.name for item in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["weights"].update(a=2.1), "its digest is not that of its weights"),
        (lambda data: data.update(threshold=0.5), "its digest is not that of its weights"),
        (lambda data: data["weights"].pop("b"), "made for other features"),
        (lambda data: data["weights"].update(a="much"), "damaged"),
        (lambda data: data.pop("intercept"), "damaged"),
        (lambda data: data.update(weights=[1]), "damaged"),
        (lambda data: data.update(schema=1), "its schema is 1, not 2"),
    ],
)
def test_a_file_that_is_not_to_be_trusted_is_one_line(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = tmp_path / "model.json"
    MODEL.save(path)
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(UserError, match=f"{message}.*; run `python -m eval calibrate x`"):
        Linear.load(path, "x", ("a", "b"))


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    with pytest.raises(UserError, match="cannot be read: No such file"):
        Linear.load(path, "x")
    for content in (b"{", b"[]", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="damaged"):
            Linear.load(path, "x")
