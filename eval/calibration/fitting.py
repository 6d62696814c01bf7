"""The one fit of the logistic models that `index/linear.py` loads."""

from __future__ import annotations

import numpy as np

from index.linear import Linear


def fit(
    names: tuple[str, ...],
    features: np.ndarray,
    labels: np.ndarray,
    weight: np.ndarray,
    c: float = 1.0,
    standardize: bool = True,
) -> Linear:
    """An L2-regularized logistic regression (scikit-learn, C = `c`), its weights in the features' own units.

    Features (n, len(names)), labels (n,) bool, weight (n,) of each row. `standardize`: the penalty is on features of
    mean 0 and deviation 1. Raises ValueError unless both labels occur.
    """
    from sklearn.linear_model import LogisticRegression

    features = features.astype(np.float64)  # in float32 the line search ends before the tolerance
    mean, scale = (features.mean(0), np.maximum(features.std(0), 1e-6)) if standardize else (0.0, 1.0)
    # The default, lbfgs at a tolerance of 1e-4, stops where weights are still up to 14% from those of the minimum.
    model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit((features - mean) / scale, labels, sample_weight=weight)
    weights = model.coef_[0] / scale
    return Linear(names, tuple(weights.tolist()), float(model.intercept_[0] - (weights * mean).sum()))
