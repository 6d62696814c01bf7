"""Loading in the background, one question at a time, stopping, and errors in one line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from app.engine import MAX_QUESTION_BYTES, Engine, Unavailable
from configs.errors import UserError
from rag.answer import Answer
from tests.app.fakes import FakePipeline, ended


def ready(pipeline: FakePipeline) -> Engine:
    engine = Engine(lambda: pipeline)
    engine.start()
    engine.pipeline(5)
    return engine


def answers(steps: Iterator[Answer | str]) -> list[Answer]:
    return [step for step in steps if isinstance(step, Answer)]


def test_snapshots_come_through_with_the_options_that_were_set() -> None:
    pipeline = FakePipeline()
    found = answers(ready(pipeline).ask("asthma?", mode="base", strict=None, temperature=0.0))
    assert found[-1].complete
    assert pipeline.options == {"mode": "base", "temperature": 0.0}


def test_a_question_asked_while_loading_waits_and_is_answered() -> None:
    gate = threading.Event()

    def load() -> FakePipeline:
        gate.wait(5)
        return FakePipeline()

    engine = Engine(load)
    engine.start()
    assert engine.state == "loading"
    steps = engine.ask("asthma?")
    assert "Loading" in str(next(steps))
    gate.set()
    assert answers(steps)[-1].complete


def test_a_failed_load_is_one_line() -> None:
    def load() -> FakePipeline:
        raise UserError("no index;\n run make index")

    engine = Engine(load)
    engine.start()
    with pytest.raises(Unavailable, match="no index; run make index"):
        engine.pipeline(5)
    assert engine.state == "failed"


def test_one_generation_at_a_time() -> None:
    pipeline = FakePipeline(0.002)
    engine = ready(pipeline)
    threads = [threading.Thread(target=lambda: answers(engine.ask("asthma?"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert pipeline.opened == pipeline.closed == 4
    assert pipeline.most == 1


def test_a_stop_ends_the_generation_and_lets_the_next_one_in() -> None:
    pipeline = FakePipeline(0.005)
    engine = ready(pipeline)
    stop = threading.Event()
    steps = engine.ask("asthma?", stop)
    next(steps)
    next(steps)
    stop.set()
    rest = answers(steps)
    assert not any(step.complete for step in rest)
    assert pipeline.running == 0
    assert answers(engine.ask("asthma?"))[-1].complete


def test_an_asker_who_goes_away_frees_the_turn() -> None:
    pipeline = FakePipeline(0.005)
    engine = ready(pipeline)
    steps = engine.ask("asthma?")
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    ended(pipeline)
    started = time.monotonic()
    assert answers(engine.ask("capital?"))
    assert time.monotonic() - started < 2


def test_a_stop_while_waiting_takes_no_turn() -> None:
    pipeline = FakePipeline(0.01)
    engine = ready(pipeline)
    first = engine.ask("asthma?")
    next(first)
    stop = threading.Event()
    second = engine.ask("asthma?", stop)
    assert "Waiting" in str(next(second))
    stop.set()
    assert list(second) == []
    assert answers(first)[-1].complete
    assert answers(engine.ask("capital?"))


def test_errors_are_one_line_and_the_turn_is_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    engine = ready(FakePipeline())
    with pytest.raises(UserError, match="could not be finished: RuntimeError: out of memory"):
        list(engine.ask("explode"))
    with pytest.raises(UserError, match="not available"):
        list(engine.ask("mistake"))
    assert answers(engine.ask("capital?"))
    assert "Traceback" not in capsys.readouterr().err


def test_questions_of_100_kb_pass_and_longer_or_empty_ones_do_not() -> None:
    engine = ready(FakePipeline())
    assert answers(engine.ask("a" * MAX_QUESTION_BYTES))
    with pytest.raises(UserError, match="100 kB"):
        next(engine.ask("é" * MAX_QUESTION_BYTES))
    with pytest.raises(UserError, match="empty"):
        next(engine.ask(" \n"))
    assert answers(engine.ask("\ud800 lone surrogate, asthma"))
