"""Verdicts of readers on answers to people's questions: does it answer? By `questions/README.md`, in two passes.

for one in readings(): one.id, one.answer, one.first, one.second
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from configs import files
from configs.errors import UserError

READINGS = Path(__file__).parent / "questions" / "readings.jsonl"
VERDICTS = ("yes", "in part", "no")


@dataclass(frozen=True, slots=True)
class Reading:
    """Two readers' verdicts on one answer: the question's id in `people.jsonl` and the `digest` of what was read."""

    id: str
    answer: str
    first: str
    second: str


def digest(text: str) -> str:
    """What an answer is known by: its text is the sources' and not kept."""
    return files.digest(text)[:16]


def readings(path: Path = READINGS) -> list[Reading]:
    """All verdicts. Raises UserError for a file that cannot be read or holds another verdict."""
    try:
        found = [Reading(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as verdicts ({error})") from None
    for number, one in enumerate(found, 1):
        if not {one.first, one.second} <= set(VERDICTS):
            raise UserError(f"{path}, line {number}: a verdict is one of {', '.join(VERDICTS)}")
    return found
