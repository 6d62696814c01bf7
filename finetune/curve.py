"""The loss curve of a run, as CSV and PNG."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from configs import files

COLUMNS = ("step", "epoch", "split", "loss", "perplexity", "tokens", "learning_rate")


def rows(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a logged step, train and validation, from a trainer's `log_history`."""
    found = []
    for entry in history:
        shared = {"step": entry.get("step"), "epoch": round(entry.get("epoch", 0), 4)}
        if "eval_loss" in entry:
            found.append(
                shared
                | {"split": "validation", "loss": entry["eval_loss"], "perplexity": entry.get("eval_perplexity", "")}
            )
        elif "loss" in entry:
            found.append(
                shared
                | {"split": "train", "loss": entry["loss"], "tokens": entry.get("tokens", "")}
                | {"learning_rate": entry.get("learning_rate", "")}
            )
    return found


def write(history: list[dict[str, Any]], folder: Path) -> None:
    """Write `loss.csv` and `loss.png` into `folder`, each whole or not at all."""
    table = rows(history)
    with files.aside(folder / "loss.csv") as new, new.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    plot(table, folder / "loss.png")


def plot(table: list[dict[str, Any]], path: Path) -> None:
    """Training loss (each step, faint, and its running mean) and validation loss by step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    train = [(row["step"], row["loss"]) for row in table if row["split"] == "train"]
    validation = [(row["step"], row["loss"]) for row in table if row["split"] == "validation"]
    if train:
        steps, losses = zip(*train, strict=True)
        width = max(1, len(losses) // 40)
        means = [
            sum(losses[max(0, i - width) : i + width + 1]) / len(losses[max(0, i - width) : i + width + 1])
            for i in range(len(losses))
        ]
        axes.plot(steps, losses, color="#9db8d2", linewidth=0.7)
        axes.plot(steps, means, color="#1f4e79", label="train")
    if validation:
        axes.plot(*zip(*validation, strict=True), "o-", color="#b3541e", label="validation")
    axes.set_xlabel("step")
    axes.set_ylabel("loss a completion token")
    if train or validation:
        axes.legend()
    axes.grid(alpha=0.3)
    with files.aside(path) as new:
        figure.savefig(new, dpi=120, format="png")
