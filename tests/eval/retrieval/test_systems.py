"""What the systems read of an answer, and the figures that others measured for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs import load
from eval.datasets import judged
from eval.retrieval import judged_sets
from eval.retrieval.systems import Answers, windows
from tests import fakes

PROFILE = load("embedded")[0]


def test_windows_hold_every_word_once() -> None:
    text = " ".join(f"w{n}" for n in range(400))
    found = windows(text)
    assert [len(window.split()) for window in found] == [180, 180, 40]
    assert " ".join(found) == text
    assert windows("") == [""]


def test_the_plain_embedder_reads_windows_or_title_and_body() -> None:
    long = " ".join(f"w{n}" for n in range(200))
    answer = judged.Given("a", "Gout", long, 4)
    for whole in (False, True):
        embedder = fakes.FakeEmbedder(dimensions=384, max_tokens=256)
        question = judged.Question("What is gout?", (answer,))
        systems = Answers("one", [question], PROFILE, embedder, whole=whole).systems()
        assert ("MiniLM on question + answer" in systems, "MiniLM, best window" in systems) == (whole, not whole)
        assert (f"Gout {long}" in embedder.encoded) is whole
        assert (windows(answer.text)[1] in embedder.encoded) is not whole


@pytest.mark.medquad
def test_published_conventions(medquad: Path) -> None:
    """CHiQA's rank and BM25 over a question's own answers give the figures that others measured."""
    folder = medquad.parent / "mediqa2019"
    if not folder.is_dir():
        pytest.skip(f"no MEDIQA files at {folder}")
    wanted = {
        "liveqa": {"CHiQA": (0.445, 0.516, 0.413, 0.680), "BM25": (0.480, 0.512, 0.394, 0.696)},
        "alexa": {"CHiQA": (0.767, 0.866, 0.779, 0.879), "BM25": (0.791, 0.851, 0.740, 0.878)},
    }
    for part, systems in wanted.items():
        questions = judged.read_mediqa(folder / judged.MEDIQA[part])
        answers = Answers(part, questions, PROFILE, fakes.FakeEmbedder())
        systems_found = judged_sets.table(
            questions, {"CHiQA": answers.ranks(), "BM25": answers.bm25_within(), "deployed": answers.bm25()}
        )["systems"]
        for name, values in systems.items():
            found = [systems_found[name][key]["value"] for key in ("map", "mrr", "p@1", "ndcg@10")]
            assert found == pytest.approx(values, abs=6e-4), f"{part}, {name}"
