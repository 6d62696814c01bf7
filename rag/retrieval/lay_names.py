"""Names that people use and pages do not: the medical name is searched beside them.

with_medical_names("is lockjaw deadly")   ->   Corrected("is lockjaw (tetanus) deadly", (("lockjaw", "tetanus"),))
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

from rag.retrieval.spelling import Corrected

TABLE = Path(__file__).with_name("lay_names.toml")


def with_medical_names(text: str) -> Corrected:
    """The text with the medical name in brackets behind each lay name that it uses and does not explain itself."""
    names, pattern = _table()
    changes: list[tuple[str, str]] = []

    def explained(match: re.Match[str]) -> str:
        medical = names[match.group(1).lower().replace("’", "'")]
        if medical.lower() in text.lower():
            return match.group()
        changes.append((match.group(), medical))
        return f"{match.group()} ({medical})"

    read = pattern.sub(explained, text)
    return Corrected(read, tuple(changes))


@cache
def _table() -> tuple[dict[str, str], re.Pattern[str]]:
    names: dict[str, str] = tomllib.loads(TABLE.read_text("utf-8"))
    # The longest first: "blood clot in the lung" before "blood clot".
    parts = "|".join(re.escape(name).replace("'", "['’]?") for name in sorted(names, key=len, reverse=True))
    spelled = {name.replace("'", ""): medical for name, medical in names.items()}
    return {**spelled, **names}, re.compile(rf"\b({parts})\b", re.IGNORECASE)
