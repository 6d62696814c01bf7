"""Fitting the checker of citations: its threshold, and what it says of pairs that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from eval.calibration import citations
from eval.checker.altered import Labeled
from eval.checker.claims import NAMES


def test_equal_error_by_hand() -> None:
    chances = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.9])
    labels = np.array([False, False, True, False, True, True])
    # Between 0.3 and 0.6 a third of the supported is refused and a third of the others accepted.
    assert citations.equal_error(chances, labels, np.ones(6)) == pytest.approx(0.45)
    apart = np.array([False, False, False, True, True, True])
    assert citations.equal_error(chances, apart, np.ones(6)) == pytest.approx(0.45)


def made_up(n: int) -> tuple[np.ndarray, list[Labeled]]:
    dice = np.random.default_rng(0)
    made = [Labeled("a" if k % 2 else "b", "", "", k % 2 == 1, f"p{k // 4}") for k in range(n)]
    features = dice.normal(0, 1, (n, len(NAMES)))
    features[:, 0] = [dice.normal(1.5 if item.supported else -1.5, 1) for item in made]
    return features, made


def test_the_fit_finds_the_feature_that_tells() -> None:
    features, made = made_up(400)
    model, shown = citations.fit(features, made)
    assert model.weights[0] > 5 * max(abs(weight) for weight in model.weights[1:])
    # Two normal curves three deviations apart, cut in the middle: 93% of each on its side.
    assert shown["precision"] == pytest.approx(0.933, abs=0.03)
    assert shown["recall"] == pytest.approx(0.933, abs=0.03)


def test_one_label_alone_cannot_be_fitted() -> None:
    features, made = made_up(20)
    with pytest.raises(ValueError, match="2 classes"):
        citations.fit(features[::2], made[::2])
