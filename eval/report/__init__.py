"""The report of an evaluation run as one HTML file, Markdown and JSON; `python -m eval` writes it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from configs.errors import UserError

SCHEMA = 1
FILES = ("report.html", "report.md", "results.json")


def write(results: dict[str, Any], folder: Path) -> None:
    """Write report.html, report.md and results.json into `folder` (made if absent).

    All three are written aside before the first takes its place, so that a full disk leaves an earlier report whole.
    Raises UserError for results of another schema and where the folder cannot be written.
    """
    if results.get("schema") != SCHEMA:
        raise UserError(f"results of schema {results.get('schema')!r}, not {SCHEMA}; run `make eval` again")
    from eval.report import render

    data = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    texts = dict(zip(FILES, (render.html(results), render.markdown(results), data), strict=True))
    aside = {name: folder / f".{name}-{os.getpid()}" for name in FILES}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with aside[name].open("w", encoding="utf-8", newline="\n") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
        for name in FILES:
            os.replace(aside[name], folder / name)
    except OSError as error:
        raise UserError(f"{folder}: the report cannot be written: {error.strerror or error}") from None
    finally:
        for path in aside.values():
            if path.exists():
                path.unlink()
