"""Where a model's files are: a folder, a hub id, or inside an installed PyPI package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from configs.errors import UserError

PREFIX = "package:"


def resolve(model: str) -> str:
    """`package:NAME/folder` as the folder's path; anything else (a folder, a hub id) unchanged.

    Raises UserError if the package is not installed. The package itself is not imported: its own
    dependencies are left out on purpose, only its files are wanted.
    """
    if not model.startswith(PREFIX):
        return model
    name, _, inner = model.removeprefix(PREFIX).partition("/")
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{model}: the package {name!r} is not installed; run `make setup`")
    folder = Path(next(iter(spec.submodule_search_locations))) / inner
    if not folder.is_dir():
        raise UserError(f"{model}: {folder} is not a folder; reinstall the package {name!r}")
    return str(folder)
