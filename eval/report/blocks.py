"""What a report is made of, before it is HTML or Markdown: sections of text, tables, plots and examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is printed: the value, its 95% interval and a remark under it."""

    value: str
    interval: str = ""
    remark: str = ""


Entry = str | Cell
Row = tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of a table under one heading (no heading: the table has a single group)."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `name` is unique in the report, `grouping` says what the groups' titles are of.

    The first entry of a row is its heading.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    grouping: str = ""

    @property
    def rows(self) -> list[Row]:
        """All rows, whatever their group."""
        return [row for group in self.groups for row in group.rows]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. `kind`: plain, lead (the report's first sentence), note, warning or code."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing of a plot; `svg` draws it as an inline `<svg>` element, in a tenth of a second."""

    title: str
    description: str
    svg: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Plot:
    """Drawings with a caption, and the table that says the same in figures."""

    caption: str
    panels: tuple[Panel, ...]
    table: Table


@dataclass(frozen=True, slots=True)
class Examples:
    """Questions with the answers of several modes side by side, as `results["examples"]` has them."""

    items: tuple[dict[str, Any], ...]
    corpus: str


Block = Text | Heading | Table | Plot | Examples


@dataclass(frozen=True, slots=True)
class Section:
    """A section; the first of a report has no title of its own."""

    name: str
    title: str
    blocks: list[Block] = field(default_factory=list)


def table(
    name: str, caption: str, columns: tuple[str, ...], rows: list[Row] | dict[str, list[Row]], grouping: str = ""
) -> Table:
    """A table of plain rows, or of rows by group; groups without rows are left out."""
    groups = rows if isinstance(rows, dict) else {"": rows}
    kept = tuple(Group(title, tuple(found)) for title, found in groups.items() if found)
    return Table(name, caption, columns, kept, grouping)
