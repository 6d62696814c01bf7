"""The page at `/report`: the latest evaluation report of this machine, else the one that was shipped.

    install(app, data / "eval" / "latest")

The report is one self-contained file that `make eval` writes; here it only gets a line at its top that says
where it is from, and a policy under which it can run nothing and load nothing.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from configs import ROOT

NAME = "report.html"
SHIPPED = ROOT / "docs" / "report"
"""The report that a source checkout carries; an installed package has none."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""For a static document with its style and its drawings inline: no script, nothing fetched."""

_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_STYLE = "margin:0;padding:.7rem 0;border-bottom:1px solid currentColor;font:400 .95rem/1.5 system-ui,sans-serif"


def install(app: Any, latest: Path | None = None, shipped: Path = SHIPPED) -> None:
    """Add GET /report to a FastAPI application; `latest` is the folder of this machine's newest report."""
    from fastapi.responses import HTMLResponse

    headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}

    @app.get("/report", include_in_schema=False)
    def report() -> HTMLResponse:
        return HTMLResponse(page(latest, shipped), headers=headers)


def page(latest: Path | None, shipped: Path) -> str:
    """The report as HTML, with a line on where it is from; without any, a page that says how to make one."""
    if latest is not None:
        text, written = read(latest / NAME)
        if text:
            made = datetime.fromtimestamp(written, UTC)
            return marked(text, "Made on this machine", f"by its own evaluation, {made:%Y-%m-%d %H:%M} UTC.")
    text, _ = read(shipped / NAME)
    if text:
        more = (
            "its figures were measured over MedQuAD, and not measured on this machine. "
            "<code>make eval</code> makes a report here."
        )
        return marked(text, "Shipped with the program", more)
    return NONE


def read(path: Path) -> tuple[str, float]:
    """A file's text and when it was written (seconds since 1970); no text where there is none.

    A file that is there and cannot be read is told of on stderr.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(), os.fstat(file.fileno()).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return "", 0.0
    except OSError as error:
        print(f"medcite: {path}: cannot be read: {error.strerror}", file=sys.stderr, flush=True)
        return "", 0.0


def marked(text: str, where: str, more: str) -> str:
    """A document with a line at the top of its body; `where` and `more` are HTML."""
    line = (
        f'<aside aria-label="Where this report is from" style="{_STYLE}"><strong>{where}:</strong> {more} '
        '<a href="./" style="color:inherit">Back to the chat</a></aside>'
    )
    found = _BODY.search(text)
    place = found.end() if found else 0
    return f"{text[:place]}{line}{text[place:]}"


NONE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>No evaluation report yet: medcite</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { max-width: 40rem; margin: 0 auto; padding: 2.5rem 1.25rem; font: 1.05rem/1.6 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; }
pre { padding: .8rem 1rem; border: 1px solid currentColor; border-radius: 6px; overflow-x: auto; }
</style></head><body><main>
<h1>No evaluation report yet</h1>
<p>An evaluation answers questions that the model was not trained on, in every mode, and measures how good the
answers and their citations are. None has been made here, and none was shipped with this copy.</p>
<p>To make one, run this in the program's folder, then open this page again:</p>
<pre><code>make eval</code></pre>
<p><a href="./">Back to the chat</a></p>
</main></body></html>
"""
