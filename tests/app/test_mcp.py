"""The tools as the package's own client calls them: in memory, and as the program over standard input and HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.mcp import server
from tests.rag.test_pipeline import GOUT, make

pytestmark = pytest.mark.enable_socket
ROOT = Path(__file__).parent.parent.parent


def called(given: Any, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], str, list[Any]]:
    """The tools' names, the instructions, and what each call gives: its structured content, or its error's text."""
    from mcp import Client

    async def talk() -> tuple[list[str], str, list[Any]]:
        async with Client(given) as client:
            names = [one.name for one in (await client.list_tools()).tools]
            found = []
            for name, arguments in calls:
                result = await client.call_tool(name, arguments)
                found.append(result.content[0].text if result.is_error else result.structured_content)
            return names, client.instructions or "", found

    return asyncio.run(talk())


def test_a_client_asks_searches_and_reads(tmp_path: Path) -> None:
    pipeline, _ = make(tmp_path, GOUT)
    names, told, (answer, after, found, page) = called(
        server(pipeline),
        ("ask", {"question": "What is gout?"}),
        ("ask", {"question": "what causes it?", "history": ["What is gout?"], "mode": "extractive"}),
        ("search", {"question": "What is gout?", "k": 2}),
        ("read_source", {"id": "gout"}),
    )
    assert names == ["ask", "search", "read_source"]
    assert "not medical advice" in told
    assert answer["status"] == "answered"
    assert "[1]" in answer["text"]
    assert answer["sources"][0]["url"] == "https://example.org/gout"
    assert after["understood"] == "what causes gout?"
    assert found["hits"][0]["id"] == "gout"
    assert len(found["hits"]) == 2
    assert page["text"] == GOUT


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    pipeline, _ = make(tmp_path, GOUT)
    _, _, said = called(
        server(pipeline),
        ("ask", {"question": "  "}),
        ("ask", {"question": "What is gout?", "mode": "guess"}),
        ("search", {"question": "What is gout?", "k": 99}),
        ("read_source", {"id": "nothing"}),
    )
    assert all(isinstance(one, str) for one in said), said
    assert "empty" in said[0]
    assert "no source 'nothing'" in said[3]


@pytest.fixture(scope="module")
def data(weights: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an index of the starter corpus."""
    folder = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "index", "build", "--corpus", "starter", "--profile", "embedded"]
    environment = {**os.environ, "MEDCITE_DATA": str(folder), "CORPUS": ""}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=300)
    return folder


def test_the_program_serves_over_standard_input(data: Path) -> None:
    from mcp import StdioServerParameters

    environment = {**os.environ, "MEDCITE_DATA": str(data), "PROFILE": "embedded"}
    program = StdioServerParameters(command=sys.executable, args=["-m", "app.mcp"], env=environment, cwd=str(ROOT))
    question = {"question": "What are the symptoms of asthma?", "mode": "extractive"}
    _, _, (answer,) = called(program, ("ask", question))
    assert answer["status"] == "answered", json.dumps(answer)
    assert answer["sources"]


def test_the_program_serves_over_http(data: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MEDCITE_DATA": str(data), "PROFILE": "embedded"}
    command = [sys.executable, "-m", "app.mcp", "--http", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any(f":{port}/mcp" in line for line in process.stderr)
        for _ in range(100):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        _, _, (found,) = called(f"http://127.0.0.1:{port}/mcp", ("search", {"question": "asthma symptoms", "k": 1}))
        assert "asthma" in found["hits"][0]["title"].lower()
    finally:
        process.terminate()
        process.wait(20)
