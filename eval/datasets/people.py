"""Questions as people ask them, labeled by the pages and pairs of MedQuAD that answer them.

for asked in people("validation"): asked.question, asked.pages, asked.pairs, asked.covered
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from configs.errors import UserError

PEOPLE = Path(__file__).parent / "questions" / "people.jsonl"


@dataclass(frozen=True, slots=True)
class Person:
    """A question and its labels: ids of the pages on its topic, and of the pairs that answer it (none: not covered)."""

    id: str
    question: str
    form: str
    topic: str
    pages: frozenset[str]
    pairs: frozenset[str]
    aspect: str
    covered: bool


def people(part: Literal["train", "validation", "test"], path: Path = PEOPLE) -> list[Person]:
    """The questions of one part. Raises UserError for a file that cannot be read."""
    found = []
    try:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if row.pop("part") == part:
                pages, pairs = frozenset(row.pop("pages")), frozenset(row.pop("pairs"))
                found.append(Person(pages=pages, pairs=pairs, **row))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as questions ({error})") from None
    return found


def page_of(pair_id: str) -> str:
    """The page of a pair's id: `NIDDK/0000203` of `NIDDK/0000203-10`."""
    return pair_id.rsplit("-", 1)[0]
