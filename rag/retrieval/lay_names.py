"""Names that people use and pages do not: the medical name is searched beside them.

with_medical_names("is lockjaw deadly")   ->   Corrected("is lockjaw (tetanus) deadly", (("lockjaw", "tetanus"),))
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from rag.retrieval.spelling import Corrected

TABLE = Path(__file__).with_name("lay_names.toml")


def with_medical_names(text: str) -> Corrected:
    """The text with the medical name in brackets behind each lay name and abbreviation that it does not explain."""
    changes: list[tuple[str, str]] = []
    for names, pattern in _tables():
        if pattern.flags & re.IGNORECASE or not text.isupper():
            text = pattern.sub(_explaining(names, text, changes), text)
    return Corrected(text, tuple(changes))


def _explaining(names: dict[str, str], text: str, changes: list[tuple[str, str]]) -> Callable[[re.Match[str]], str]:
    def explained(match: re.Match[str]) -> str:
        said = match.group(1).replace("’", "'")
        medical = names[said] if said in names else names[said.lower()]
        if medical.lower() in text.lower() or any(medical == other for _, other in changes):
            return match.group()
        changes.append((match.group(), medical))
        return f"{match.group()} ({medical})"

    return explained


@cache
def _tables() -> list[tuple[dict[str, str], re.Pattern[str]]]:
    """Lay names in any case, then abbreviations in their own."""
    table: dict[str, dict[str, str]] = tomllib.loads(TABLE.read_text("utf-8"))
    found = []
    for kind, flags in (("names", re.IGNORECASE), ("abbreviations", re.NOFLAG)):
        names = table[kind]
        # The longest first: "blood clot in the lung" before "blood clot".
        parts = "|".join(re.escape(name).replace("'", "['’]?") for name in sorted(names, key=len, reverse=True))
        spelled = {name.replace("'", ""): medical for name, medical in names.items()}
        found.append(({**spelled, **names}, re.compile(rf"(?<![\w-])({parts})(?![\w-])", flags)))
    return found
