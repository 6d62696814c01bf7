"""Every command as a person meets it: help at once, and one line with exit code 2 for a mistake."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def command(*words: str, data: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PROFILE": "embedded", **variables}
    if data:
        env["MEDCITE_DATA"] = str(data)
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("name", ["index", "rag", "app"])
def test_help_imports_nothing_heavy(name: str) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{name}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('{name}', run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code\n"
        "heavy = {'torch', 'transformers', 'gradio', 'faiss', 'pandas', 'pydantic', 'numpy', 'langchain_core'}\n"
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("name", ["index", "rag", "app"])
def test_help_costs_little(name: str) -> None:
    """Processor seconds, which a busy machine does not stretch as it does the clock's; `make bench` has the clock's."""
    used = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert command(name, "--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(used) < 0.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rag"], "give one question or --file"),
        (["rag", "What is gout?", "--file", "x.txt"], "give one question or --file"),
        (["rag", "--file", "/nowhere/x.txt"], "no such file"),
        (["rag", "What is gout?"], "no index there; build one: make index"),
        (["rag", "What is gout?", "--profile", "gpt-9"], "there are: auto, embedded"),
        (["rag", "What is gout?", "--set", "generator.color=1"], "unknown key 'generator.color'"),
        (["rag", "What is gout?", "--max-new-tokens", "0"], "give 1 or more"),
        (["rag.search", "gout", "-k", "0"], "give 1 or more"),
        (["rag.search", " "], "the question is empty"),
        (["index", "verify"], "no index there"),
        (["index", "info"], "no index there"),
        (["index", "build", "--corpus", "/nowhere/corpus.csv"], "/nowhere/corpus.csv"),
        (["index", "stats", "--corpus", "/nowhere/corpus.zip"], "/nowhere/corpus.zip"),
        (["app", "--port", "70000"], "0 to 65535"),
        (["eval", "bench", "beauty"], "no benchmark 'beauty'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    found = command(*words, data=tmp_path)
    lines = [line for line in found.stderr.splitlines() if not line.startswith("profile ")]
    assert found.returncode == 2, found.stderr
    assert len(lines) == 1, found.stderr
    assert lines[0].startswith("medcite: ")
    assert said in lines[0]
    assert found.stdout == ""


def test_a_file_without_a_question(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n", "utf-8")
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Was ist Übelkeit?".encode("latin-1"))
    assert "no question in it" in command("rag", "--file", str(empty)).stderr
    assert "not UTF-8" in command("rag", "--file", str(latin)).stderr


def test_a_medquad_that_is_not_there(tmp_path: Path) -> None:
    found = command("index", "build", data=tmp_path, MEDQUAD=str(tmp_path / "gone.zip"))
    assert found.returncode == 2
    assert "gone.zip" in found.stderr.splitlines()[-1]
