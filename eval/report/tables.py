"""The report's tables, each by its name in `templates/report.j2`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from eval.report.figures import (
    METRICS,
    NONE,
    REGIMES,
    Cell,
    Entry,
    Row,
    Table,
    by_mode,
    cell,
    entries,
    labels,
    modes_of,
    number,
    plain,
    row_of,
    sees_sources,
    ways_of,
)

PUBLISHED: dict[str, Any] = tomllib.loads(Path(__file__).with_name("published.toml").read_text("utf-8"))
MAIN = ("rouge1", "rouge2", "rougeL", "bleu", "bertscore", "answered_share")
README = ("rouge1", "rougeL", "bleu", "bertscore", "answered_share")
FURTHER = ("rougeLsum", "token_f1", "exact_match", "length_ratio", "empty_share")
CITED = (
    "citation_recall", "citation_precision", "unsupported_share", "invented_numbers", "abstained_share",
    "fallback_share",
)  # fmt: skip
READING = ("flesch_kincaid", "smog", "length_ratio", "perplexity")
THREE = ("base", "finetuned", "finetuned+rag")
MACHINE = {"cpu": "Processor", "cores": "Cores", "cuda": "GPU"}
MADE_WITH = (
    "created", "commit", "profile", "model", "config_hash", "corpus", "splits", "adapter", "questions", "decoding",
    "metrics", "machine", "versions", "code_versions",
)  # fmt: skip


def readme(results: dict[str, Any]) -> Table:
    """The README's: every mode in both regimes; a mode that sees no sources once."""
    rows: list[Row] = []
    for mode, regime in ways_of(results):
        if row := row_of(results, mode, regime):
            seen = regime if sees_sources(results, mode) else "none seen"
            rows.append((mode, seen, *entries(row.get("figures"), README)))
    return Table("readme", "", ("mode", "source", *labels(README)), {"": rows})


PEOPLE = (
    "covered: answered", "covered: answered from a right page", "covered: answered from a right answer",
    "answered: from a right page", "answered: written by the generator", "uncovered: answered",
    "uncovered medicines: answered",
)  # fmt: skip
"""What the report says of people's questions."""


def people(results: dict[str, Any]) -> Table:
    """People's questions: shares by mode."""
    systems = results["people"]["systems"]
    names = [name for name in PEOPLE if any(name in found for found in systems.values())]
    rows: list[Row] = []
    for name in names:
        n = next(found[name]["n"] for found in systems.values() if name in found)
        rows.append((name, plain(n), *(_share(found.get(name)) for found in systems.values())))
    return Table("people", "Questions in people's words", ("Share", "n", *systems), {"": rows})


def swaps(results: dict[str, Any]) -> Table:
    """What changes where nothing should: shares unchanged and overlap, by mode."""
    groups: dict[str, list[Row]] = {
        mode: [(name, plain(one["n"]), _share(one), cell(one["overlap"])) for name, one in found.items()]
        for mode, found in results["swaps"]["systems"].items()
    }
    return Table("swaps", "One thing changed", ("Changed", "n", "Unchanged", "Overlap"), groups, "Answered by")


def experts(results: dict[str, Any]) -> Table:
    """ROUGE to experts' summaries by system."""
    found = results["experts"]
    rows: list[Row] = [
        (
            name,
            number(one["words"], 1),
            cell(one["extractive"]["rouge2"]),
            cell(one["abstractive"]["rouge1"]),
            cell(one["abstractive"]["rougeL"]),
        )
        for name, one in found["systems"].items()
    ]
    columns = ("System", "Words", "Extractive ROUGE-2", "Abstractive ROUGE-1", "Abstractive ROUGE-L")
    return Table("experts", f"Experts' summaries, {found['n']} questions", columns, {"": rows})


def _share(found: dict[str, Any] | None) -> Entry:
    return cell({"value": found["share"], "low": found["low"], "high": found["high"]} if found else None)


def main(results: dict[str, Any]) -> Table:
    """The three modes that the report is about."""
    modes = [mode for mode in THREE if mode in modes_of(results)]
    return by_mode(results, "main", "The three modes in both regimes, with 95% intervals", modes, MAIN)


