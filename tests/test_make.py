"""The Makefile hands CORPUS on as it was typed, whatever is in a file's name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROW = "question,answer\nHow to prevent glaucoma?,Have your eyes examined.\nWhat is gout?,A painful joint.\n"
PROGRAM = f"{sys.executable} -m configs.cli"
MEDCITE = """#!{python}
import json, os, sys
from index.sources import given
words = sys.argv[1:]
options = [word for before, word in zip(words, words[1:]) if before == "--corpus"]
print(json.dumps([words[0], given(options, os.environ.get("CORPUS"))]))
"""


def make(tmp_path: Path, target: str, corpus: str, medcite: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`make TARGET CORPUS=...` with another `medcite`, in a .venv that counts as set up."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    venv = tmp_path / "venv"
    venv.mkdir(exist_ok=True)
    words = ["make", "-s", f"VENV={venv}", f"MEDCITE={medcite}", target, f"CORPUS={corpus}"]
    for ready in (venv / f"ready-{name}" for name in ("base", "app", "torch", "train", "eval", "dev")):
        ready.touch()
        words += ["-o", str(ready)]
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "CORPUS")}
    env |= {"PROFILE": "embedded", "MEDCITE_DATA": str(tmp_path / "data"), "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.parametrize("target", ["index", "finetune"])
@pytest.mark.parametrize(
    ("corpus", "found"),
    [
        ("{0}/my files/häufige fragen.csv", ["{0}/my files/häufige fragen.csv"]),
        ("{0}/it's.csv", ["{0}/it's.csv"]),
        ('{0}/a$b "c".csv', ['{0}/a$b "c".csv']),
        ("{0}/it's.csv {0}/plain.csv::plain starter", ["{0}/it's.csv", "{0}/plain.csv::plain", "starter"]),
        ("", []),
    ],
)
def test_the_corpus_arrives_as_it_was_typed(tmp_path: Path, target: str, corpus: str, found: list[str]) -> None:
    for name in ("my files/häufige fragen.csv", "it's.csv", 'a$b "c".csv', "plain.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(ROW, "utf-8")
    medcite = tmp_path / "medcite"
    medcite.write_text(MEDCITE.format(python=sys.executable), "utf-8")
    medcite.chmod(0o755)
    done = make(tmp_path, target, corpus.format(tmp_path), str(medcite))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [target, [source.format(tmp_path) for source in found]]


@pytest.mark.weights
def test_a_name_with_blanks_and_an_apostrophe_is_built_and_asked(weights: None, tmp_path: Path) -> None:
    table = tmp_path / "it's my files" / "häufige fragen.csv"
    table.parent.mkdir()
    table.write_text(ROW, "utf-8")
    built = make(tmp_path, "index", str(table), PROGRAM)
    assert built.returncode == 0, built.stderr
    asked = make(tmp_path, "ask", "", PROGRAM, Q="How to prevent glaucoma?", ARGS="--mode extractive")
    assert asked.returncode == 0, asked.stderr
    assert "up to date with häufige fragen (2 pairs)" in asked.stderr
    assert "Answers from häufige fragen." in asked.stderr
    assert "  [1] How to prevent glaucoma?  häufige fragen\n" in asked.stdout
    gone = make(tmp_path, "index", "nowhere.csv", PROGRAM)
    assert gone.returncode == 2
    assert "medcite: CORPUS: nowhere.csv is not there" in gone.stderr


@pytest.mark.parametrize(
    ("target", "installed"),
    [
        ("ask PROFILE=tinyllama", [".", "base", ".[torch]", "torch base"]),
        ("chat PROFILE=my/own.toml", [".[app]", "app base", ".[torch]", "torch base"]),
        ("ask", [".", "base"]),
        ("index", [".", "base"]),
        ("chat", [".[app]", "app base"]),
        ("serve", [".[app]", "app base"]),
        ("finetune", [".[train]", "train base torch"]),
        ("eval", [".[eval]", "eval base torch train"]),
        ("test", [".[dev]", "dev base app torch train eval"]),
        ("lint", [".[dev]", "dev base app torch train eval"]),
    ],
)
def test_a_target_installs_what_it_needs_and_says_so_by_its_stamps(
    tmp_path: Path, target: str, installed: list[str]
) -> None:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    venv = tmp_path / "venv"
    words = ["make", "-n", f"VENV={venv}", f"PYTHON={sys.executable}", "PROFILE=embedded", *target.split(), "Q=x"]
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    said = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True).stdout
    editable = [line.rsplit(" -e ", 1)[1].strip("'") for line in said.splitlines() if " -e " in line]
    stamps = [line.split()[1:] for line in said.splitlines() if line.startswith("touch ")]
    assert editable == installed[::2]
    assert [[Path(stamp).name for stamp in line] for line in stamps] == [
        [f"ready-{name}" for name in line.split()] for line in installed[1::2]
    ]
