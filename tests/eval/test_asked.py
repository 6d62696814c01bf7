"""People's questions in a run of the evaluation: asked where the index is theirs, kept under what decides them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from configs import load
from eval import asked
from eval.datasets.experts import FILE
from eval.datasets.people import Person
from rag.pipeline import Pipeline
from tests.eval.test_swaps import Scripted, reads
from tests.eval.test_swaps import pipeline as _pipeline

pipeline = _pipeline


class Run:
    """As far as `asked` knows one: everything is asked at once, and the names it is kept under are remembered."""

    def __init__(self, pipeline: Pipeline, n: int) -> None:
        self.pipeline = pipeline
        self.profile = load("embedded", ["retriever.abstain_below=0"])[0]
        self.setup = SimpleNamespace(n=n)
        self.names: list[str] = []

    def kept(self, name: str, ask: Callable[[Pipeline], Any]) -> Any:
        self.names.append(name)
        return json.loads(json.dumps(ask(self.pipeline)))


def person(topic: str, covered: bool = True) -> Person:
    pages = frozenset({topic})
    return Person(topic, f"What is {topic.lower()}?", "keywords", topic, pages, pages, "information", covered)


@pytest.fixture
def run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Run:
    pipeline.use(Scripted(reads))  # type: ignore[arg-type]
    monkeypatch.setattr(asked, "labeled", lambda part: [person("Gout"), person("Migraine"), person("Asthma")])
    return Run(pipeline, 30)


def test_people_are_asked_in_every_mode_that_reads_sources(run: Run) -> None:
    found = asked.asked(run, ["base", "base+rag", "extractive"], None)  # type: ignore[arg-type]
    assert list(found) == ["people", "swaps"]
    assert list(found["people"]["systems"]) == ["extractive", "base+rag"]
    assert found["people"]["systems"]["extractive"]["covered: answered"]["n"] == 3
    assert found["people"]["systems"]["extractive"]["answered: written by the generator"]["share"] == 0
    assert found["people"]["systems"]["base+rag"]["answered: written by the generator"]["share"] == 1
    assert list(found["swaps"]["systems"]) == ["base+rag"]
    assert found["swaps"]["systems"]["base+rag"]["order"]["share"] == 1


def test_other_labels_are_kept_under_another_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked.asked(run, ["extractive"], None)  # type: ignore[arg-type]
    asked.asked(run, ["extractive"], None)  # type: ignore[arg-type]
    monkeypatch.setattr(asked, "labeled", lambda part: [person("Gout"), person("Asthma", covered=False)])
    asked.asked(run, ["extractive"], None)  # type: ignore[arg-type]
    first, second, third = run.names
    assert first == second != third


def test_another_corpus_is_not_asked(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(asked, "labeled", lambda part: [person("Rabies")])
    assert asked.asked(run, ["extractive"], tmp_path) == {}  # type: ignore[arg-type]


def test_experts_summaries_are_measured_where_they_are(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(asked, "labeled", lambda part: [])
    folder = tmp_path / asked.EXPERTS
    folder.mkdir()
    row = {"question": "What is gout?", "answers": ["Gout is a form of arthritis. It hurts.", "Rest helps."],
           "extractive": "Gout is a form of arthritis.", "abstractive": "Gout is arthritis."}  # fmt: skip
    (folder / FILE).write_text("\n".join(json.dumps(row) for _ in range(6)), "utf-8")
    monkeypatch.setattr(asked.experts, "quoted", lambda *_: {name: ["Gout."] * 6 for name in _SYSTEMS})
    found = asked.asked(run, ["extractive"], tmp_path)["experts"]  # type: ignore[arg-type]
    assert found["n"] == 6
    assert asked.experts.WRITTEN not in found["systems"]


_SYSTEMS = (asked.experts.SHORT, asked.experts.LONG)
