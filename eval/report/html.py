"""The report as one HTML file: style and drawings inside it, nothing fetched, nothing that needs a script."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from eval.report import wording
from eval.report.blocks import Block, Cell, Entry, Examples, Heading, Plot, Row, Table, Text
from eval.report.figures import NONE, number
from eval.report.sections import made, sections, title

STYLE = Path(__file__).with_name("style.css")
_NUMERIC = re.compile(r"[+−]?[\d.,]+%?|–")


def render(results: dict[str, Any]) -> str:
    """The whole page."""
    found = sections(results)
    links = "".join(f'<li><a href="#{section.name}">{escape(section.title)}</a></li>' for section in found)
    body = "".join(
        f'<section id="{section.name}" aria-labelledby="{section.name}-title">'
        f'<h2 id="{section.name}-title">{escape(section.title)}</h2>'
        + "".join(_block(block) for block in section.blocks)
        + "</section>\n"
        for section in found
    )
    what = f"{results['corpus']['name']}, {results['profile']}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title(results))}: medcite evaluation ({escape(what)})</title>\n"
        f"<style>\n{STYLE.read_text('utf-8')}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#result">Skip to the result</a>\n'
        f'<header><p class="made">{escape(made(results))}</p><h1>{escape(title(results))}</h1></header>\n'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'
        f"<main>\n{body}</main>\n"
        f"<footer><p>{escape(wording.NOT_ADVICE)}</p></footer>\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    if isinstance(block, Text):
        if block.kind == "code":
            return f'<pre tabindex="0" aria-label="Command"><code>{escape(block.text)}</code></pre>'
        role = ' role="note"' if block.kind in ("note", "warning") else ""
        return f'<p class="{block.kind}"{role}>{escape(block.text)}</p>'
    if isinstance(block, Heading):
        return f"<h3>{escape(block.text)}</h3>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Plot):
        return _plot(block)
    return "".join(_example(item, place, block) for place, item in enumerate(block.items))


def _plot(plot: Plot) -> str:
    name = f"{plot.table.name}-caption"
    return (
        f'<figure aria-labelledby="{name}"><div class="panels">{"".join(panel.svg() for panel in plot.panels)}</div>'
        f'<figcaption id="{name}">{escape(plot.caption)}</figcaption>'
        f"<details><summary>The plot as a table</summary>{_table(plot.table)}</details></figure>"
    )


def _table(found: Table) -> str:
    """A table in a box of its own that scrolls, so that the page never does sideways."""
    numeric = [
        all(isinstance(row[place], Cell) or _NUMERIC.fullmatch(str(row[place])) for row in found.rows)
        for place in range(len(found.columns))
    ]
    # A column without any row is no column of figures.
    numeric = [bool(found.rows) and place > 0 and is_so for place, is_so in enumerate(numeric)]
    heads = "".join(
        f'<th scope="col"{_class(numeric[place])}>{escape(name)}</th>' if name else "<td></td>"
        for place, name in enumerate(found.columns)
    )
    bodies = []
    for group in found.groups:
        first = (
            f'<tr class="group"><th scope="rowgroup" colspan="{len(found.columns)}"><span>{escape(group.title)}</span>'
            "</th></tr>"
            if group.title
            else ""
        )
        bodies.append(f"<tbody>{first}{''.join(_row(row, numeric) for row in group.rows)}</tbody>")
    return (
        f'<div class="box" role="group" tabindex="0" aria-labelledby="{found.name}-name">'
        f'<table id="table-{found.name}">'
        f'<caption id="{found.name}-name"><span>{escape(found.caption)}</span></caption>'
        f"<thead><tr>{heads}</tr></thead>{''.join(bodies)}</table></div>\n"
    )


def _row(row: Row, numeric: list[bool]) -> str:
    head = row[0] if isinstance(row[0], str) else row[0].value
    cells = (f"<td{_class(numeric[place])}>{_entry(entry)}</td>" for place, entry in enumerate(row) if place)
    return f'<tr><th scope="row">{escape(head)}</th>{"".join(cells)}</tr>'


def _class(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _entry(entry: Entry) -> str:
    if isinstance(entry, str):
        return escape(entry) if entry != NONE else f'<span class="none">{NONE}</span>'
    said = f'<span class="v">{escape(entry.value)}</span>'
    if entry.interval:
        said += f' <span class="i">{escape(entry.interval)}</span>'
    return f'{said} <span class="r">{escape(entry.remark)}</span>' if entry.remark else said


def _example(item: dict[str, Any], place: int, block: Examples) -> str:
    topic = f"{escape(item['topic'])} · " if item.get("topic") else ""
    source = escape(item.get("source") or "source not named")
    answers = "".join(_answer(answer) for answer in item.get("answers") or [])
    return (
        f'<details class="example" id="example-{place}"><summary><span class="why">{escape(item["why"])}</span> '
        f'<span class="q">{escape(item["question"])}</span></summary>'
        f'<h3>Reference answer</h3><p class="from">{topic}{escape(block.corpus)}, {source} '
        f"{_link('page', item.get('url'))}</p><blockquote>{escape(item['reference'])}</blockquote>"
        f'<div class="answers">{answers}</div></details>\n'
    )


def _answer(answer: dict[str, Any]) -> str:
    score = answer.get("rougeL")
    said = [escape(answer["status"]), *([f"ROUGE-L {number(score)}"] if score is not None else [])]
    sources = answer.get("sources") or []
    listed = "".join(_source(source) for source in sources)
    used = sum(bool(source.get("used")) for source in sources)
    return (
        f'<article class="answer"><h4>{escape(answer["mode"])}<span> source {escape(answer["regime"])}</span></h4>'
        f'<p class="from">{" · ".join(said)}</p><p class="output">{escape(wording.OUTPUT)}</p>'
        f'<div class="text">{escape(answer.get("text") or "(no text)")}</div>'
        + (
            f"<details><summary>Sources: {len(sources)}, {used} used</summary><ul>{listed}</ul></details>"
            if sources
            else '<p class="from">No sources</p>'
        )
        + "</article>"
    )


def _source(source: dict[str, Any]) -> str:
    unused = "" if source.get("used") else ' <span class="unused">not used</span>'
    return (
        f"<li><p><b>[{escape(str(source['n']))}]</b> {_link(source.get('title') or 'untitled', source.get('url'))}"
        f"{unused}</p><blockquote>{escape(source.get('text') or '')}</blockquote></li>"
    )


def _link(text: str, url: str | None) -> str:
    """A link where the address is one of the web, else the text alone."""
    if url and re.match(r"https?://", url):
        return f'<a href="{escape(url)}" rel="noreferrer">{escape(text)}</a>'
    return escape(text)
