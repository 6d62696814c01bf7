"""The HTTP API and the server's doors, over the whole application with a stand-in pipeline."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.errors import UserError
from rag.answer import Answer
from tests.app.fakes import FakePipeline

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from starlette.testclient import TestClient

    from app import server
    from app.engine import Engine
    from app.history import History

    engine = Engine(lambda: FakePipeline(0.001))
    engine.start()
    app = server.create(engine, History(None), "s" * 24)
    with TestClient(app, base_url="http://localhost") as found:
        yield found


def test_ask_gives_the_answer(client: Any) -> None:
    reply = client.post("/api/ask", json={"question": "asthma", "mode": "extractive", "strict": True})
    assert reply.status_code == 200
    answer = Answer.model_validate(reply.json())
    assert answer.complete
    assert answer.sentences[0].citations == (1,)


def test_a_follow_up_comes_with_the_questions_before(client: Any) -> None:
    body = {"question": "and how is it treated?", "history": ["What is gout?", "What is asthma?"]}
    answer = Answer.model_validate(client.post("/api/ask", json=body).json())
    assert answer.understood == "What is asthma? (and how is it treated?)"
    for history, what in (("What is gout?", "list"), ([3], "string"), (["x"] * 51, "50")):
        reply = client.post("/api/ask", json={**body, "history": history})
        assert reply.status_code == 422
        assert what in reply.json()["detail"]


def test_the_stream_sends_snapshots_and_ends_with_the_whole(client: Any) -> None:
    reply = client.post("/api/ask/stream", json={"question": "asthma"})
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [part for part in reply.text.split("\n\n") if "event: answer" in part]
    answers = [Answer.model_validate_json(part.split("data: ", 1)[1]) for part in events]
    assert len(answers) > 10
    assert [item.complete for item in answers[-2:]] == [False, True]


def test_a_mistake_in_a_stream_is_an_event(client: Any) -> None:
    reply = client.post("/api/ask/stream", json={"question": "  "})
    assert reply.status_code == 200
    event, data, *_ = reply.text.split("\n")
    assert event == "event: error"
    assert "empty" in json.loads(data.removeprefix("data: "))["detail"]
    kept = ("content-type", "cache-control", "x-accel-buffering")
    whole = client.post("/api/ask/stream", json={"question": "asthma"})
    assert [reply.headers[name] for name in kept] == [whole.headers[name] for name in kept]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": 3},
        {"question": ""},
        {"question": "x", "mode": "magic"},
        {"question": "x", "max_new_tokens": 0},
        {"question": "x", "temperature": 9},
        {"question": "x", "color": "red"},
        {"question": "y" * 110_000},
        {"question": "mistake"},
        [],
        "text",
    ],
)
def test_bad_input_is_422_with_one_line(client: Any, body: object) -> None:
    reply = client.post("/api/ask", json=body)
    assert reply.status_code == 422
    assert isinstance(reply.json()["detail"], str)
    assert "\n" not in reply.json()["detail"]


def test_broken_json_is_422(client: Any) -> None:
    reply = client.post("/api/ask", content=b'{"question": ', headers={"content-type": "application/json"})
    assert reply.status_code == 422


def test_an_error_inside_is_one_line_without_a_traceback(client: Any) -> None:
    reply = client.post("/api/ask", json={"question": "explode"})
    assert reply.status_code == 500
    assert "Traceback" not in reply.text


def test_search_and_health(client: Any) -> None:
    found = client.get("/api/search", params={"q": "asthma", "k": 3}).json()
    assert found["hits"][0]["url"].startswith("https://")
    assert client.get("/api/search", params={"q": "asthma", "k": 0}).status_code == 422
    assert client.get("/api/search").status_code == 422
    assert client.get("/api/health").json()["state"] == "ready"
    assert client.get("/api/nothing").status_code == 404


def test_a_huge_request_is_refused(client: Any) -> None:
    assert client.post("/api/ask", json={"question": "z" * 2_000_000}).status_code == 413


def test_doors_the_page_does_not_use_are_closed(client: Any) -> None:
    assert client.post("/gradio_api/upload", files={"files": b"x"}).status_code == 404
    for path in ("/gradio_api/info", "/gradio_api/file=/etc/passwd", "/gradio_api/call/ask", "/docs", "/monitoring"):
        assert client.get(path).status_code == 404, path
    config = client.get("/config").json()
    assert not [item for item in config["dependencies"] if item["api_visibility"] == "public"]


def test_the_page_may_load_nothing_from_elsewhere(client: Any) -> None:
    reply = client.get("/")
    assert reply.status_code == 200
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert "fonts.googleapis.com" not in reply.text
    assert "cdn" not in reply.text.lower()


def test_a_web_page_under_another_name_cannot_reach_it(client: Any) -> None:
    assert client.get("/api/health", headers={"host": "evil.example"}).status_code == 400


def test_a_port_in_use_is_one_line() -> None:
    from app import server

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} .* in use"):
            server.bind("127.0.0.1", port)
        command = [sys.executable, "-m", "app", "--profile", "embedded", "--no-browser", "--port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("medcite: port")
    assert "Traceback" not in done.stderr


def test_help_is_quick() -> None:
    command = [sys.executable, "-m", "app", "--help"]
    best = 9.0
    for _ in range(3):
        started = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        best = min(best, time.monotonic() - started)
    assert "--no-history" in done.stdout
    assert best < 0.5


def test_the_schema_names_the_answer(client: Any) -> None:
    schema = json.loads(client.get("/api/openapi.json").text)
    assert "Answer" in schema["components"]["schemas"]


def test_those_who_watch_see_what_was_answered(client: Any) -> None:
    def value(name: str) -> float:
        lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["status"] == "ready"
    before = value("medcite_answers_total"), value("medcite_failures_total"), value("medcite_tokens_total")
    client.post("/api/ask", json={"question": "asthma"})
    client.post("/api/ask", json={"question": "explode"})
    client.post("/api/ask", json={"question": "a mistake"})
    after = value("medcite_answers_total"), value("medcite_failures_total"), value("medcite_tokens_total")
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 478]
    text = client.get("/metrics").text
    assert 'medcite_answers_total{mode="base+rag",status="answered"}' in text
    assert "medcite_waiting 0.0" in text


def test_not_ready_while_loading() -> None:
    import threading

    from starlette.testclient import TestClient

    from app import server
    from app.engine import Engine
    from app.history import History

    loading = threading.Event()
    engine = Engine(lambda: (loading.wait(20), FakePipeline())[1])
    engine.start()
    with TestClient(server.create(engine, History(None), "s" * 24), base_url="http://localhost") as found:
        assert found.get("/healthz").status_code == 200
        assert found.get("/readyz").status_code == 503
        loading.set()
        engine.wait()
        assert found.get("/readyz").status_code == 200
