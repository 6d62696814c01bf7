"""`python -m eval bench` as a user types it: one command, every part's figures, and what it says where a part fails."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from eval.bench.run import PARTS
from tests.inprocess import run_room

pytestmark = pytest.mark.weights


@pytest.fixture
def data(tmp_path: Path, weights: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """A data folder whose index holds six long answers of a table beside it."""
    with (tmp_path / "own.csv").open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["question", "answer"])
        for name in ("gout", "mumps", "asthma", "rickets", "scurvy", "croup"):
            rows.writerow([f"What is {name}?", " ".join(f"Day {day} of {name} is mild or so." for day in range(20))])
    words = ["build", "--corpus", str(tmp_path / "own.csv")]
    done = run_room("index", words, {"MEDCITE_DATA": str(tmp_path / "data")}, monkeypatch, capfd)
    assert done.returncode == 0, done.stderr
    return tmp_path / "data"


def test_parts_are_measured_and_one_that_fails_stops_no_other(
    data: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def bench(*words: str) -> tuple[int, str, str]:
        done = run_room("eval", ["bench", *words], {"MEDCITE_DATA": str(data)}, monkeypatch, capfd)
        return done.returncode, done.stdout, done.stderr

    code, shown, said = bench("indexing", "attribution", "-n", "3", "--out", str(data / "first.json"))
    assert code == 0, said
    found = json.loads((data / "first.json").read_text("utf-8"))
    assert found["index"]["pairs"] == 6
    assert found["indexing"]["pairs"] == 3  # of the index's own corpus
    assert 0 < found["indexing"]["rebuild_share"] < 1
    assert found["attribution"]["n"] == 3
    assert f"{found['attribution']['p50_ms']:.4g}" in shown
    assert sorted(path.name for path in data.iterdir() if path.is_dir()) == ["cache", "index"]  # no scratch is left
    (data.parent / "own.csv").unlink()
    code, shown, said = bench("indexing", "attribution", "-n", "3", "--out", str(data / "second.json"))
    found = json.loads((data / "second.json").read_text("utf-8"))
    assert code == 2
    assert "own.csv" in found["indexing"]["failed"]
    assert found["attribution"]["n"] == 3
    assert "Traceback" not in said
    for words in (("speed",), ("attribution", "-n", "0")):
        code, _, said = bench(*words)
        assert code == 2
        assert said.strip().splitlines()[-1].startswith("medcite: ")


def test_every_part_has_its_function() -> None:
    from importlib import import_module

    for place, _ in PARTS.values():
        module, _, function = place.partition(".")
        assert callable(getattr(import_module(f"eval.bench.{module}"), function))


def test_a_measuring_process_that_ends_is_said(tmp_path: Path) -> None:
    from configs import load
    from configs.errors import UserError
    from eval.bench.generation import _plain

    profile, _ = load("embedded", ["generator.model=/no/such/folder"])
    with _plain(profile, tmp_path) as ask, pytest.raises(UserError, match="has ended"):
        ask([])
