"""Logistic models fitted here, and the one format of their files; `eval/calibration/fitting.py` fits them.

    model = Linear.load(path, "confidence", names)
    model.probability(features) >= model.threshold

The file is JSON: `schema`, `weights` by the feature's name, `intercept`, `threshold`, `fitted_on`, and `digest`, the
SHA-256 of what decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from configs import files
from configs.errors import UserError

SCHEMA = 2


@dataclass(frozen=True)
class Linear:
    """A logistic model over named features in their own units (a scale is part of the weights), and where it says yes.

    `fitted_on`: the date, the data and whatever else of the fit should be known.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    threshold: float = 0.5
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def probability(self, features: np.ndarray) -> np.ndarray:
        """Probabilities (...) in 0..1, float64, of features (..., len(names))."""
        raw = features @ np.array(self.weights) + self.intercept
        return np.asarray(1 / (1 + np.exp(-np.clip(raw, -500, 500))))

    @property
    def digest(self) -> str:
        """SHA-256 of names, weights, intercept and threshold."""
        decides = [self.names, self.weights, self.intercept, self.threshold]
        return files.digest_json(decides)

    def save(self, path: Path) -> None:
        """Write the model as JSON, whole or not at all. Raises UserError where it cannot be written."""
        data = {
            "schema": SCHEMA,
            "weights": dict(zip(self.names, self.weights, strict=True)),
            "intercept": self.intercept,
            "threshold": self.threshold,
            "fitted_on": self.fitted_on,
            "digest": self.digest,
        }
        with files.said(path):
            files.write_json(path, data)

    @classmethod
    def load(cls, path: Path, command: str, names: tuple[str, ...] | None = None) -> Linear:
        """Read a model that `python -m eval calibrate COMMAND` wrote; `names`: the features that it must have.

        Raises UserError where the file is missing, damaged, of another version or of other features.
        """
        run = f"run `python -m eval calibrate {command}`"
        try:
            data = json.loads(path.read_text("utf-8"))
            if data["schema"] != SCHEMA:
                raise UserError(f"{path}: its schema is {data['schema']}, not {SCHEMA}; {run}")
            weights = {name: float(weight) for name, weight in data["weights"].items()}
            model = cls(
                tuple(weights),
                tuple(weights.values()),
                float(data["intercept"]),
                float(data["threshold"]),
                dict(data["fitted_on"]),
            )
            digest = data["digest"]
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}; {run}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path}: damaged; {run}") from None
        if names is not None and model.names != names:
            raise UserError(f"{path}: made for other features; {run}")
        if digest != model.digest:
            raise UserError(f"{path}: damaged, its digest is not that of its weights; {run}")
        return model
