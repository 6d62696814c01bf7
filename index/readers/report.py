"""What happened while a corpus was read and cleaned: counts, and the names of what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

NAMED = 50
"""So many skipped files or rows are named; the rest are only counted, or one bad dump would fill the screen."""


@dataclass
class ReadReport:
    """Counts of one read. `read` = `unanswered` + `answered`; `answered` - the drops below it = `kept`."""

    files: int = 0
    skipped: int = 0
    skipped_names: list[str] = field(default_factory=list)
    read: int = 0
    unanswered: int = 0
    left_out: int = 0
    answered: int = 0
    empty: int = 0
    too_short: int = 0
    too_long: int = 0
    duplicates: int = 0
    emails: int = 0
    phones: int = 0
    kept: int = 0
    answered_by_source: Counter[str] = field(default_factory=Counter)

    def skip(self, name: str, reason: object) -> None:
        """Count one broken file or row, and name it while there is room."""
        self.skipped += 1
        if len(self.skipped_names) < NAMED:
            self.skipped_names.append(f"{name}: {' '.join(str(reason).split())[:200]}")

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return asdict(self) | {"answered_by_source": dict(self.answered_by_source)}

    def lines(self) -> list[str]:
        """The report as a person reads it, a line for each thing that happened."""
        said = [f"{self.answered:,} answered pairs in {self.files:,} files; {self.kept:,} kept"]
        for count, what in (
            (self.unanswered, "questions without an answer"),
            (self.left_out, "rows left out by the column map"),
            (self.duplicates, "exact duplicates merged"),
            (self.empty, "empty after cleaning"),
            (self.too_short, "answers under the length limit"),
            (self.too_long, "answers over the length limit"),
            (self.emails, "e-mail addresses replaced"),
            (self.phones, "telephone numbers replaced"),
            (self.skipped, "broken files or rows skipped"),
        ):
            if count:
                said.append(f"{count:,} {what}")
        said += [f"  skipped {name}" for name in self.skipped_names]
        if self.skipped > len(self.skipped_names):
            said.append(f"  and {self.skipped - len(self.skipped_names):,} more")
        return said
