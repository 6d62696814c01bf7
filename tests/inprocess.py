"""A command of the project run in this process: what it says and its exit code, without a second start of torch."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from configs.errors import run


def run_room(
    room: str,
    words: Sequence[str],
    variables: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> subprocess.CompletedProcess[str]:
    """`python -m room words`, the variables set and `MEDQUAD` not, through the same `main` and the same way out."""
    monkeypatch.delenv("MEDQUAD", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", [room, *words])
    capfd.readouterr()
    with pytest.raises(SystemExit) as stop:
        run(importlib.import_module(f"{room}.__main__").main)
    said = capfd.readouterr()
    code = stop.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess([room, *words], code, said.out, said.err)
