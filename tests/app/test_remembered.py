"""A question that is asked again in the same way is answered at once; anything else is made anew."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.engine import Engine
from app.remembered import MOST, Remembered
from rag.answer import Answer
from tests.app.fakes import ANSWERED, FakePipeline


@pytest.fixture
def both() -> tuple[Engine, FakePipeline]:
    pipeline = FakePipeline(0.01)
    pipeline.kept = True
    engine = Engine(lambda: pipeline)
    engine.start()
    engine.wait()
    return engine, pipeline


def asked(engine: Engine, question: str, **options: Any) -> Answer:
    return [one for one in engine.ask(question, **options) if isinstance(one, Answer)][-1]


def test_the_same_question_is_answered_at_once(both: tuple[Engine, FakePipeline]) -> None:
    engine, pipeline = both
    first = asked(engine, "asthma", mode="extractive")
    began = time.monotonic()
    again = asked(engine, "  asthma ", mode="extractive")
    assert time.monotonic() - began < 0.5
    assert pipeline.opened == 1
    assert again.sentences == first.sentences
    assert again.timings.total_ms == 0


@pytest.mark.parametrize(
    "other", [{"mode": "base"}, {"history": ["What is gout?"]}, {"strict": True}, {"temperature": 0.5}, {"seed": 3}]
)
def test_another_option_is_another_question(both: tuple[Engine, FakePipeline], other: dict[str, Any]) -> None:
    engine, pipeline = both
    asked(engine, "asthma", mode="extractive")
    asked(engine, "asthma", **{"mode": "extractive", **other})
    assert pipeline.opened == 2


def test_nothing_is_kept_of_chance_of_a_growing_index_or_of_what_broke_off(both: tuple[Engine, FakePipeline]) -> None:
    engine, pipeline = both
    asked(engine, "asthma", temperature=0.7)
    asked(engine, "asthma", temperature=0.7)
    assert pipeline.opened == 2
    pipeline.growing = "1 of 2 passages"
    asked(engine, "asthma")
    asked(engine, "asthma")
    assert pipeline.opened == 4
    pipeline.growing = ""
    for answer in engine.ask("asthma"):
        if isinstance(answer, Answer) and answer.draft:
            break  # the reader leaves
    asked(engine, "asthma")
    assert pipeline.opened == 6


def test_another_index_is_another_answer_and_the_oldest_goes() -> None:
    kept, pipeline = Remembered(), FakePipeline()
    pipeline.kept = True
    key = kept.key(pipeline, "q", {})
    kept.put(key, ANSWERED)
    assert kept.get(key) is not None
    pipeline.index.manifest.corpus_digest = "another"
    assert kept.key(pipeline, "q", {}) != key
    for n in range(MOST):
        kept.put(str(n), ANSWERED)
    assert kept.get(key) is None
    assert kept.get("0") is not None
