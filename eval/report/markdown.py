"""The report in Markdown (GitHub's dialect), and the table that stands in the README."""

from __future__ import annotations

import re
from typing import Any

from eval.report import wording
from eval.report.blocks import Block, Entry, Examples, Heading, Plot, Table, Text
from eval.report.figures import entries as figures_of
from eval.report.figures import labels, modes_of, number, regimes_of, row_of, sees_sources
from eval.report.sections import made, sections, title

README = ("rouge1", "rougeL", "bleu", "bertscore", "answered_share")
BEGIN, END = "<!-- eval table -->", "<!-- /eval table -->"
SHORT = 60
"""Words of an example's texts that are kept; the HTML report has them whole."""


def render(results: dict[str, Any]) -> str:
    """The whole report."""
    lines = [f"# {escape(title(results))}", "", f"_{escape(made(results))}_", ""]
    for section in sections(results):
        lines += [f"## {escape(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def main_table(results: dict[str, Any]) -> str:
    """The README's table: every mode in both regimes; a mode that sees no sources once."""
    rows = ["| mode | source | " + " | ".join(labels(README)) + " |", "|---|---|" + "---|" * len(README)]
    for mode in modes_of(results):
        sees = sees_sources(results, mode)
        for regime in regimes_of(results) if sees else regimes_of(results)[:1]:
            row = row_of(results, mode, regime)
            if row:
                cells = " | ".join(_entry(entry) for entry in figures_of(row.get("figures"), README))
                rows.append(f"| {_cell(mode)} | {_cell(regime) if sees else 'none seen'} | {cells} |")
    return "\n".join(rows)


def readme_block(results: dict[str, Any]) -> str:
    """What stands in the README between the markers, markers included."""
    return "\n\n".join([BEGIN, summary(results), END])


def summary(results: dict[str, Any]) -> str:
    """What the run found in a sentence, its table, and what was asked of what."""
    parts = [escape(wording.lead(results)), main_table(results)]
    if results["splits"]["by"] == "row":
        parts.append(f"**{escape(wording.LEAKS)}**")
    parts.append(f"{escape(wording.setting(results))} In brackets: 95% intervals, by topic. {escape(wording.SCORED)}")
    return "\n\n".join(parts)


def escape(text: str) -> str:
    """Text on one line in which nothing is Markdown or HTML."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]|~])", r"\\\1", line)
    # At the start of a line these would begin a heading, a list or a rule.
    line = re.sub(r"^([#+\-=])", r"\\\1", line)
    line = re.sub(r"^(\d{1,9})([.)])(?= |$)", r"\1\\\2", line)
    # GitHub makes links of bare addresses; an address from a corpus is text.
    return re.sub(r"(?i)\b(https?|ftp):(?=//)|\bwww\.", lambda found: found[0][:-1] + f"&#{ord(found[0][-1])};", line)


def _block(block: Block) -> list[str]:
    if isinstance(block, Text):
        if block.kind == "code":
            return ["```", block.text.replace("```", "` ` `"), "```"]
        said = escape(block.text)
        return [f"**{said}**" if block.kind in ("lead", "warning") else f"> {said}" if block.kind == "note" else said]
    if isinstance(block, Heading):
        return [f"### {escape(block.text)}"]
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Plot):
        return [escape(block.caption), "", *_table(block.table)]
    return _examples(block)


def _table(found: Table) -> list[str]:
    columns = ([found.grouping] if found.grouping else []) + list(found.columns)
    lines = [f"**{escape(found.caption)}**", "", _line([_cell(name) for name in columns]), "|" + "---|" * len(columns)]
    for group in found.groups:
        first = [_cell(group.title)] if found.grouping else []
        lines += [_line(first + [_entry(entry) for entry in row]) for row in group.rows]
    return lines


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _entry(entry: Entry) -> str:
    if isinstance(entry, str):
        return _cell(entry)
    said = _cell(entry.value) + (f" ({_cell(entry.interval)})" if entry.interval else "")
    return f"{said}, {_cell(entry.remark)}" if entry.remark else said


def _cell(text: str) -> str:
    # A cell begins no block, so what escapes a list or a heading at a line's start is not needed.
    return escape(f"x {text}")[2:]


def _examples(block: Examples) -> list[str]:
    lines: list[str] = []
    for item in block.items:
        lines += [
            f"### {escape(item['why'].capitalize())}: {escape(item['question'])}",
            "",
            f"Topic: {escape(item.get('topic') or 'not named')}. Reference answer ({escape(block.corpus)}, "
            f"{escape(item.get('source') or 'source not named')}): {_link('page', item.get('url'))}",
            "",
            f"> {escape(_short(item['reference']))}",
            "",
        ]
        for answer in item.get("answers") or []:
            score = answer.get("rougeL")
            about = f"{answer['mode']}, source {answer['regime']}, {answer['status']}"
            lines += [
                f"**{escape(about)}**" + (f", ROUGE-L {number(score)}" if score is not None else ""),
                f"({escape(wording.OUTPUT)})",
                "",
                f"> {escape(_short(answer.get('text') or '')) or '(no text)'}",
                "",
            ]
            sources = answer.get("sources") or []
            lines += [
                f"- source {source['n']}: {_link(source.get('title') or 'untitled', source.get('url'))}"
                + ("" if source.get("used") else " (not used)")
                for source in sources
            ]
            lines += [""] if sources else []
    return lines[:-1] if lines and not lines[-1] else lines


def _link(text: str, url: str | None) -> str:
    """A link where the address is one of the web, else the text alone."""
    if url and re.fullmatch(r"https?://[^\s<>()\[\]\\\"`|]+", url):
        return f"[{escape(text)}](<{url}>)"
    return escape(text)


def _short(text: str) -> str:
    words = text.split()
    return " ".join(words) if len(words) <= SHORT else " ".join(words[:SHORT]) + " …"
