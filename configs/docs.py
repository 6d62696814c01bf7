"""Write the pages that are made from the code: `python -m configs.docs` (or `medcite docs`, or `make docs`).

docs/commands.md        every command and its options, from the parsers
docs/settings.md        every field of a profile and of a recipe, from the pydantic models
docs/architecture.svg   rooms, their folders and what they import, from the syntax trees
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from configs import ROOT, cli, entry, files
from configs.errors import UserError, run

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

MADE = "<!-- Made by `make docs`; change the code, not this page. -->"


def parsers(name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """What is typed after `medcite`, `name` and perhaps further words, and the parser that reads what comes then.

    The module of a command has `parser()`. Where first words choose one of several commands, it has also `COMMANDS`,
    by those words, the first for none, and its `parser` is given them, and an empty environment.
    """
    room = import_module(cli.COMMANDS[name].module)
    if hasattr(room, "__path__"):
        room = import_module(f"{room.__name__}.__main__")
    further = list(getattr(room, "COMMANDS", ()))
    if not further:
        yield name, room.parser()
    for words in further:
        yield name if words == further[0] else f"{name} {words}", room.parser(words, {})


def commands_page() -> str:
    """docs/commands.md."""
    said = "`medcite COMMAND --help` prints the same. `python -m ROOM` runs a command without the console script."
    lines = ["# Commands", "", MADE, "", said, ""]
    lines += [
        *_table(
            ("command", "what it does", "the same as"),
            [
                (f"[`medcite {name}`](#medcite-{name})", one.does, f"`python -m {' '.join((one.module, *one.words))}`")
                for name, one in cli.COMMANDS.items()
                if one.does
            ],
        ),
        "",
    ]
    for name, command in cli.COMMANDS.items():
        if command.does:
            for words, one in parsers(name):
                lines += _section(one, f"medcite {words}", len(words.split()) + 1)
    return "\n".join(lines).rstrip() + "\n"


def _section(parser: argparse.ArgumentParser, title: str, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {title}", "")
    if parser.description:
        yield from (_sentence(parser.description), "")
    actions = [one for one in parser._actions if not isinstance(one, argparse._HelpAction | argparse._SubParsersAction)]
    if actions:
        rows = [(_usage(one), _sentence((one.help or "").replace("%%", "%"))) for one in actions]
        yield from (*_table(("argument", "meaning"), rows), "")
    if parser.epilog:
        yield from (_sentence(parser.epilog), "")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _section(inner, f"{title} {name}", level + 1)


def _usage(action: argparse.Action) -> str:
    """An argument as it is typed: its names, and what stands for its value."""
    value = action.metavar if isinstance(action.metavar, str) else ""
    if not value and action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        return f"`{value or action.dest}`"
    if action.nargs != 0 and not value:
        value = action.dest.upper()
    return f"`{', '.join(action.option_strings)}{f' {value}' if action.nargs != 0 else ''}`"


def settings_page() -> str:
    """docs/settings.md."""
    from configs.recipes import Recipe
    from configs.schema import Profile

    lines = ["# Settings", "", MADE, ""]
    lines += [
        "A profile is a TOML file in `configs/profiles/`; one field is overridden by `--set SECTION.KEY=VALUE`. "
        "A recipe is one in `configs/recipes/`; one field is overridden by `--recipe-set SECTION.KEY=VALUE`. "
        "Unknown keys and values out of range are refused by name.",
        "",
        "## Profiles",
        "",
        *_model(Profile, 3),
        "## Recipes",
        "",
        *_model(Recipe, 3),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _model(model: type[BaseModel], level: int) -> Iterator[str]:
    """A table of the model's plain fields, then one for each of its sections."""
    from pydantic import BaseModel

    sections = {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    rows = [
        (f"`{name}`", _type(field.annotation), _default(field), field.description or "", _allowed(field))
        for name, field in model.model_fields.items()
        if name not in sections
    ]
    if rows:
        yield from (*_table(("field", "type", "default", "meaning", "allowed"), rows), "")
    for name, section in sections.items():
        assert section is not None
        yield from (f"{'#' * level} `{name}`", "", " ".join((section.__doc__ or "").split()), "")
        yield from _model(section, level + 1)


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return ", or ".join("none" if one is NoneType else _type(one) for one in inner)
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**must be given**"
    value = field.default
    if value is None or value == "" or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(field: FieldInfo) -> str:
    """The limits of a field: of its own, and of an annotated type."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    metadata = [*field.metadata]
    found = [
        f"{sign} {getattr(limit, name):,}" for limit in metadata for name, sign in signs.items() if hasattr(limit, name)
    ]
    return ", ".join(found)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _sentence(text: str) -> str:
    return " ".join(text.split())


def pages() -> dict[str, str]:
    """Every page that is made, by its name under docs/."""
    from configs import drawing

    return {"commands.md": commands_page(), "settings.md": settings_page(), "architecture.svg": drawing.svg(ROOT)}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(
        prog=entry.prog("configs.docs"), description="Write the pages under docs/ that are made from the code."
    )
    result.add_argument("--out", type=Path, metavar="FOLDER", help="where (default: docs/ in the checkout)")
    result.add_argument("--check", action="store_true", help="write nothing; exit code 2 where a page is stale")
    return result


def main() -> int:
    """Write the pages, or with `--check` say which are stale."""
    args = parser().parse_args()
    folder = args.out or ROOT / "docs"
    made = pages()
    if args.check:
        stale = [name for name, text in made.items() if not _same(folder / name, text)]
        if stale:
            raise UserError(f"{folder}: {', '.join(stale)} are stale; run: make docs")
        return 0
    for name, text in made.items():
        with files.said(folder):
            files.write(folder / name, text)
        print(folder / name)
    return 0


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text


if __name__ == "__main__":
    run(main)
