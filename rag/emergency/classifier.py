"""The emergency classifier: messages that no phrase of `rag/emergency/phrases.toml` catches, but worded like one.

A logistic model over the message's embedding. `python -m eval calibrate emergency` fits it and writes
`rag/emergency/classifier.json` (`index/linear.py`). Phrases find what they name; this finds what they do not, and is
silent with any embedder but the one it was fitted with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from index.linear import Linear
from rag.emergency.phrases import Notice

SHIPPED = Path(__file__).with_name("classifier.json")
MAX_WORDS = 60
"""Words of a message that are read: a long one averages its emergency away, and phrases are looked for in all of it."""
CATEGORY = "possible"
NOTICE = (
    "This may be an emergency. If someone is in danger now, call your local emergency number: 911 in the US, 112 in "
    "Europe, 999 in the UK. For a poisoning or an overdose, call poison control (in the US 1-800-222-1222). If it is "
    "about ending a life, call or text 988 in the US, or find a line at findahelpline.com. Do not wait for an "
    "answer here."
)


class Encoder(Protocol):
    """What the classifier needs of an embedder or a retriever."""

    @property
    def fingerprint(self) -> str: ...
    def encode(self, texts: list[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class EmergencyClassifier:
    """The fitted model over the embedding's dimensions; past its threshold the notice is shown."""

    model: Linear

    @classmethod
    def load(cls, path: Path = SHIPPED) -> EmergencyClassifier:
        """Read a fitted model. Raises UserError as `Linear.load` does."""
        return cls(Linear.load(path, "emergency"))

    def __call__(self, message: str, embedder: Encoder) -> Notice | None:
        """The notice if the message is worded like an emergency; None with another embedder than it was fitted with."""
        if embedder.fingerprint != self.model.fitted_on.get("embedder"):
            return None
        vector = embedder.encode([" ".join(message.split()[:MAX_WORDS])])[0]
        return Notice(NOTICE, CATEGORY) if self.model.probability(vector) > self.model.threshold else None
