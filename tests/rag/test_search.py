"""`medcite search`: the chat's own retrieval, on its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from configs import load
from configs.schema import IndexSettings, Passages
from index.build import build
from index.corpus import QAPair
from rag.pipeline import Pipeline
from rag.retrieval.hybrid import HybridRetriever
from rag.search import rows, text
from tests import fakes

ROOT = Path(__file__).parents[2]


def command(room: str, *words: str, data: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PROFILE": "embedded", "MEDCITE_DATA": str(data)}
    env.pop("MEDQUAD", None)
    return subprocess.run(
        [sys.executable, "-m", room, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("search")
    pairs = [
        QAPair("own", "How to prevent it?", "Rest. Adults take 100 mg twice a day."),
        *(fakes.pair(row) for row in range(20)),
    ]
    profile, _ = load("embedded", ["retriever.abstain_below=0", "answering.mode=extractive"])
    embedder = fakes.FakeEmbedder(dimensions=256, max_tokens=64)
    index = build(fakes.corpus(pairs), folder, Passages(max_tokens=64), embedder, IndexSettings())
    return Pipeline(profile, index, HybridRetriever.create(index, embedder, profile.retriever), folder)


@pytest.mark.parametrize("question", ["What are the signs, part 1, of gout?", "sign12x3", "anemia and migraine"])
def test_the_search_finds_what_the_chat_finds(pipeline: Pipeline, question: str) -> None:
    found: list[dict[str, Any]] = rows(question, pipeline.retriever.retrieve(question))
    sources = {item.passage_id: item.text for item in pipeline.invoke(question).sources}
    # An answer has the passages of one page together, in their order; the search has them by rank.
    assert {row["passage"]: row["text"] for row in found} == sources
    assert next(iter(sources)).partition("@")[0] == found[0]["passage"].partition("@")[0]
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)


def test_a_dose_of_a_page_that_is_not_named_is_left_out_here_too(pipeline: Pipeline) -> None:
    found = rows("rest", pipeline.retriever.retrieve("rest for adults", 20))
    own = next(row for row in found if row["title"] == "How to prevent it?")
    assert own["doses_left_out"] == 1
    assert "100 mg" not in text(own)
    assert text(own).count("How to prevent it?") == 1, "a title that is its own question is shown once"


@pytest.mark.weights
def test_build_then_search(weights: None, tmp_path: Path) -> None:
    built = command("index", "build", "--corpus", "starter", data=tmp_path)
    assert built.returncode == 0, built.stderr
    assert "embedding:" in built.stderr, "progress is plain lines in a log"
    assert "demonstration text, not from NIH" in built.stderr
    found = command("rag.search", "What are the symptoms of asthma?", "-k", "3", "--json", data=tmp_path)
    listed = [json.loads(line) for line in found.stdout.splitlines()]
    assert [row["rank"] for row in listed] == [1, 2, 3]
    assert "asthma" in listed[0]["title"].lower()
    assert all(row["demonstration"] and row["text"] for row in listed)
    plain = command("rag.search", "What", "is", "asthma?", "-k", "1", data=tmp_path).stdout
    assert "demonstration text" in plain
    assert "the chat would answer" in plain


@pytest.mark.weights
def test_an_index_of_another_embedder_is_not_searched(weights: None, tmp_path: Path) -> None:
    build(fakes.corpus(5), tmp_path / "index", Passages(max_tokens=64), fakes.FakeEmbedder(64, 64), IndexSettings())
    found = command("rag.search", "What is gout?", data=tmp_path)
    assert found.returncode == 2
    assert "another embedder" in found.stderr
