"""What commands share: `--profile`, `--set`, `--index`, and the line that says which profile was taken."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pydantic is left out of `--help`
    from configs.schema import Profile


called = ""
"""What was typed before the words of a command, where `configs.cli` runs it: `medcite ask`."""


def prog(room: str) -> str:
    """How the command of `room` is called in its help: as it was typed. Further words name one of its commands."""
    name, _, rest = room.partition(" ")
    return f"{called or f'python -m {name}'} {rest}".rstrip()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--profile` and `--set` to a command's parser."""
    parser.add_argument(
        "--profile",
        default=os.environ.get("PROFILE") or "auto",
        help="a shipped profile, a .toml file, or auto: tinyllama where CUDA is found, else embedded "
        "(default: the variable PROFILE, else auto)",
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="override one field of the profile; may be repeated",
    )


def add_index(parser: argparse.ArgumentParser) -> None:
    """Add `--index` to a command's parser; without it `args.index` is `index_folder()`."""
    text = "the index (default: data/index)"
    parser.add_argument("--index", type=Path, metavar="FOLDER", default=index_folder(), help=text)


def load_for(args: argparse.Namespace, adapter: bool = False) -> Profile:
    """The profile that the arguments of `add_arguments` ask for; says on stderr which and why.

    With `adapter`, one that was trained here under the profile's name takes the place of the shipped one.
    """
    from configs import load

    profile, why = load(args.profile, args.overrides)
    print(f"profile {profile.name} ({why})", file=sys.stderr)
    own = data_folder() / "adapters" / profile.name
    chosen = any(override.partition("=")[0].strip() == "generator.adapter" for override in args.overrides)
    if adapter and not chosen and (own / "manifest.json").is_file():
        print(f"adapter {own} (trained here)", file=sys.stderr)
        profile = profile.model_copy(update={"generator": profile.generator.model_copy(update={"adapter": str(own)})})
    return profile


def data_folder() -> Path:
    """Where everything generated lives: the variable MEDCITE_DATA, else `data/` in the checkout."""
    from configs import ROOT

    return Path(os.environ.get("MEDCITE_DATA") or ROOT / "data")


def index_folder() -> Path:
    """The index that commands use: `index/` in the data folder."""
    return data_folder() / "index"


def commit() -> str:
    """The checkout's commit, with `+changes` where tracked files differ from it, or nothing outside one."""
    import subprocess

    from configs import ROOT

    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=5)
        same = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if found.returncode:
        return ""
    return found.stdout.strip() + ("" if same.returncode == 0 else "+changes")
