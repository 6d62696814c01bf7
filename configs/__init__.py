"""Profiles: one TOML file each under `configs/profiles/`, validated when loaded.

    profile, why = load("auto", ["generator.max_new_tokens=64"])

Only entry points call `load`; library code is handed its own section.
"""

from __future__ import annotations

import ctypes
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from configs.errors import UserError

if TYPE_CHECKING:  # pydantic is left out of `--help`
    from pydantic import BaseModel, ValidationError

    from configs.schema import Profile

Model = TypeVar("Model", bound="BaseModel")
PROFILES = Path(__file__).parent / "profiles"
MAPS = Path(__file__).parent / "maps"
ROOT = Path(__file__).parent.parent


def names() -> list[str]:
    """The profiles that ship, by name."""
    return stems(PROFILES)


@cache
def cuda_found() -> bool:
    """Whether a CUDA driver with at least one device answers; asks the driver, so torch is not imported."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def load(name: str = "auto", overrides: Iterable[str] = ()) -> tuple[Profile, str]:
    """Load a profile by name or by the path of a TOML file, with `section.key=value` overrides.

    Returns the profile and a short reason for the choice. Values of overrides are TOML where
    they parse as TOML, and plain strings otherwise.
    Raises UserError for an unknown profile, an unknown key or an ill-typed value, by name.
    """
    from configs.schema import Profile

    why = "asked for"
    if name == "auto":
        name, why = ("tinyllama", "auto: CUDA found") if cuda_found() else ("embedded", "auto: no CUDA found")
    return load_as(Profile, name, PROFILES, "profile", overrides, also="auto, "), why


def load_as(
    model: type[Model], name: str, folder: Path, what: str, overrides: Iterable[str] = (), also: str = ""
) -> Model:
    """A TOML file as `model`: the one called `name` in `folder`, or the one at that path where it ends in .toml.

    `what` is what a person calls such a file; `also` goes before the names that there are.
    Raises UserError for an unknown name, an unknown key or an ill-typed value, by name.
    """
    from pydantic import ValidationError

    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    known = also + ", ".join(stems(folder))
    data = read_toml(path, missing=f"no {what} {name!r}; there are: {known}, or the path of a .toml")
    data.setdefault("name", path.stem)
    for override in overrides:
        apply_override(data, override)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{path.name}: {describe(error)}") from None


def stems(folder: Path) -> list[str]:
    """The names of the TOML files in `folder`."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def read_toml(path: Path, missing: str = "") -> dict[str, Any]:
    """Parse a TOML file. Raises UserError if it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(missing or f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def apply_override(data: dict[str, Any], override: str) -> None:
    """Set one field of a parsed TOML from `section.key=value`. Raises UserError where it has another form."""
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise UserError(f"override {override!r} is not of the form section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    target: Any = data
    for part in parts[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise UserError(f"override {override!r}: {part!r} is a value, not a section")
    target[parts[-1]] = value


def describe(error: ValidationError) -> str:
    """A validation error as one line that names each field."""
    lines = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown key {field!r}")
        else:
            lines.append(f"{field}: {item['msg']}, got {_short(item.get('input'))}")
    return "; ".join(lines)


def _short(value: object) -> str:
    text = "nothing" if isinstance(value, Mapping) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
