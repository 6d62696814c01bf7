"""The report as one HTML page and as Markdown (GitHub's dialect), and the table that stands in the README.

All of them are `templates/report.j2`, which prints through the macros of `templates/blocks.*.j2` alone. HTML is
autoescaped; in Markdown every text goes through the filter `md` or, in a table, `cell`. The page needs no script and
fetches nothing: style and drawings are inside it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from eval.report import plots, tables, wording
from eval.report.figures import number

BEGIN, END = "<!-- eval table -->", "<!-- /eval table -->"
SECTIONS = {
    "people": "Questions in people's words",
    "result": "The three modes",
    "plots": "Plots",
    "controls": "Controls and differences",
    "swaps": "What should not matter",
    "citations": "Can the citations be trusted?",
    "retrieval": "Finding the right answer",
    "slices": "By kind of question",
    "examples": "Answers side by side",
    "cost": "Readability and cost",
    "published": "Published numbers",
    "again": "Run it again",
}
"""Titles of the report's sections by their names in the page, in the order they are read."""


def html(results: dict[str, Any]) -> str:
    """The whole page."""
    return _ENVIRONMENT.get_template("page.html.j2").render(results=results)


def markdown(results: dict[str, Any]) -> str:
    """The whole report, without its drawings."""
    text = _ENVIRONMENT.get_template("page.md.j2").render(results=results)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main_table(results: dict[str, Any]) -> str:
    """The README's table in Markdown."""
    return str(_ENVIRONMENT.get_template("blocks.md.j2").module.grid(tables.readme(results))).strip()  # type: ignore[attr-defined]


def summary(results: dict[str, Any]) -> str:
    """What the run found in a sentence, its table, and what was asked of what, in Markdown."""
    return _ENVIRONMENT.get_template("summary.md.j2").render(results=results, table=main_table(results)).strip()


def readme_block(results: dict[str, Any]) -> str:
    """What stands in the README between the markers, markers included."""
    return "\n\n".join([BEGIN, summary(results), END])


def escape(text: object) -> str:
    """Text on one line in which nothing is Markdown or HTML."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]|~])", r"\\\1", line)
    # At the start of a line these would begin a heading, a list or a rule.
    line = re.sub(r"^([#+\-=])", r"\\\1", line)
    line = re.sub(r"^(\d{1,9})([.)])(?= |$)", r"\1\\\2", line)
    # GitHub makes links of bare addresses; an address from a corpus is text.
    return re.sub(r"(?i)\b(https?|ftp):(?=//)|\bwww\.", lambda found: found[0][:-1] + f"&#{ord(found[0][-1])};", line)


def cell(text: object) -> str:
    """Text in a table's cell, which begins no block: what escapes a list or heading at a line's start is not needed."""
    return escape(f"x {text}")[2:]


def web(address: str | None) -> str:
    """An address of the web so quoted that it ends no link, in HTML or Markdown; nothing for any other."""
    found = address or ""
    return quote(found, safe="%/:?#[]@!$&'()*+,;=~") if re.match(r"https?://", found) else ""


_FOLDER = Path(__file__).parent
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=select_autoescape(("html.j2",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"md": escape, "cell": cell, "web": web, "number": number}
_ENVIRONMENT.globals |= {
    "plots": plots,
    "sections": SECTIONS,
    "style": (_FOLDER / "style.css").read_text("utf-8"),
    "tables": tables,
    "title": "What fine-tuning and retrieval each buy",
    "wording": wording,
}
