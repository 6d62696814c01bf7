"""The fit of a logistic model: that it is the minimum of the penalised loss, worked out here by its gradient."""

from __future__ import annotations

import numpy as np
import pytest

from eval.calibration.fitting import fit


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("c", [0.1, 1.0, 10.0])
def test_the_gradient_is_nothing_where_the_fit_ends(dtype: type, standardize: bool, c: float) -> None:
    dice = np.random.default_rng(0)
    labels = dice.random(300) < 0.3
    # Features of unlike scales, one of them constant.
    rows = (dice.random((300, 5)) + labels[:, None] * dice.random(5) * 0.7) * [1, 10, 0.01, 3, 0]
    rows = rows.astype(dtype)
    weight = dice.random(300) + 0.5
    model = fit(tuple("abcde"), rows, labels, weight, c, standardize)
    rows = rows.astype(np.float64)
    scale = np.maximum(rows.std(0), 1e-6) if standardize else np.ones(5)
    left = weight * (model.probability(rows) - labels)
    penalty = np.array(model.weights) * scale / c
    assert (left @ (rows - rows.mean(0))) / scale + penalty == pytest.approx(np.zeros(5), abs=1e-6)
    assert left.sum() == pytest.approx(0, abs=1e-6)
    assert model.weights[4] == 0
