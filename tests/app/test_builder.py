"""The build beside the chat: how it ends is said in a line, and the page and the API say how far the index is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app import chat
from app.__main__ import unfinished
from app.builder import Builder, command
from app.engine import Engine
from configs.schema import IndexSettings
from index import build as building
from index.build import build
from index.growing import locked
from tests.app import fakes
from tests.app.test_corpus import served
from tests.fakes import FakeEmbedder, corpus
from tests.index.killed import CUTTING

GROWING = "The index is still growing: 3 of 9 passages have vectors. Answers get better as it grows."


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("pass", "the index is whole"),
        ("import sys; sys.exit('medcite: the disk is full')", "the index stopped growing: the disk is full"),
        ("import sys; sys.exit(3)", "the index stopped growing: exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "the index stopped growing: its build was ended by signal 9"),
    ],
)
def test_a_build_that_ends_is_one_line(code: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    builder = Builder([sys.executable, "-c", code])
    builder.start()
    builder.join(60)
    assert builder.said.startswith(said)
    assert capfd.readouterr().err == f"medcite: {builder.said}\n"


def test_a_build_that_cannot_begin_is_one_line(tmp_path: Path) -> None:
    builder = Builder([str(tmp_path / "nothing")])
    builder.start()
    builder.join(60)
    assert builder.said == "the index stopped growing: No such file or directory"


def test_it_begins_when_the_chat_can_answer(tmp_path: Path) -> None:
    order: list[str] = []
    builder = Builder([sys.executable, "-c", "pass"], lambda: order.append("waited"))
    assert order == []
    builder.start()
    builder.join(60)
    assert order == ["waited"]


def test_it_runs_in_the_profile_of_the_chat(tmp_path: Path) -> None:
    words = command(Path("index"), "embedded", ["embedder.batch_size=8"])
    given = ["--index", str(Path("index").absolute()), "--profile", "embedded"]
    assert words[4:] == ["build", "--beside", *given, "--set", "embedder.batch_size=8"]
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "__main__.py").write_text("raise SystemExit('another index')", "utf-8")
    said = subprocess.run([*words[:5], "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "--beside" in said.stdout, said.stderr


def test_only_an_unfinished_index_that_nobody_builds_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "STAGED", 3)
    assert not unfinished(tmp_path)
    build(corpus(5), tmp_path, CUTTING, FakeEmbedder(), IndexSettings(), first=True)
    assert unfinished(tmp_path)
    with locked(tmp_path):
        assert not unfinished(tmp_path)
    build(corpus(5), tmp_path, CUTTING, FakeEmbedder(), IndexSettings())
    assert not unfinished(tmp_path)


def test_page_and_api_say_how_far_the_index_is_until_it_is_whole() -> None:
    pipeline = fakes.FakePipeline()
    pipeline.growing = GROWING
    engine = Engine(lambda: pipeline)
    engine.start()
    engine.wait()
    assert f"indexed. {GROWING}</p>" in chat.state_line(engine)
    assert chat.next_tick(engine).active
    with served(engine) as client:
        assert client.get("/api/health").json()["growing"] == GROWING
        assert client.get("/api/search", params={"q": "asthma"}).json()["growing"] == GROWING
        pipeline.growing = ""
        assert client.get("/api/health").json()["growing"] == ""
    assert "growing" not in chat.state_line(engine)
    assert not chat.next_tick(engine).active


def test_an_answer_says_how_far_the_index_was() -> None:
    from app.render import notes

    assert notes(fakes.ANSWERED.model_copy(update={"growing": GROWING})) == [GROWING]
    assert GROWING in notes(fakes.ABSTAINED.model_copy(update={"growing": GROWING}))
