"""How sure retrieval is that its passages cover the question, before a word is generated.

A logistic model over a handful of retrieval features. `python -m eval calibrate confidence` fits it and writes
`rag/retrieval/confidence.json`: coefficients and what they were fitted on.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from configs import files
from configs.errors import UserError

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).with_name("confidence.json")
SCHEMA = 1
STRENGTH = 1.0
"""Of 1, 5, 10 and 20, the penalty that answered the most calibration messages at the same share of uncovered
questions; every weight has the sign that its feature's meaning asks for."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the confidence is computed from; shares lie in 0..1 and weigh words by their rarity (IDF).

    All are taken over the few best passages and the best part of a long message.
    """

    question_cosine: float = 0.0
    """Best similarity to a question that the corpus answers."""
    passage_cosine: float = 0.0
    """Best similarity to a passage (with its question)."""
    titled: float = 0.0
    """Share of the question's content words in the page's title, synonyms and question."""
    title_asked: float = 0.0
    """Share of the page's title, or of its best synonym, that the question holds."""
    named: float = 0.0
    """Share of the question's content words that are a topic's name."""
    missing: float = 0.0
    """Share of the question's content that is its rarest word that the page does not hold, as a medicine's name."""

    def vector(self) -> np.ndarray:
        """The features in the order of their fields, (6,) float64."""
        return np.array([getattr(self, field.name) for field in fields(self)], dtype=np.float64)


NAMES = tuple(field.name for field in fields(Features))


@dataclass(frozen=True)
class Confidence:
    """The fitted model. Its bias is set so that 0.5 is where calibration says to begin answering."""

    weights: tuple[float, ...]
    bias: float
    provenance: dict[str, Any]

    def __call__(self, features: Features) -> float:
        """The chance, in 0..1, that the corpus covers the question."""
        return _sigmoid(float(features.vector() @ np.array(self.weights)) + self.bias)

    def save(self, path: Path) -> None:
        """Write the model as JSON. Raises UserError where it cannot be written."""
        data = {
            "schema": SCHEMA,
            "weights": dict(zip(NAMES, self.weights, strict=True)),
            "bias": self.bias,
            "provenance": self.provenance,
        }
        with files.said(path):
            files.write_json(path, data)

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Confidence:
        """Read a model. Raises UserError if it is missing, damaged or of other features."""
        try:
            data = json.loads(path.read_text("utf-8"))
            if data["schema"] != SCHEMA or tuple(data["weights"]) != NAMES:
                raise UserError(f"{path}: made for other features; run `python -m eval calibrate confidence`")
            return cls(tuple(data["weights"].values()), data["bias"], data["provenance"])
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; run `python -m eval calibrate confidence`") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path}: damaged; run `python -m eval calibrate confidence`") from None

    def check(self, embedder: str) -> bool:
        """Whether this model was fitted with the embedder of this fingerprint; logs it once a load if not."""
        known = str(self.provenance.get("embedder", ""))
        # The last word names the weights, whichever way they were loaded.
        if known.split()[-1:] != embedder.split()[-1:]:
            log.warning("the confidence was calibrated with another embedder (%s, not %s)", known, embedder)
            return False
        return True


def fit(
    features: Sequence[Features], covered: Sequence[bool], strength: float = STRENGTH
) -> tuple[tuple[float, ...], float]:
    """Weights and bias of an L2-regularised logistic regression; both classes count the same in all.

    Features are standardised for the penalty (`strength` is its weight, as 1/C of scikit-learn) and the result
    is put back in the features' own units. Newton's method. Raises ValueError unless both classes occur.
    """
    x = np.array([item.vector() for item in features])
    y = np.asarray(covered, dtype=np.float64)
    if not 0 < y.sum() < len(y):
        raise ValueError("both covered and uncovered questions are needed")
    mean, scale = x.mean(0), np.maximum(x.std(0), 1e-6)
    z = np.hstack([(x - mean) / scale, np.ones((len(x), 1))])
    weight = np.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    penalty = np.diag([strength] * x.shape[1] + [1e-6])
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ beta, -30, 30)))
        gradient = z.T @ (weight * (p - y)) + penalty @ beta
        hessian = (z * (weight * p * (1 - p))[:, None]).T @ z + penalty
        step = np.linalg.solve(hessian, gradient)
        beta -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = beta[:-1] / scale
    return tuple(float(w) for w in weights), float(beta[-1] - (weights * mean).sum())


def provenance(**facts: Any) -> dict[str, Any]:
    """The facts with today's date in front."""
    return {"date": date.today().isoformat(), **facts}


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
