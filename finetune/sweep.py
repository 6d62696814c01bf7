"""Many short runs that differ in one thing at a time, or in all combinations: `python -m finetune sweep NAME`.

A sweep is a TOML file: a recipe, overrides that all its runs share, and factors with their values. Finished runs are
kept, so that an interrupted sweep is resumed; the table (CSV, Markdown) and the plot grow with each run.
"""

from __future__ import annotations

import csv
import gc
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from configs import files, load_as, stems
from configs.recipes import Recipe, load_recipe
from configs.schema import Section
from finetune.train import RecipeFailed

SWEEPS = Path(__file__).parent.parent / "configs" / "sweeps"
RESULTS = ("loss", "perplexity", "closed", "grounded", "best_step", "steps", "tokens", "peak_memory_gb")


class Sweep(Section):
    """What is varied, and what is not."""

    name: str
    description: str = ""
    origin: str = ""
    recipe: str = "grounded"
    how: Literal["one-at-a-time", "grid"] = "one-at-a-time"
    shared: dict[str, Any] = Field(default_factory=dict, description="recipe fields that all runs take")
    factors: dict[str, list[Any]] = Field(description="recipe fields and their values; the first is the reference")

    @field_validator("factors")
    @classmethod
    def _some(cls, factors: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if not factors or not all(factors.values()):
            raise ValueError("give at least one factor, each with at least one value")
        return factors


@dataclass(frozen=True)
class Run:
    """One run of a sweep: the values of its factors, by field, and its recipe."""

    values: Mapping[str, Any]
    recipe: Recipe

    @property
    def id(self) -> str:
        """A name that only the recipe decides."""
        return files.digest(self.recipe.model_dump_json())[:12]


def sweep_names() -> list[str]:
    """The sweeps that ship."""
    return stems(SWEEPS)


def load_sweep(name: str) -> Sweep:
    """A sweep by name or path. Raises UserError for one that is unknown or has a wrong field."""
    return load_as(Sweep, name, SWEEPS, "sweep")


def runs(sweep: Sweep, overrides: Sequence[str] = ()) -> list[Run]:
    """The sweep's runs without repeats, the reference first. Raises UserError for a field no recipe has."""
    fields = list(sweep.factors)
    reference = {field: values[0] for field, values in sweep.factors.items()}
    if sweep.how == "grid":
        chosen = [dict(zip(fields, values, strict=True)) for values in itertools.product(*sweep.factors.values())]
    else:
        chosen = [reference] + [
            reference | {field: value} for field, values in sweep.factors.items() for value in values[1:]
        ]
    found: dict[str, Run] = {}
    for values in chosen:
        settings = [f"{field}={_toml(value)}" for field, value in {**sweep.shared, **values}.items()]
        run = Run(values, load_recipe(sweep.recipe, [*settings, *overrides]))
        found.setdefault(run.id, run)
    return list(found.values())


def sweep_all(
    sweep: Sweep, chosen: Sequence[Run], folder: Path, train: Callable[[Recipe, Path, Path], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Train what is not yet trained, and write the table and the plot after each; return the table's rows.

    `train(recipe, work, out)` runs one and returns its manifest. A run that fails is a row with its reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for number, run in enumerate(chosen, 1):
        path = folder / f"{run.id}.json"
        if not path.exists():
            said = ", ".join(f"{field.rpartition('.')[2]} {value}" for field, value in run.values.items())
            print(f"run {number} of {len(chosen)}: {said}", file=sys.stderr, flush=True)
            result = _result(run, folder, train)
            with files.said(path):
                files.write_json(path, result)
        rows.append(json.loads(path.read_text("utf-8")))
        with files.said(folder):
            table(sweep, rows, folder)
    return rows


def _result(run: Run, folder: Path, train: Callable[[Recipe, Path, Path], dict[str, Any]]) -> dict[str, Any]:
    work, out = folder / run.id, folder / f"{run.id}-adapter"
    try:
        manifest = train(run.recipe, work, out)
    except RecipeFailed as error:  # anything else is not the recipe's fault: stop, and go on later
        gc.collect()
        return {"values": dict(run.values), "failed": str(error)}
    trained = manifest["trained"]
    result = {"values": dict(run.values), **trained["validation"]}
    result |= {name: trained[name] for name in RESULTS if name in trained}
    result["stand_ins"] = manifest["stand_ins"]
    shutil.rmtree(work, ignore_errors=True)  # the figures are what a sweep is for
    shutil.rmtree(out, ignore_errors=True)
    return result


def table(sweep: Sweep, rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write `table.csv`, `table.md` and `plot.png`."""
    fields = list(sweep.factors)
    columns = [*fields, *RESULTS, "failed"]
    flat = [{**row["values"], **{name: row.get(name, "") for name in (*RESULTS, "failed")}} for row in rows]
    with files.aside(folder / "table.csv") as new, new.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
    lines = ["| " + " | ".join(name.rpartition(".")[2] for name in columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_shown(row[name]) for name in columns) + " |" for row in flat]
    files.write(folder / "table.md", "\n".join(lines) + "\n")
    _plot(sweep, rows, folder / "plot.png")


def _plot(sweep: Sweep, rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Validation loss by value, a panel a factor; for a grid, over all runs that have the value."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(sweep.factors), 3.2), layout="constrained")
    panels = figure.subplots(1, len(sweep.factors), squeeze=False, sharey=True)[0]
    reference = {field: values[0] for field, values in sweep.factors.items()}
    for panel, (field, given) in zip(panels, sweep.factors.items(), strict=True):
        values = sorted(given) if all(type(value) in (int, float) for value in given) else list(given)
        for row in rows:
            others = all(row["values"][name] == reference[name] for name in reference if name != field)
            if "loss" in row and (sweep.how == "grid" or others):
                panel.plot([values.index(row["values"][field])], [row["loss"]], "o", color="#1f4e79")
        panel.set_xticks(range(len(values)), [_shown(value) for value in values], rotation=30, ha="right")
        panel.set_title(field.rpartition(".")[2])
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("validation loss")
    with files.aside(path) as new:
        figure.savefig(new, dpi=110, format="png")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str | list) else repr(value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