def controls(results: dict[str, Any]) -> Table:
    """The modes with sources, and what they are compared with."""
    return by_mode(results, "controls", "Every mode that reads sources", _reading(results), MAIN)


def forced(results: dict[str, Any]) -> Table:
    """The same where every question was put to the mode."""
    return by_mode(results, "forced", "Retrieval's threshold taken out", _reading(results), MAIN, "forced")


def further(results: dict[str, Any]) -> Table:
    """Overlap by further measures."""
    return by_mode(results, "further", "Further overlap figures, every mode", modes_of(results), FURTHER)


def citations(results: dict[str, Any]) -> Table:
    """Citations, abstention and fallback."""
    return by_mode(results, "citations", "Citations and abstention in both regimes", _reading(results), CITED)


def reading(results: dict[str, Any]) -> Table:
    """Readability, length and perplexity."""
    return by_mode(results, "reading", "Readability and length", modes_of(results), READING)


def differences(results: dict[str, Any]) -> Table:
    """Paired differences between modes by regime."""
    found = results["differences"]
    metrics = [name for name in METRICS if any(one["metric"] == name for one in found)]
    regimes = dict.fromkeys(one["regime"] for one in found)
    groups = {
        REGIMES.get(regime, regime): _pairs([one for one in found if one["regime"] == regime], metrics)
        for regime in regimes
    }
    return Table("differences", "Differences between modes", ("Modes", *labels(metrics)), groups, "Regime")


def checker(results: dict[str, Any]) -> Table:
    """What the citation checker gets right."""
    found = {key: value for key, value in results["checker"].items() if key != "kinds"}
    return Table("checker", "The citation checker", ("", "Value"), {"": list(_facts(found))})


def kinds(results: dict[str, Any]) -> Table | None:
    """The checker by kind of labeled pair, where that is known."""
    listed = results["checker"].get("kinds") or {}
    found = {kind: figures for kind, figures in listed.items() if isinstance(figures, dict)}
    keys = tuple(dict.fromkeys(key for figures in found.values() for key in figures))
    rows: list[Row] = [
        (kind, *(plain(figures[key]) if key in figures else NONE for key in keys)) for kind, figures in found.items()
    ]
    caption = "The checker by kind of labeled pair"
    return Table("kinds", caption, ("Kind of pair", *labels(keys)), {"": rows}) if rows else None


def judged(found: dict[str, Any], place: int) -> Table:
    """The systems on one judged set, the report's `place`-th."""
    caption = f"{found['name']}, {found['n']:,} questions"
    return _measures(f"retrieval-{place}", caption, "System", found.get("systems") or {})


def judged_differences(found: dict[str, Any], place: int) -> Table:
    """The paired differences between systems on one judged set."""
    metrics = list(dict.fromkeys(one["metric"] for one in found["differences"]))
    caption = f"{found['name']}: differences, with 95% intervals"
    rows = _pairs(found["differences"], metrics)
    return Table(f"retrieval-{place}-differences", caption, ("Systems", *labels(metrics)), {"": rows})


def own(found: dict[str, Any]) -> Table | None:
    """Retrieval of the index's own test questions, where they were asked."""
    ways = {way: figures for way, figures in found.items() if isinstance(figures, dict)}
    caption = "Finding the question's own answer in the whole index"
    return _measures("retrieval-own", caption, "Question", ways) if ways else None


def slices(results: dict[str, Any]) -> list[Table]:
    """ROUGE-L by kind of question, a table for each way to divide them; a mode without sources has one column."""
    found = results.get("slices") or []
    ways = dict.fromkeys((row["mode"], row["regime"] if sees_sources(results, row["mode"]) else "") for row in found)
    tables = []
    for place, by in enumerate(dict.fromkeys(row["by"] for row in found)):
        rows: list[Row] = []
        for name in dict.fromkeys(row["slice"] for row in found if row["by"] == by):
            here = [row for row in found if (row["by"], row["slice"]) == (by, name)]
            figures = [
                next(
                    (row.get("figures") for row in here if row["mode"] == mode and regime in ("", row["regime"])), None
                )
                for mode, regime in ways
            ]
            rows.append((str(name), f"{here[0]['n']:,}", *(cell((one or {}).get("rougeL")) for one in figures)))
        columns = (by.capitalize(), "n", *(f"{mode}, {regime}" if regime else mode for mode, regime in ways))
        tables.append(Table(f"slice-{place}", f"ROUGE-L by {by}", columns, {"": rows}))
    return tables


