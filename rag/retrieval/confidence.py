"""How sure retrieval is that its passages cover the question, before a word is generated.

A logistic model over a handful of retrieval features. `python -m eval calibrate confidence` fits it and writes
`rag/retrieval/confidence.json` (`index/linear.py`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from index.linear import Linear

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).with_name("confidence.json")


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
    """The fitted model. Its intercept is set so that 0.5 is where calibration says to begin answering."""

    model: Linear

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Confidence:
        """Read a model. Raises UserError as `Linear.load` does."""
        return cls(Linear.load(path, "confidence", NAMES))

    def __call__(self, features: Features) -> float:
        """The chance, in 0..1, that the corpus covers the question."""
        return float(self.model.probability(features.vector()))

    def check(self, embedder: str) -> bool:
        """Whether this model was fitted with the embedder of this fingerprint; logs it once a load if not."""
        known = str(self.model.fitted_on.get("embedder", ""))
        # The last word names the weights, whichever way they were loaded.
        if known.split()[-1:] != embedder.split()[-1:]:
            log.warning("the confidence was calibrated with another embedder (%s, not %s)", known, embedder)
            return False
        return True
