"""The metrics of a run, and what they give each answer. No command of its own; `eval/score.py` sums it up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from eval.metrics.overlap import plain

if TYPE_CHECKING:
    import numpy as np


class Scored:
    """The per-answer scores of one mode in one regime; `texts` are what is scored."""

    def __init__(self, texts: Sequence[str], references: Sequence[str], metrics: Metrics) -> None:
        import numpy as np

        self.texts = list(texts)
        self.values: dict[str, np.ndarray] = {}
        for metric in (metrics.rouge, metrics.f1):
            self._take(metric.per_answer(texts, references))
        if metrics.bert is not None:  # a metric without examples is false
            self.values["bertscore"] = np.asarray(
                metrics.bert.per_answer(texts, references)["bertscore_f1"], dtype=float
            )
        self._take(metrics.readability.per_answer(texts, references))
        self.statistics = metrics.bleu.statistics(texts, references)
        self.words = [(len(plain(a).split()), len(plain(b).split())) for a, b in zip(texts, references, strict=True)]

    def _take(self, found: dict[str, list[Any]]) -> None:
        import numpy as np

        self.values |= {
            name: np.asarray([math.nan if v is None else v for v in values], dtype=float)
            for name, values in found.items()
        }


class Metrics:
    """The metrics of a run, loaded once. `encoder` is BERTScore's model, None to leave it out."""

    def __init__(self, encoder: str | None) -> None:
        from eval.metrics import text as metrics

        self.rouge = metrics.Rouge()
        self.bleu = metrics.Bleu()
        self.f1 = metrics.TokenF1()
        self.readability = metrics.Readability()
        self.bert = metrics.BertScore(encoder) if encoder else None

    def described(self) -> dict[str, str]:
        """What makes the figures comparable: versions, signatures, hashes."""
        facts = {"rouge": f"rouge-score {version('rouge-score')}, stemmed, F-measure", "bleu": self.bleu.signature}
        if self.bert is not None:
            facts["bertscore"] = self.bert.hash
        return facts
