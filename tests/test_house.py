"""The rooms keep their walls: who may import whom, no circles, and no module too long to read at once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "configs": set[str](),
    "index": {"configs"},
    "rag": {"configs", "index"},
    "finetune": {"configs", "index", "rag"},
    "app": {"configs", "index", "rag"},
    "eval": {"configs", "index", "rag", "finetune"},
}
"""The rooms of CONTRIBUTING.md, by room that imports. Nobody imports `app`."""
MAX_LINES = 400
LONGER: dict[str, int] = {}
"""Modules past MAX_LINES and the lines they have: a ceiling to lower, never to raise. No module joins them."""


@dataclass(frozen=True)
class Import:
    """A module names another one; `at_once`: it is imported as soon as the module is."""

    module: str
    target: str
    line: int
    at_once: bool


def modules(root: Path) -> dict[str, Path]:
    """Every module of the rooms by its dotted name, a package by its folder's."""
    found = {}
    for room in MAY_IMPORT:
        for path in sorted((root / room).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(known: dict[str, Path]) -> list[Import]:
    """All imports of the modules among themselves: at the top, in functions and for type checkers."""
    return [found for module, path in known.items() for found in _of(module, path, known)]


def _of(module: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    tree = ast.parse(path.read_text("utf-8"))
    later: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or (
            isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        ):
            later |= set(ast.walk(node))
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from rag import prompt` is about the module rag.prompt, `from configs import load` about configs.
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
        for name in dict.fromkeys(names):
            if name in known and name != module:
                yield Import(module, name, node.lineno, node not in later)


def circle(edges: dict[str, set[str]]) -> list[str]:
    """The nodes of a circle, the first also last; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def graph(pairs: Iterator[tuple[str, str]]) -> dict[str, set[str]]:
    """Edges by their start, those from a node to itself left out."""
    edges: dict[str, set[str]] = {}
    for one, other in pairs:
        if one != other:
            edges.setdefault(one, set()).add(other)
    return edges


def folders_of(room: str, found: list[Import], known: dict[str, Path]) -> dict[str, set[str]]:
    """Which sub-folders of a room need which others, also by way of the files that lie in the open beside them."""

    def folder(module: str) -> str:
        parts = module.split(".")
        inside = len(parts) > 2 or known[module].name == "__init__.py"
        return ".".join(parts[:2]) if len(parts) > 1 and inside else ""

    inner = [one for one in found if one.module.startswith(f"{room}.") and one.target.startswith(f"{room}.")]
    onward = graph((one.module, one.target) for one in inner if not folder(one.module))
    edges: dict[str, set[str]] = {}
    for one in inner:
        start, seen, todo = folder(one.module), set[str](), [one.target]
        while start and todo:
            module = todo.pop()
            if module in seen:
                continue
            seen.add(module)
            if not folder(module):
                todo += onward.get(module, ())
            elif folder(module) != start:
                edges.setdefault(start, set()).add(folder(module))
    return edges


KNOWN = modules(ROOT)
FOUND = imports(KNOWN)


def test_rooms_import_what_they_may() -> None:
    wrong = [
        f"{KNOWN[one.module].relative_to(ROOT)}:{one.line} imports {one.target}"
        for one in FOUND
        if (room := one.target.split(".")[0]) != (own := one.module.split(".")[0]) and room not in MAY_IMPORT[own]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circle_between_files() -> None:
    assert circle(graph((one.module, one.target) for one in FOUND if one.at_once)) == []


def test_no_circle_between_rooms() -> None:
    assert circle(graph((one.module.split(".")[0], one.target.split(".")[0]) for one in FOUND)) == []


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_circle_between_the_folders_of_a_room(room: str) -> None:
    assert circle(folders_of(room, FOUND, KNOWN)) == []


OUTSIDE = re.compile(r"os\.environ|os\.getenv|\bgetenv\(|[\"']git[\"']")
ENTRY = {"configs/entry.py"}
"""Beside the `__main__.py`: what they share to read profile, data folder and commit once."""


def test_library_code_reads_neither_the_environment_nor_git() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in KNOWN.values()
        if path.name not in ("__main__.py", "cli.py") and OUTSIDE.search(path.read_text("utf-8"))
    ]
    assert set(found) == ENTRY


def test_only_commands_load_a_profile() -> None:
    """`configs.entry` is for modules that are a command: `__main__.py`, or one that is started by itself."""
    for one in FOUND:
        if one.target == "configs.entry":
            path = KNOWN[one.module]
            text = path.read_text("utf-8")
            assert path.name in ("__main__.py", "cli.py") or re.search(
                r"^def (?:add_arguments|main)\(|^if __name__", text, re.M
            ), path


def test_no_module_is_too_long() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in KNOWN.values()}
    long = {name: count for name, count in lines.items() if count > LONGER.get(name, MAX_LINES)}
    assert not long, f"split these: {long}"
    short = [name for name in LONGER if lines.get(name, 0) <= MAX_LINES]
    assert not short, f"take these off LONGER: {short}"


def _house(root: Path, **files: str) -> tuple[list[Import], dict[str, Path]]:
    """A house of the given files, `rag__a__b` for rag/a/b.py."""
    for name, text in files.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    known = modules(root)
    return imports(known), known


def test_imports_of_every_kind_are_found(tmp_path: Path) -> None:
    text = (
        "from typing import TYPE_CHECKING\nimport rag.one\nfrom rag import two\nfrom . import three\n"
        "if TYPE_CHECKING:\n    from rag.four import x\ndef f():\n    from rag.one import y\n"
    )
    found, _ = _house(tmp_path, rag__main=text, rag__one="", rag__two="", rag__three="", rag__four="")
    assert sorted((one.target, one.at_once) for one in found) == [
        ("rag.four", False),
        ("rag.one", False),
        ("rag.one", True),
        ("rag.three", True),
        ("rag.two", True),
    ]


def test_a_circle_is_found_also_by_way_of_a_file_in_the_open(tmp_path: Path) -> None:
    found, known = _house(
        tmp_path,
        rag__a__x="def f():\n    from rag.answer import Answer\n",
        rag__answer="from rag.b.y import mark",
        rag__b__y="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rag.a.x import f\n",
    )
    assert set(circle(folders_of("rag", found, known))) == {"rag.a", "rag.b"}
    assert circle(graph((one.module, one.target) for one in found if one.at_once)) == []
    assert set(circle(graph((one.module, one.target) for one in found))) == {"rag.a.x", "rag.answer", "rag.b.y"}
