"""What happened while a corpus was read and cleaned: counts, and the names of what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

NAMED = 50
"""So many skipped files or rows are named; the rest are only counted, or one bad dump would fill the screen."""


@dataclass
class ReadReport:
    """Counts of one read. No row goes without being in one of them:

    - rows of the input = `read` + broken rows, which `skipped` counts together with broken files
    - `read` = `left_out` + `unanswered` + `answered`
    - `answered` = `kept` + `duplicates` + `empty` + `too_short` + `too_long`

    Broken and empty rows are also named; `mended` rows are read in spite of a fault and named too. `passed_over`
    counts files beside those that were read.
    """

    files: int = 0
    passed_over: int = 0
    passed_over_names: list[str] = field(default_factory=list)
    skipped: int = 0
    skipped_names: list[str] = field(default_factory=list)
    mended: int = 0
    mended_names: list[str] = field(default_factory=list)
    read: int = 0
    unanswered: int = 0
    left_out: int = 0
    answered: int = 0
    empty: int = 0
    empty_names: list[str] = field(default_factory=list)
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
        _name(self.skipped_names, name, reason)

    def mend(self, name: str, how: object) -> None:
        """Count one row that was read in spite of a fault, and name it while there is room."""
        self.mended += 1
        _name(self.mended_names, name, how)

    def pass_over(self, name: str, reason: object) -> None:
        """Count one file that was not opened, and name it while there is room."""
        self.passed_over += 1
        _name(self.passed_over_names, name, reason)

    def drop_empty(self, name: str, reason: object) -> None:
        """Count one answered pair without words to show, and name it while there is room."""
        self.empty += 1
        _name(self.empty_names, name, reason)

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
            (self.mended, "rows mended"),
            (self.skipped, "broken files or rows skipped"),
            (self.passed_over, "files passed over"),
        ):
            if count:
                said.append(f"{count:,} {what}")
        for word, count, names in (
            ("empty", self.empty, self.empty_names),
            ("mended", self.mended, self.mended_names),
            ("skipped", self.skipped, self.skipped_names),
            ("passed over", self.passed_over, self.passed_over_names),
        ):
            said += [f"  {word} {name}" for name in names]
            if count > len(names):
                said.append(f"  and {count - len(names):,} more {word}")
        return said


def _name(names: list[str], name: str, reason: object) -> None:
    if len(names) < NAMED:
        names.append(f"{name}: {' '.join(str(reason).split())[:200]}")
