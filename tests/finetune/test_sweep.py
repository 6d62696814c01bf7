"""Sweeps: a killed one goes on, a failed run is a row, the table says what was varied."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from configs.errors import UserError
from configs.recipes import Recipe
from finetune.sweep import Sweep, load_sweep, runs, sweep_all
from finetune.train import RecipeFailed

SWEEP = Sweep(name="test", recipe="exir", factors={"optimizer.learning_rate": [1e-3, 1e-4], "lora.r": [8, 4]})


class Trainer:
    """A stand-in for training whose loss the recipe decides; `stop_at` is the run at which it is killed."""

    def __init__(self, stop_at: int = 99) -> None:
        self.trained: list[Recipe] = []
        self.stop_at = stop_at

    def __call__(self, recipe: Recipe, work: Path, out: Path) -> dict[str, Any]:
        if len(self.trained) == self.stop_at:
            raise KeyboardInterrupt
        self.trained.append(recipe)
        out.mkdir(parents=True)
        if recipe.lora.r == 4:
            raise RecipeFailed("the loss at step 3 is not a number")
        loss = recipe.optimizer.learning_rate * 1000
        trained = {"validation": {"loss": loss, "perplexity": 2.7}, "steps": 5, "best_step": 5, "tokens": 9}
        return {"trained": trained | {"peak_memory_gb": 1.0}, "stand_ins": []}


def test_a_sweep_trains_each_run_once_and_tables_them(tmp_path: Path) -> None:
    trainer = Trainer()
    rows = sweep_all(SWEEP, runs(SWEEP), tmp_path, trainer)
    assert len(trainer.trained) == len(rows) == 3
    with (tmp_path / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["loss"] for row in table] == ["1.0", "0.1", ""]
    assert table[2]["failed"].startswith("the loss at step 3")
    assert "| learning_rate | r | loss |" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    again = Trainer()
    assert sweep_all(SWEEP, runs(SWEEP), tmp_path, again) == rows
    assert again.trained == []


def test_a_killed_sweep_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        sweep_all(SWEEP, runs(SWEEP), tmp_path, Trainer(stop_at=1))
    rest = Trainer()
    assert len(sweep_all(SWEEP, runs(SWEEP), tmp_path, rest)) == 3
    assert len(rest.trained) == 2


def test_a_full_disk_stops_a_sweep_and_is_no_result(tmp_path: Path) -> None:
    def full(recipe: Recipe, work: Path, out: Path) -> dict[str, Any]:
        raise UserError("the disk is full; free some space; run the same command again to go on")

    with pytest.raises(UserError, match="disk is full"):
        sweep_all(SWEEP, runs(SWEEP), tmp_path, full)
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("factors = {}", "at least one factor"),
        ('factors = {"lora.r" = []}', "at least one"),
        ("factor = 3", "factor"),
        ("factors = [", "not valid TOML"),
    ],
)
def test_a_wrong_sweep_is_refused_by_field(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        load_sweep(str(path))


def test_an_unknown_sweep_is_told_what_there_is() -> None:
    with pytest.raises(UserError, match=r"no sweep 'x'; there are: exir"):
        load_sweep("x")
