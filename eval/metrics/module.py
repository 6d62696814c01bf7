"""The report's text metrics as one module of the `evaluate` library, for notebooks and other programs.

    from eval.metrics.module import TextMetrics

    TextMetrics().compute(predictions=["Gout is arthritis. [1]"], references=["Gout is a form of arthritis."])

It works offline, which `evaluate.load` does not, and combines with other modules (`evaluate.combine`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value

from eval.metrics.text import Metrics, Scored


class TextMetrics(evaluate.Metric):
    """ROUGE, BLEU, token F1, exact match and readability, and BERTScore with an `encoder` (hub id or folder).

    `compute` gives the figures of `results.json`: means over the answers, and corpus BLEU. NaN values are left out.
    """

    def __init__(self, encoder: str | None = None) -> None:
        self._metrics = Metrics(encoder)
        # evaluate makes a folder for its cache even where it keeps everything in memory.
        with tempfile.TemporaryDirectory() as folder:
            super().__init__(keep_in_memory=True, cache_dir=folder, seed=0)

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            inputs_description="predictions and references: one text an answer",
            features=Features({"predictions": Value("string"), "references": Value("string")}),
        )

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        scored = Scored(predictions, references, self._metrics)
        means = {name: float(np.nanmean(values)) for name, values in scored.values.items()}
        return means | {"bleu": self._metrics.bleu.score(scored.statistics.sum(0))}
