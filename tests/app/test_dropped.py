"""Clients that vanish in the middle of an answer, over real connections: the next question is answered all the same."""

from __future__ import annotations

import gc
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from app import engine as engines
from app.engine import Engine
from rag.answer import Answer
from tests.app.fakes import FakePipeline

DROPS = 100
WORD = 0.004
"""Seconds a word of the stand-in; its whole answer takes about 0.15 s."""


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, FakePipeline, Engine]]:
    """The whole application on a port of its own. Garbage is not collected, so that nothing is freed by chance."""
    import uvicorn

    from app import server
    from app.history import History

    pipeline = FakePipeline(WORD)
    engine = Engine(lambda: pipeline)
    engine.start()
    engine.pipeline(10)
    sock = server.bind("127.0.0.1", 0)
    app = server.create(engine, History(None), "s" * 24)
    config = uvicorn.Config(app, log_level="error", access_log=False, ws="none", timeout_graceful_shutdown=1)
    program = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: program.run(sockets=[sock]), daemon=True)
    thread.start()
    while not program.started:
        time.sleep(0.02)
    gc.collect()
    gc.disable()
    yield f"http://127.0.0.1:{sock.getsockname()[1]}", pipeline, engine
    gc.enable()
    program.should_exit = True
    thread.join(10)


def drop(address: str, path: str, body: dict[str, Any], after: float) -> None:
    """Send a request and cut the connection `after` seconds, reading or not."""
    host, _, port = address.removeprefix("http://").partition(":")
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.sendall(head.encode() + data)
        time.sleep(after)
        if random.random() < 0.5:
            client.settimeout(0.001)
            with suppress(TimeoutError):
                client.recv(65536)


def answered(address: str, limit: float = 5.0) -> None:
    """Ask and be answered within `limit` seconds."""
    begun = time.monotonic()
    reply = httpx.post(f"{address}/api/ask", json={"question": "asthma"}, timeout=limit)
    assert reply.status_code == 200, reply.text
    assert Answer.model_validate(reply.json()).complete
    assert time.monotonic() - begun < limit


def freed(pipeline: FakePipeline) -> None:
    """Every stream that was opened is closed, soon."""
    ends = time.monotonic() + 5
    while pipeline.opened != pipeline.closed and time.monotonic() < ends:
        time.sleep(0.01)
    assert pipeline.opened == pipeline.closed
    assert pipeline.most == 1


@pytest.mark.parametrize("path", ["/api/ask/stream", "/api/ask"])
def test_dropped_requests_leave_the_next_one_its_turn(served: Any, path: str) -> None:
    address, pipeline, _ = served
    random.seed(path)
    for _ in range(DROPS // 2):
        drop(address, path, {"question": "asthma"}, random.uniform(0, 0.25))
        answered(address)
    freed(pipeline)


def test_dropped_pages_leave_the_next_question_its_turn(served: Any) -> None:
    address, pipeline, _ = served
    random.seed(2)
    config = httpx.get(f"{address}/config").json()
    box = next(item["id"] for item in config["components"] if item["props"].get("elem_id") == "mc-box")
    number = next(item["id"] for item in config["dependencies"] if box in item["inputs"])
    for turn in range(DROPS // 2):
        session = f"dropped{turn}"
        body = {"data": ["", "asthma", "base+rag", False, 64, 0], "fn_index": number, "session_hash": session}
        joined = httpx.post(f"{address}/gradio_api/queue/join", json=body)
        assert joined.status_code == 200, joined.text
        ends = time.monotonic() + random.uniform(0.02, 0.3)
        with httpx.stream("GET", f"{address}/gradio_api/queue/data", params={"session_hash": session}) as events:
            for _line in events.iter_lines():
                if time.monotonic() > ends:
                    break
        answered(address)
    assert pipeline.opened > DROPS // 2, "the page's questions were never asked"
    freed(pipeline)


def test_dropped_in_the_line_gives_up_the_place(served: Any) -> None:
    address, pipeline, engine = served
    for _ in range(3 * engines.MAX_WAITING):
        drop(address, "/api/ask/stream", {"question": "asthma"}, 0.01)
    answered(address)
    freed(pipeline)
    assert engine.waiting == 0


def test_past_the_line_is_429_with_the_seconds_to_wait(served: Any) -> None:
    address, pipeline, _ = served
    replies: list[httpx.Response] = []

    def one(path: str) -> None:
        replies.append(httpx.post(f"{address}{path}", json={"question": "asthma"}, timeout=60))

    paths = ["/api/ask", "/api/ask/stream"] * (engines.MAX_WAITING + 2)
    threads = [threading.Thread(target=one, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    full = [reply for reply in replies if reply.status_code == 429]
    assert full, "nobody was turned away"
    assert len(replies) == len(paths)
    assert sum(reply.status_code == 200 for reply in replies) == len(paths) - len(full) > engines.MAX_WAITING
    for reply in full:
        assert 1 <= int(reply.headers["retry-after"]) <= 600
        assert "ask again in" in reply.json()["detail"]
    freed(pipeline)


@pytest.fixture
def gate(served: Any, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set, the pipeline begins no answer."""
    _, pipeline, _ = served
    held, snapshots = threading.Event(), pipeline._snapshots

    def waits(question: str) -> Iterator[Answer]:
        held.wait(20)
        yield from snapshots(question)

    monkeypatch.setattr(pipeline, "_snapshots", waits)
    return held


def test_first_come_is_first_served(served: Any, gate: threading.Event) -> None:
    address, _, engine = served
    order: list[int] = []

    def one(n: int) -> None:
        assert httpx.post(f"{address}/api/ask", json={"question": f"asthma {n}"}, timeout=60).status_code == 200
        order.append(n)

    threads = []
    for n in range(8):
        threads.append(threading.Thread(target=one, args=(n,)))
        threads[-1].start()
        ends = time.monotonic() + 5
        while engine.waiting < n or not engine.answering:  # in line before the next one comes
            assert time.monotonic() < ends
            time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join(60)
    assert order == list(range(8))


def test_health_tells_of_a_generator_that_is_stuck(
    served: Any, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _, _ = served
    monkeypatch.setattr(engines, "STUCK_SECONDS", 0.3)
    drop(address, "/api/ask/stream", {"question": "asthma"}, 0.5)
    reply = httpx.get(f"{address}/api/health")
    assert reply.status_code == 503
    assert reply.json()["state"] == "stuck"
    assert "has written nothing for" in reply.json()["detail"]
    assert reply.json()["answering"]
    gate.set()
    answered(address)
    reply = httpx.get(f"{address}/api/health")
    assert (reply.status_code, reply.json()["state"]) == (200, "ready")
