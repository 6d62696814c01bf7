"""The command `medcite`: every word reaches its room, help comes at once, and a mistake is one line."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from configs.cli import COMMANDS
from tests.conftest import ROOT

LISTED = [name for name, command in COMMANDS.items() if command.does]


def medcite(*words: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PROFILE": "embedded", "COLUMNS": "100"}
    if data:
        env["MEDCITE_DATA"] = str(data)
    return subprocess.run(
        [sys.executable, "-m", "configs.cli", *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )


def test_the_commands_are_those_of_the_readme() -> None:
    assert set(LISTED) == {"ask", "search", "index", "finetune", "eval", "chat", "serve", "mcp"}
    said = medcite("--help").stdout
    assert all(f"\n  {name} " in said for name in LISTED)
    assert "docs" not in said, "for maintainers only"


@pytest.mark.parametrize("name", LISTED)
def test_the_help_of_a_command_is_its_rooms_own_under_its_own_name_and_quick(name: str) -> None:
    best = 9.0
    for _ in range(3):
        started = time.monotonic()
        done = medcite(name, "--help")
        best = min(best, time.monotonic() - started)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: medcite {name} ")
    assert "python -m" not in done.stdout.partition("\n\n")[0]
    assert best < 0.5


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["index", "build"], "medcite index build"),
        (["finetune", "train"], "medcite finetune train"),
        (["eval", "retrieval"], "medcite eval retrieval"),
        (["eval", "people"], "medcite eval people"),
        (["eval", "compare"], "medcite eval compare"),
    ],
)
def test_the_help_of_a_further_word(words: list[str], usage: str) -> None:
    assert medcite(*words, "--help").stdout.startswith(f"usage: {usage} ")


@pytest.mark.parametrize("room", ["rag", "index", "finetune", "eval", "app"])
def test_a_room_run_as_a_module_says_so(room: str) -> None:
    done = subprocess.run([sys.executable, "-m", room, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"usage: python -m {room} ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["aks"], "no command 'aks'; there are: chat, serve, mcp, ask"),
        (["--loud"], "no command '--loud'"),
        (["ask"], "give one question or --file"),
        (["search", " "], "the question is empty"),
        (["ask", "What is gout?"], "no index there; build one: make index"),
        (["chat", "--port", "70000"], "0 to 65535"),
        (["index", "--corpus", "/nowhere/corpus.csv"], "/nowhere/corpus.csv"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    found = medcite(*words, data=tmp_path)
    lines = [line for line in found.stderr.splitlines() if not line.startswith("profile ")]
    assert found.returncode == 2, found.stderr
    assert len(lines) == 1, found.stderr
    assert lines[0].startswith("medcite: ")
    assert said in lines[0]


def test_the_console_script_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = project["scripts"]["medcite"].partition(":")
    monkeypatch.setattr(sys, "argv", ["medcite", "--version"])
    with pytest.raises(SystemExit) as stop:
        getattr(importlib.import_module(module), name)()
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"medcite {project['version']}\n"


def test_serve_opens_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", ["medcite", "serve", "--port", "0"])
    monkeypatch.setattr("configs.cli.runpy.run_module", lambda *_, **__: seen.append(sys.argv[1:]))
    monkeypatch.setattr("configs.entry.called", "")
    from configs.cli import dispatch

    dispatch()
    assert seen == [["--no-browser", "--port", "0"]]
