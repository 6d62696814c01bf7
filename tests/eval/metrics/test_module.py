"""The report's metrics as a module of the `evaluate` library."""

from __future__ import annotations

import pytest

from eval.metrics.module import TextMetrics
from eval.metrics.text import rouge

PREDICTIONS = ["Gout is a form of arthritis. [1]", ""]
REFERENCES = ["Gout is a common form of arthritis.", "Rest helps."]


def test_it_gives_the_figures_of_the_report() -> None:
    found = TextMetrics().compute(predictions=PREDICTIONS, references=REFERENCES)
    assert found["rougeL"] == pytest.approx(sum(rouge(PREDICTIONS, REFERENCES)["rougeL"]) / 2)
    assert 0 < found["bleu"] < 100
    assert found["exact_match"] == 0


def test_it_combines_with_other_modules() -> None:
    import evaluate

    both = evaluate.combine([TextMetrics(), TextMetrics()])
    both.add_batch(predictions=PREDICTIONS, references=REFERENCES)
    assert any(name.endswith("rougeL") for name in both.compute())
