from __future__ import annotations

from pathlib import Path

import pytest

from configs import load
from configs.schema import IndexSettings, Passages
from eval.bench import retrieval
from index.build import build
from tests import fakes
from tests.eval.retrieval.test_own_questions import page


def test_every_own_and_reworded_question_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = fakes.FakeEmbedder(dimensions=384)
    build(fakes.corpus([page(row) for row in range(20)]), tmp_path, Passages(max_tokens=64), embedder, IndexSettings())
    monkeypatch.setattr("index.embedder.embedder_of", lambda settings: embedder)
    before = len(embedder.encoded)
    found = retrieval.run(load("embedded")[0], tmp_path, 5)
    questions = [text for text in embedder.encoded[before:] if text.startswith("What")]
    assert len(questions) == 11  # five own, five reworded, and one to warm up; the others are sentences that are read
    assert (found["pairs"], found["passages"], found["warm"]["n"]) == (20, 20, 10)
    assert 0 < found["warm"]["p50_ms"] <= found["warm"]["p95_ms"]
