"""What every command shares: `--profile`, `--set`, and the line that says which profile was taken."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pydantic is left out of `--help`
    from configs.schema import Profile


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


def load_for(args: argparse.Namespace) -> Profile:
    """The profile that the arguments of `add_arguments` ask for; says on stderr which and why."""
    from configs import load

    profile, why = load(args.profile, args.overrides)
    print(f"profile {profile.name} ({why})", file=sys.stderr)
    return profile


def data_folder() -> Path:
    """Where everything generated lives: the variable MEDCITE_DATA, else `data/` in the checkout."""
    from configs import ROOT

    return Path(os.environ.get("MEDCITE_DATA") or ROOT / "data")


def index_folder() -> Path:
    """The index that commands use: `index/` in the data folder."""
    return data_folder() / "index"
