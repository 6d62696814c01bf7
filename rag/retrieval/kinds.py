"""What kind of thing a sentence speaks of: which of MedQuAD's question types its answer has.

    shipped()(vectors)                                      # (n, d) -> chances (n, k)
    fits(("outlook",), shipped(), vectors)                  # how surely each sentence is on one of the aspects, (n,)

One softmax over the vectors that reading computes anyway. `medcite eval calibrate kinds` fits it on sentences of train
topics; on those of validation topics, every type alike, it names the type of 15 for .63 (.31 without GARD and GHR,
whose sentences are standard ones).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from configs import files
from configs.errors import UserError
from rag.retrieval.aspects import ASPECTS

SHIPPED = Path(__file__).with_name("kinds.json")


@dataclass(frozen=True)
class Kinds:
    """Which of the corpus's question types a text is on: a softmax over unit vectors, `weights` (k, d), `bias` (k,)."""

    names: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Chances (n, k) of vectors (n, d); all alike for the vectors of an embedder of another size."""
        if vectors.shape[1] != self.weights.shape[1]:
            return np.full((len(vectors), len(self.names)), 1 / len(self.names))
        raw = vectors.astype(np.float64) @ self.weights.T + self.bias
        raw = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(raw / raw.sum(axis=1, keepdims=True))

    def save(self, path: Path) -> None:
        """Write the model as JSON, a question type's weights in a line. Raises UserError where it cannot be written."""
        kinds = {
            name: [float(f"{value:.4g}") for value in (bias, *row)]
            for name, bias, row in zip(self.names, self.bias, self.weights, strict=True)
        }
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in kinds.items())
        with files.said(path):
            files.write(path, f'{{\n "fitted_on": {json.dumps(self.fitted_on)},\n "kinds": {{\n{rows}\n }}\n}}\n')

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Kinds:
        """Read a model. Raises UserError if it is missing or damaged."""
        again = "run `medcite eval calibrate kinds`"
        try:
            data = json.loads(path.read_text("utf-8"))
            rows = np.array(list(data["kinds"].values()), dtype=np.float64)
            return cls(tuple(data["kinds"]), rows[:, 1:], rows[:, 0], dict(data["fitted_on"]))
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}; {again}") from None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise UserError(f"{path}: damaged; {again}") from None


@cache
def shipped() -> Kinds:
    """The model that ships, read once."""
    return Kinds.load()


def fits(aspects: Sequence[str], kinds: Kinds, vectors: np.ndarray) -> np.ndarray:
    """How surely each text is on one of the aspects, (n,) in 0..1: by the types that answer them (`aspects.toml`)."""
    chances = kinds(vectors)
    wanted = np.array([[ASPECTS[name].types.get(kind, 0.0) for kind in kinds.names] for name in aspects])
    return np.asarray((chances @ wanted.T).max(axis=1))
