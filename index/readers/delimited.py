"""Rows of a CSV or TSV stream, each with the physical lines it stands on; one broken quotation mark costs one row.

Quoting is RFC 4180's: a cell that begins with a quotation mark ends at the next single one, which a delimiter or the
line's end must follow. A record that keeps to it and has a fitting number of cells is taken as it is, with whatever
line ends and delimiters stand inside its quotes. Otherwise its first line is read with the mark taken for text, and
strict reading goes on with the next line, so that the rows after an unclosed mark are not swallowed.

One exception to RFC 4180: a well-formed record of which every line reads as a row by itself, and every line after
the first asks something in a cell before its last, is taken for rows between two stray marks.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from configs.errors import UserError

MAX_RECORD = 2**20
"""Characters over which a quoted cell may run on past its line. An unclosed mark is looked past for no further."""


@dataclass(frozen=True)
class Record:
    """One record. `problem` says why its cells cannot be used; `mended` how they were read in spite of a fault."""

    cells: list[str]
    first: int
    last: int
    problem: str = ""
    mended: str = ""

    @property
    def place(self) -> str:
        """`line 3` or `lines 3-5`, counted as an editor does."""
        return f"line {self.first}" if self.first == self.last else f"lines {self.first}-{self.last}"


class Delimited:
    """A delimited text's records, streamed: at most `MAX_RECORD` characters are held beside the current line."""

    def __init__(self, stream: Iterable[str], delimiter: str) -> None:
        """`stream` gives physical lines with their ends, as a file opened with `newline=""` does."""
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # `MAX_RECORD` is what bounds a cell
        self.lines = _Lines(stream)
        self.delimiter = delimiter
        mark = re.escape(delimiter)
        # A mark inside a quoted cell is text where other text stands on both sides of it.
        inner = rf'[^"]|""|(?<!{mark})(?<!^)"(?!{mark}|\Z)'
        self._cell = re.compile(rf'"((?:{inner})*+)"(?={mark}|\Z)|[^{mark}]*+', re.MULTILINE)
        self._opens = re.compile(rf'(?:^|{mark})"', re.MULTILINE)
        self.width = 0
        self.least = 0
        self.widths: set[int] = set()

    def header(self) -> list[str]:
        """The first record that is not blank; empty for an empty text. Raises UserError for broken quotation marks."""
        while True:
            cells = self._strict()
            if cells is None and self.lines.taken:
                raise UserError(f"line {self.lines.first}, the header, has a quotation mark that is not closed")
            if cells is None or not _blank(cells):
                return cells or []

    def rows(self, width: int, least: int) -> Iterator[Record]:
        """The records after the header, blank ones left out.

        `width` is the header's number of cells. A row may have fewer, but not less than `least`, and it may have
        more where the cells beyond are empty.
        """
        self.width, self.least, self.widths = width, least, {width}
        while True:
            cells = self._strict()
            lines, first = self.lines.taken, self.lines.first
            if not lines:
                return
            last = first + len(lines) - 1
            if cells is not None and not self._swallowed(lines, self._fits(cells)):
                if _blank(cells):
                    continue
                if self._fits(cells):
                    self.widths.add(len(cells))
                    yield Record(cells, first, last)
                else:
                    yield Record(cells, first, last, problem=f"{len(cells)} cells for {width} columns")
                continue
            self.lines.back(lines[1:])
            yield self._mended(lines[0], first)

    def _strict(self) -> list[str] | None:
        """The next record by RFC 4180; None where its quoting is broken, and where nothing is left to take."""
        self.lines.start()
        try:
            return next(csv.reader(self.lines, delimiter=self.delimiter, strict=True), None)
        except csv.Error:
            return None

    def _fits(self, cells: list[str]) -> bool:
        return self.least <= len(cells) and _blank(cells[self.width :])

    def _swallowed(self, lines: list[str], fits: bool) -> bool:
        """Whether a well-formed record of several lines is rows between two stray marks rather than one long cell.

        Every line must read as a row by itself. That alone happens in answers too ("Rest, fluids" in two columns):
        the lines must also ask something in a cell before their last, or the record must not fit as it stands.
        """
        if len(lines) < 2 or not all(self._is_row(line) for line in lines if line.strip()):
            return False
        return (not fits and len(lines) > 2) or all(self._asks(line) for line in lines[1:] if line.strip())

    def _asks(self, line: str) -> bool:
        return any(cell.rstrip(' "').endswith("?") for cell in (self._loose(line)[0] or [])[:-1])

    def _is_row(self, line: str) -> bool:
        """Whether a line reads as a row by itself, with a number of cells that whole rows of this table have."""
        cells, _ = self._loose(line)
        return cells is not None and (len(cells) in self.widths or (len(cells) > self.width and self._fits(cells)))

    def _mended(self, line: str, first: int) -> Record:
        """The row that begins on a line with broken quotation marks.

        Where one is left open, the lines after it that can be no row of their own are the rest of its text.
        """
        cells, unclosed = self._loose(line)
        last = first
        if cells is None or unclosed:
            block = [line, *self._continued(len(line))]
            last += len(block) - 1
            cells, _ = self._loose("".join(block))
        if cells is None:
            return Record([], first, last, problem="a quotation mark is out of place, and the cells cannot be told")
        return Record(cells, first, last, mended="a quotation mark is out of place: read as text")

    def _continued(self, size: int) -> list[str]:
        block: list[str] = []
        pending: list[str] = []  # blank lines, which belong to the text only if more of it follows
        for line in self.lines.ahead():
            pending.append(line)
            size += len(line)
            if size > MAX_RECORD or self._opens.search(line) or (line.strip() and self._is_row(line)):
                break
            if line.strip():
                block += pending
                pending = []
        self.lines.back(pending)
        return block

    def _loose(self, text: str) -> tuple[list[str] | None, bool]:
        """The cells of a text whose quotation marks may be broken, and whether one of them is left open.

        None where the number of cells does not fit. An open mark either is text, or quotes all that follows it.
        """
        text = text.rstrip("\r\n")
        cells: list[str] = []
        rest: list[str] = []
        at, unclosed, alone = 0, False, False
        # A line of far more cells than there are columns is no row; what is left of it may be long.
        while len(cells) <= 2 * self.width + 100:
            found = self._cell.match(text, at)
            assert found is not None  # the pattern also matches nothing
            quoted = found[1]
            if found[0].startswith('"'):
                unclosed = unclosed or quoted is None
                if not rest and (quoted is None or '"' in quoted.replace('""', "")):
                    tail = text[at + 1 :]
                    alone = '"' not in tail.removesuffix('"').replace('""', "")
                    # With other marks about, as in `"Croup" is`, the first one is text unless the last one ends it.
                    tail = tail.removesuffix('"') if alone or tail.endswith('"') else text[at:]
                    rest = [*cells, tail.replace('""', '"')]
            cells.append(found[0] if quoted is None else quoted.replace('""', '"'))
            at = found.end() + len(self.delimiter)
            if found.end() == len(text):
                break
        else:
            cells = []
        ways = [way for way in ((rest, cells) if alone else (cells, rest)) if way]
        best = [way for way in ways if len(way) == self.width] + [way for way in ways if self._fits(way)]
        return (best[0] if best else None), unclosed


def _blank(cells: list[str]) -> bool:
    return not any(cell.strip() for cell in cells)


class _Lines:
    """Physical lines for `csv.reader`, with those of the current record kept, and a way to give lines back."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._stream = iter(stream)
        self._given_back: deque[str] = deque()
        self._read = 0
        self._size = 0
        self.taken: list[str] = []

    @property
    def first(self) -> int:
        """The number of the current record's first line, from 1."""
        return self._read - len(self.taken) + 1

    def start(self) -> None:
        """Begin a record."""
        self.taken, self._size = [], 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._size > MAX_RECORD:
            raise StopIteration  # inside a quoted cell: `csv.reader` finds its end missing
        line = self._next()
        self.taken.append(line)
        self._size += len(line)
        return line

    def _next(self) -> str:
        line = self._given_back.popleft() if self._given_back else next(self._stream)
        self._read += 1
        return line

    def ahead(self) -> Iterator[str]:
        """Lines one by one beyond the current record; what is not wanted has to be given back."""
        while True:
            try:
                line = self._next()
            except StopIteration:
                return
            yield line

    def back(self, lines: list[str]) -> None:
        """Give back the lines read last, in their order."""
        self._given_back.extendleft(reversed(lines))
        self._read -= len(lines)