def cost(results: dict[str, Any]) -> Table:
    """Time of each step, whichever run made what it used, as far as that was kept; this run's own; the machine."""
    spent, machine = results.get("spent") or {}, results.get("machine") or {}
    rows: list[Row] = [(f"Making {step}", f"{number(taken / 60, 1)} minutes") for step, taken in spent.items()]
    if spent:
        rows.append(("Making all of these", f"{number(sum(spent.values()) / 60, 1)} minutes"))
    steps = [f"{mode}-{regime if sees_sources(results, mode) else 'none'}" for mode, regime in ways_of(results)]
    if unknown := [step for step in steps if step not in spent]:
        rows.append(("Made before times were kept", ", ".join(unknown)))
    said = f"{number(results['seconds'] / 60, 1)} minutes; what earlier runs had made was not made again"
    rows.append(("This run, scoring included", said))
    if results.get("peak_memory_gb") is not None:
        rows.append(("Peak memory", f"{number(results['peak_memory_gb'], 1)} GB"))
    rows += [(name, plain(machine[key])) for key, name in MACHINE.items() if key in machine]
    return Table("cost", "What the evaluation took", ("", "Value"), {"": rows})


def published(kind: str, caption: str) -> Table:
    """Other systems' figures in `generation` or `retrieval`, as reported."""
    keys = {"generation": ("rouge1", "rouge2", "rougeL", "bleu"), "retrieval": ("map", "mrr", "p@1", "ndcg@10")}[kind]
    rows: list[Row] = [
        (
            *(one[key] for key in ("system", "data", "split")),
            *(Cell(one[key]) if key in one else NONE for key in keys),
            one["source"],
        )
        for one in PUBLISHED[kind]
    ]
    return Table(f"published-{kind}", caption, ("System", "Data", "Split", *labels(keys), "Source"), {"": rows})


def again(results: dict[str, Any]) -> Table:
    """What the run was made with; older runs did not record the versions of the code."""
    rows: list[Row] = []
    for key in MADE_WITH if "code_versions" in results else MADE_WITH[:-1]:
        value = results.get(key)
        if isinstance(value, dict):
            rows += [(f"{key}: {name}", said) for name, said in _facts(value)]
        else:
            rows.append((key.replace("_", " "), "none" if value is None else plain(value)))
    return Table("again", "What this run was made with", ("", "Value"), {"": rows})


def _reading(results: dict[str, Any]) -> list[str]:
    return [mode for mode in modes_of(results) if sees_sources(results, mode)]


def _pairs(found: list[dict[str, Any]], metrics: list[str]) -> list[Row]:
    """Differences as rows, one for each pair that was compared."""
    rows: list[Row] = []
    for a, b in dict.fromkeys((one["a"], one["b"]) for one in found):
        by_metric = {one["metric"]: one for one in found if (one["a"], one["b"]) == (a, b)}
        rows.append((f"{a} less {b}", *entries(by_metric, metrics, signed=True)))
    return rows


def _measures(name: str, caption: str, first: str, found: dict[str, dict[str, Any]]) -> Table:
    keys = tuple(dict.fromkeys(key for figures in found.values() for key in figures))
    rows: list[Row] = []
    for way, figures in found.items():
        values = [figures.get(key) for key in keys]
        rows.append((way, *(plain(value) if isinstance(value, (int, str)) else cell(value) for value in values)))
    return Table(name, caption, (first, *labels(keys)), {"": rows})


def _facts(found: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """The scalars in a dict, those of inner dicts after their key."""
    said: list[tuple[str, str]] = []
    for key, value in found.items():
        name = f"{before}{str(key).replace('_', ' ')}"
        if isinstance(value, dict):
            said += _facts(value, f"{name}, ")
        else:
            said.append((name, ", ".join(map(plain, value)) if isinstance(value, list) else plain(value)))
    return said
