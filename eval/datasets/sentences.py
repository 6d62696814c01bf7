"""A reader's labels of single sentences, for people's questions: by `questions/README.md`.

for one in labeled(): one.id, one.labels[digest(text)]
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from configs import files
from configs.errors import UserError

SENTENCES = Path(__file__).parent / "questions" / "sentences.jsonl"
BESIDE, BELONGS, ANSWERS = 0, 1, 2
"""A sentence beside the question, one that belongs into its answer, and one that answers it."""


@dataclass(frozen=True, slots=True)
class Labeled:
    """The id of a question in `people.jsonl`, and labels by the `digest` of a sentence."""

    id: str
    labels: dict[str, int]


def digest(text: str) -> str:
    """What a sentence is known by: its text is the sources' and not kept."""
    return files.digest(text)[:12]


def labeled(path: Path = SENTENCES) -> list[Labeled]:
    """All labels. Raises UserError for a file that cannot be read or holds another label."""
    try:
        found = [Labeled(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
        labels = {label for one in found for label in one.labels.values()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read as labels ({error})") from None
    if not labels <= {BESIDE, BELONGS, ANSWERS}:
        raise UserError(f"{path}: a label is {BESIDE}, {BELONGS} or {ANSWERS}")
    return found
