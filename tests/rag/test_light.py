"""Serving on a CPU, as the profile `embedded` does it: neither torch nor what is built on it is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from configs import load
from configs.schema import Cleaning
from index.build import build
from index.embedder import embedder_of
from index.sources import load_corpus
from tests.conftest import ROOT

LIGHT = ["generator.threads=1"]
SERVE = """
import json, sys
from pathlib import Path
from configs import load
from rag.pipeline import Pipeline
from rag.search import rows
folder, models, settings = sys.argv[1:]
pipeline = Pipeline.open(load("embedded", json.loads(settings))[0], Path(folder), Path(models))
pipeline.warm()
question = "What are the symptoms of asthma?"
modes = ("finetuned+rag", "extractive")
found = {mode: pipeline.invoke(question, mode=mode, max_new_tokens=8).status for mode in modes}
found["search"] = len(rows(question, pipeline.retriever.retrieve(question)))
import app.server
heavy = ("torch", "transformers", "sentence_transformers", "peft")
print(json.dumps([found, [name for name in heavy if name in sys.modules]]))
"""


@pytest.mark.weights
def test_neither_torch_nor_transformers_is_imported(weights: None, model_cache: Path, tmp_path: Path) -> None:
    profile, _ = load("embedded", LIGHT)
    corpus = load_corpus(["starter"], Cleaning())
    build(corpus, tmp_path / "index", profile.passages, embedder_of(profile.embedder), profile.index)
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path / "index"), str(model_cache), json.dumps(LIGHT)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, imported = json.loads(done.stdout)
    assert found == {"finetuned+rag": "answered", "extractive": "answered", "search": 5}
    assert imported == []
