"""Messages with the category of emergency that they are, or none, by part: `emergencies.jsonl` of `eval/datasets`."""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).parents[3] / "eval" / "datasets" / "questions" / "emergencies.jsonl"
ROWS = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]


def part(name: str) -> list[tuple[str, str | None]]:
    """The messages of one part with their categories."""
    return [(row["message"], row["category"]) for row in ROWS if row["part"] == name]


SEEN, SECOND, THIRD, HELD_OUT = part("seen"), part("second"), part("third"), part("held-out")
