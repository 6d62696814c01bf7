"""Calibration: the operating point, and that the halves stay apart."""

from __future__ import annotations

import numpy as np
import pytest

from configs.errors import UserError
from eval.calibration import confidence as calibrate
from eval.datasets.consumers import uncovered
from rag.retrieval.confidence import Confidence, Features


def test_the_halves_share_no_question() -> None:
    halves = [{question for question, _ in uncovered(part)} for part in ("calibration", "test")]
    assert min(map(len, halves)) >= 100
    assert not halves[0] & halves[1]


def test_operating_point_is_one_half() -> None:
    dice = np.random.default_rng(1)
    cases, features = [], []
    for n in range(400):
        covered = n % 2 == 0
        level = float(np.clip(dice.normal(0.7 if covered else 0.45, 0.12), 0, 1))
        cases.append(calibrate.Case(f"q{n}", "own" if covered else "uncovered other", covered))
        features.append(Features(level, level, level, level, level, 1 - level))
    fitted, answered = calibrate.calibrate(cases, features)
    model = Confidence(fitted)
    said = [model(item) >= 0.5 for case, item in zip(cases, features, strict=True) if not case.covered]
    assert np.mean(said) == pytest.approx(calibrate.ANSWERED_UNCOVERED, abs=0.01)
    assert answered["uncovered other"] == {"n": 200, "answered": pytest.approx(np.mean(said), abs=1e-3)}
    assert answered["own"]["answered"] > 0.5


def test_a_broken_file_is_one_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("questions") / "q.jsonl"
    path.write_text('{"question": "x"}\n', "utf-8")
    with pytest.raises(UserError, match="cannot be read as questions"):
        uncovered("test", path)
