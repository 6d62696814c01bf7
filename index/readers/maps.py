"""Column maps: which columns of a table are the question, the answer and their provenance.

A map is a TOML file (`configs/maps/NAME.toml`, or a user's own path). Every value is a template in which
`{column}` stands for that column's text: `question = "{instruction}\\n{input}"`. A column that may be absent can have
several names, `focus = "{focus|focus_area}"`: the first that is there and holds text, in any case, is taken.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from configs.errors import UserError

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "maps"
PLACE = re.compile(r"\{([^{}]+)\}")
NO_VALUE = frozenset({"nan", "null", "none", "n/a", "#n/a", "<na>"})
"""What programs write for an empty cell, in lower case. "NA" and "-" are left: they are also words of people."""


class ColumnMap(BaseModel):
    """One map. `question` and `answer` are required; the columns that other fields name may be absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    requires: tuple[str, ...] = ()
    """Columns that must be there for the map to be picked by itself, beside those of question and answer."""
    files: tuple[str, ...] = ()
    """Patterns of a path that decide between maps with the same columns."""
    question: str
    answer: str
    id: str = ""
    collection: str = ""
    document: str = ""
    question_id: str = ""
    question_type: str = ""
    focus: str = ""
    synonyms: str = ""
    cuis: str = ""
    semantic_types: str = ""
    semantic_group: str = ""
    source: str = ""
    url: str = ""
    separator: str = "|"
    """Between the values of a list column (synonyms, cuis, semantic_types)."""
    remove: tuple[str, ...] = ()
    """Values that say nothing, such as one instruction repeated in every row; read as empty."""
    where: dict[str, tuple[str, ...]] = {}
    """Column -> values (any case) of the rows that are read; the others are counted as left out."""
    deidentify: bool = False
    """Replace e-mail addresses and telephone numbers: for what people wrote to their doctor."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns without which the map cannot be used."""
        return tuple(dict.fromkeys([*PLACE.findall(self.question), *PLACE.findall(self.answer), *self.where]))

    def value(self, template: str, row: dict[str, Any]) -> str:
        """The template filled from a row; empty where one of its columns is absent or empty of text."""
        if not template:
            return ""
        names = _places(template)
        values = {name: next((text for cell in _cells(row, name) if (text := self._cell(cell))), "") for name in names}
        if names and not any(values.values()):
            return ""
        if names and template == f"{{{names[0]}}}":
            return values[names[0]].strip()
        return PLACE.sub(lambda place: values[place[1]], template).strip()

    def values(self, template: str, row: dict[str, Any]) -> tuple[str, ...]:
        """A list column: a real list, or text cut at the separator. Repeats and empty values go."""
        parts: list[str] = []
        for name in _places(template):
            for cell in _cells(row, name):
                listed = cell if isinstance(cell, (list, tuple)) else self._cell(cell).split(self.separator)
                parts += [" ".join(self._cell(part).split()) for part in listed]
        return tuple(dict.fromkeys(filter(None, parts)))

    def keeps(self, row: dict[str, Any]) -> bool:
        """Whether `where` lets the row through."""
        return all(
            self._text(row.get(column)).casefold() in {value.casefold() for value in wanted}
            for column, wanted in self.where.items()
        )

    def _cell(self, cell: Any) -> str:
        text = self._text(cell)
        return "" if text.casefold() in NO_VALUE else text

    def _text(self, cell: Any) -> str:
        if cell is None or cell != cell or is_object(cell):  # NaN, which pandas writes for an empty cell, is not itself
            return ""
        text = ", ".join(map(str, cell)) if isinstance(cell, (list, tuple)) else str(cell)
        text = text.strip()
        return "" if text in self.remove else text


@lru_cache(maxsize=256)
def _places(template: str) -> tuple[str, ...]:
    """The names in a template."""
    return tuple(PLACE.findall(template))


def is_object(cell: Any) -> bool:
    """Whether a cell holds named fields, or a list of such, rather than text."""
    return isinstance(cell, dict) or (isinstance(cell, (list, tuple)) and any(isinstance(part, dict) for part in cell))


def _cells(row: dict[str, Any], place: str) -> list[Any]:
    """What a row holds under the names of a place, `a|b`, in their order. One name alone is matched to the letter."""
    if place in row or "|" not in place:
        return [row.get(place)]
    return [row[column] for column in _columns(tuple(row), place)]


@lru_cache(maxsize=256)
def _columns(columns: tuple[str, ...], place: str) -> list[str]:
    return [column for name in place.split("|") for column in columns if _folded(column) == _folded(name)]


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def load(name: str) -> ColumnMap:
    """The shipped map of this name, or the map in a TOML file. Raises UserError for unknown names and keys."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(names())
        raise UserError(f"no column map {name!r}: give one of {known}, or the path of a TOML file")
    try:
        return ColumnMap(name=path.stem, **tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise UserError(f"column map {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"column map {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def names() -> list[str]:
    """The names of the maps in `configs/maps`."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def shipped() -> list[ColumnMap]:
    """Every map in `configs/maps`, by name."""
    return [load(name) for name in names()]


def choose(columns: Collection[str], path: Path, name: str | None) -> ColumnMap:
    """The named map, or the one shipped map that fits the columns best.

    The best fit is the map whose required columns are all there and are the most; between equals the path
    decides. Raises UserError that names what is missing and what is there.
    """
    present = ", ".join(columns) or "none"
    if name:
        column_map = load(name)
        missing = [column for column in column_map.needed if column not in columns]
        if missing:
            raise UserError(
                f"{path} lacks {', '.join(missing)}, which the column map {column_map.name!r} reads; it has: {present}"
            )
        return column_map
    maps = shipped()
    fitting = [one for one in maps if set(one.needed) | set(one.requires) <= set(columns)]
    if not fitting:
        wanted = "; ".join(f"{one.name}: {', '.join(dict.fromkeys([*one.needed, *one.requires]))}" for one in maps)
        raise UserError(
            f"{path} fits no column map: it has {present}; the maps need {wanted}. "
            "Rename the columns, or write a map and give it as PATH::MAP.toml"
        )
    most = max(len(set(one.needed) | set(one.requires)) for one in fitting)
    best = [one for one in fitting if len(set(one.needed) | set(one.requires)) == most]
    if len(best) > 1:
        where = "/".join(path.parts[-3:]).casefold()
        best = [one for one in best if any(fnmatch(where, pattern.casefold()) for pattern in one.files)] or best
    if len(best) > 1:
        names = ", ".join(one.name for one in best)
        raise UserError(f"{path} fits more than one column map ({names}): give one, as {path}::{best[0].name}")
    return best[0]
