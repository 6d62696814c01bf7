"""The report's section on retrieval: judged sets and the index's own questions."""

from __future__ import annotations

from typing import Any

from eval.report import wording
from eval.report.blocks import Block, Heading, Row, Table, Text, table
from eval.report.figures import (
    cell,
)
from eval.report.parts import MEASURES, absent, difference, plain


def retrieval(results: dict[str, Any]) -> list[Block]:
    found = results.get("retrieval") or {}
    blocks: list[Block] = []
    for number_of, judged in enumerate(found.get("sets") or [], 1):
        systems = judged.get("systems") or {}
        name = f"{judged['name']}, {judged['n']:,} questions"
        blocks += [Heading(judged["name"])]
        if judged.get("policy"):
            blocks.append(Text(wording.sentence(str(judged["policy"]))))
        blocks += _about(judged, "tuned", "deployed")
        blocks.append(_measures(f"retrieval-{number_of}", name, "System", systems))
        if judged.get("differences"):
            blocks.append(_judged_differences(f"retrieval-{number_of}-differences", judged))
    own = {way: figures for way, figures in (found.get("own") or {}).items() if isinstance(figures, dict)}
    if own:
        blocks += [
            Heading("This corpus's own test questions"),
            *_about(found["own"], "deployed", "caveat"),
            _measures("retrieval-own", "Finding the question's own answer in the whole index", "Question", own),
        ]
    return blocks or [absent("Retrieval was not measured")]


def _about(found: dict[str, Any], *keys: str) -> list[Block]:
    """What a table says of its rows and intervals; results that were made earlier may not say it."""
    said = [wording.sentence(str(found[key])) for key in keys if found.get(key)]
    if found.get("intervals_by"):
        said.append(f"95% intervals by {found['intervals_by']}.")
    return [Text(" ".join(said))] if said else []


def _judged_differences(name: str, judged: dict[str, Any]) -> Table:
    found = judged["differences"]
    metrics = list(dict.fromkeys(one["metric"] for one in found))
    rows: list[Row] = []
    for a, b in dict.fromkeys((one["a"], one["b"]) for one in found):
        by_metric = {one["metric"]: one for one in found if (one["a"], one["b"]) == (a, b)}
        rows.append((f"{a} less {b}", *(difference(by_metric.get(metric), 3) for metric in metrics)))
    columns = ("Systems", *(MEASURES.get(metric, metric) for metric in metrics))
    return table(name, f"{judged['name']}: differences, with 95% intervals", columns, rows)


def _measures(name: str, caption: str, first: str, rows: dict[str, dict[str, Any]]) -> Table:
    keys = list(dict.fromkeys(key for figures in rows.values() for key in figures))
    listed: list[Row] = [
        (
            way,
            *(
                plain(figures[key]) if isinstance(figures.get(key), (int, str)) else cell(figures.get(key))
                for key in keys
            ),
        )
        for way, figures in rows.items()
    ]
    names = (MEASURES.get(key, key if key == "n" else key.replace("_", " ").capitalize()) for key in keys)
    return table(name, caption, (first, *names), listed)
