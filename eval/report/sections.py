"""The report's sections, in the order they are read: from the results to text, tables, plots and examples."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from eval.report import plots, wording
from eval.report.blocks import Block, Cell, Examples, Heading, Row, Section, Table, Text, table
from eval.report.figures import (
    MAIN,
    METRICS,
    NONE,
    THREE,
    cell,
    entries,
    labels,
    modes_of,
    number,
    regime_name,
    regimes_of,
    row_of,
    sees_sources,
)
from eval.report.parts import MEASURES, absent, difference, facts, plain
from eval.report.ranking import retrieval

PUBLISHED = Path(__file__).with_name("published.toml")
OVERLAP = ("rouge1", "rouge2", "rougeL", "bleu", "bertscore")
FURTHER = ("rougeLsum", "token_f1", "exact_match", "length_ratio", "empty_share")
CITED = (
    "citation_recall", "citation_precision", "unsupported_share", "invented_numbers", "abstained_share",
    "fallback_share",
)  # fmt: skip
READING = ("flesch_kincaid", "smog", "length_ratio", "perplexity")
MACHINE = {"cpu": "Processor", "cores": "Cores", "cuda": "GPU"}


def title(results: dict[str, Any]) -> str:
    """The report's title."""
    return "What fine-tuning and retrieval each buy"


def made(results: dict[str, Any]) -> str:
    """When and from what the report was made, in a few words."""
    return f"medcite evaluation, {results['created'][:10]}, commit {str(results.get('commit') or 'unknown')[:12]}"


def sections(results: dict[str, Any]) -> list[Section]:
    """All sections; one whose figures the results lack says so."""
    return [
        Section("result", "The three modes", _first(results)),
        Section("plots", "Plots", _plots(results)),
        Section("controls", "Controls and differences", _controls(results)),
        Section("citations", "Can the citations be trusted?", _citations(results)),
        Section("retrieval", "Finding the right answer", retrieval(results)),
        Section("slices", "By kind of question", _slices(results)),
        Section("examples", "Answers side by side", _examples(results)),
        Section("cost", "Readability and cost", _cost(results)),
        Section("published", "Published numbers", _published()),
        Section("again", "Run it again", _again(results)),
    ]


def by_mode(
    results: dict[str, Any], name: str, caption: str, modes: list[str], metrics: tuple[str, ...], part: str = "table"
) -> Table:
    """These modes' figures in each regime, with n."""
    rows: dict[str, list[Row]] = {}
    for regime in regimes_of(results):
        found = [(mode, row_of(results, mode, regime, part)) for mode in modes]
        rows[regime_name(regime)] = [
            (mode, f"{row['n']:,}", *entries(row.get("figures"), metrics)) for mode, row in found if row
        ]
    return table(name, caption, ("Mode", "n", *labels(metrics)), rows, "Regime")


def _first(results: dict[str, Any]) -> list[Block]:
    blocks: list[Block] = [Text(wording.lead(results), "lead"), Text(wording.setting(results), "facts")]
    if results["splits"]["by"] == "row":
        blocks.append(Text(wording.LEAKS, "warning"))
    modes = [mode for mode in THREE if mode in modes_of(results)]
    blocks += [
        by_mode(results, "main", "The three modes in both regimes, with 95% intervals", modes, MAIN),
        Text(
            wording.blind(results)
            + "Source indexed: the whole corpus can be found, as when deployed. Source withheld: no passage of a "
            "tested topic can be. Intervals: bootstrap over topics, here and wherever nothing else is said. "
            f"{NONE}: does not apply, or was not measured."
        ),
        Text(wording.SCORED),
        Text(wording.NOT_ADVICE, "note"),
    ]
    return blocks


def _plots(results: dict[str, Any]) -> list[Block]:
    found = [plots.modes(results), plots.risk_coverage(results), plots.latency(results)]
    return [plot for plot in found if plot and plot.panels] or [absent("Nothing to plot")]


def _controls(results: dict[str, Any]) -> list[Block]:
    reading = [mode for mode in modes_of(results) if sees_sources(results, mode)]
    blocks: list[Block] = [
        Text(
            "base+rag reads the same passages without the adapter; extractive quotes the best passages and uses no "
            "generator. What finetuned+rag is worth is what it adds to these."
        ),
        Text(wording.against_quoting(results)),
        by_mode(results, "controls", "Every mode that reads sources", reading, MAIN),
        Heading("Paired differences"),
    ]
    differences = results.get("differences") or []
    if differences:
        blocks += [
            Text(
                "First mode less second on the same questions, with the 95% interval. Where the interval holds 0, "
                "no difference is shown."
            ),
            _difference_table(results, differences),
        ]
    else:
        blocks.append(absent("No differences"))
    blocks.append(Heading("Made to answer"))
    if results.get("forced"):
        blocks += [
            Text(
                "Above, a mode may say that its sources do not cover a question. Here retrieval's part in that choice "
                "is taken out: every question was put to the mode, whatever retrieval's confidence. Where a model, "
                "reading the passages, then said itself that they do not answer, that stands and scores 0; Answered "
                "is the rest."
            ),
            by_mode(
                results, "forced", "Retrieval's threshold taken out", reading, (*OVERLAP, "answered_share"), "forced"
            ),
        ]
    else:
        blocks.append(absent("No run in which every question was answered"))
    blocks += [
        Heading("Further overlap figures"),
        by_mode(results, "further", "Further overlap figures, every mode", modes_of(results), FURTHER),
    ]
    return blocks


def _difference_table(results: dict[str, Any], differences: list[dict[str, Any]]) -> Table:
    metrics = [name for name in METRICS if any(found["metric"] == name for found in differences)]
    rows: dict[str, list[Row]] = {}
    for regime in dict.fromkeys(found["regime"] for found in differences):
        here = [found for found in differences if found["regime"] == regime]
        for a, b in dict.fromkeys((found["a"], found["b"]) for found in here):
            by_metric = {found["metric"]: found for found in here if (found["a"], found["b"]) == (a, b)}
            cells = tuple(difference(by_metric.get(name), METRICS[name][1]) for name in metrics)
            rows.setdefault(regime_name(regime), []).append((f"{a} less {b}", *cells))
    return table("differences", "Differences between modes", ("Modes", *labels(metrics)), rows, "Regime")


def _citations(results: dict[str, Any]) -> list[Block]:
    checker = results.get("checker") or {}
    blocks: list[Block] = [Heading("The checker's own calibration")]
    if checker:
        blocks.append(
            Text(
                "Whether a passage supports a sentence is decided by a program, which errs too. These are its own "
                "figures on labelled pairs; the citation figures below are no better than it is."
            )
        )
        rows: list[Row] = [(key, value) for key, value in facts({k: v for k, v in checker.items() if k != "kinds"})]
        blocks.append(table("checker", "The citation checker", ("", "Value"), rows))
        kinds = {kind: found for kind, found in (checker.get("kinds") or {}).items() if isinstance(found, dict)}
        if kinds:
            keys = tuple(dict.fromkeys(key for found in kinds.values() for key in found))
            listed: list[Row] = [
                (kind, *(plain(found[key]) if key in found else NONE for key in keys)) for kind, found in kinds.items()
            ]
            columns = ("Kind of pair", *(key if key == "n" else key.replace("_", " ").capitalize() for key in keys))
            blocks.append(table("kinds", "The checker by kind of labelled pair", columns, listed))
    else:
        blocks.append(absent("No calibration of the checker: read the figures below with that in mind"))
    blocks.append(Heading("Citations and abstention"))
    modes = [mode for mode in modes_of(results) if sees_sources(results, mode)]
    said = wording.abstentions(results)
    blocks += [
        Text(
            "Recall: the share of sentences that their cited passages support together. Precision: the share of "
            "citations that are needed or sufficient (both after ALCE, Gao et al. 2023). Invented numbers: numbers a "
            "sentence that stand in none of the sources this sentence cites."
        ),
        by_mode(results, "citations", "Citations and abstention in both regimes", modes, CITED),
    ]
    return [*blocks, Text(said)] if said else blocks


def _slices(results: dict[str, Any]) -> list[Block]:
    found = results.get("slices") or []
    if not found:
        return [absent("No slices")]
    blocks: list[Block] = [
        Text("ROUGE-L and its 95% interval; slices with few questions have wide ones. ROUGE-1 is in results.json.")
    ]
    ways = dict.fromkeys(
        (row["mode"], row["regime"] if sees_sources(results, row["mode"]) else "") for row in found
    )  # a mode without sources once
    for place, by in enumerate(dict.fromkeys(row["by"] for row in found)):
        here = [row for row in found if row["by"] == by]
        rows: list[Row] = []
        for name in dict.fromkeys(row["slice"] for row in here):
            of_slice = [row for row in here if row["slice"] == name]
            cells = []
            for mode, regime in ways:
                row = next((r for r in of_slice if r["mode"] == mode and regime in ("", r["regime"])), None)
                cells.append(cell(((row or {}).get("figures") or {}).get("rougeL")))
            rows.append((str(name), f"{of_slice[0]['n']:,}", *cells))
        columns = (by.capitalize(), "n", *(f"{mode}, {regime}" if regime else mode for mode, regime in ways))
        blocks.append(table(f"slice-{place}", f"ROUGE-L by {by}", columns, rows))
    return blocks


def _examples(results: dict[str, Any]) -> list[Block]:
    if not results.get("examples"):
        return [absent("No examples")]
    return [
        Text("Best, worst and random questions, picked by a rule and a seed, none by hand."),
        Text(wording.NOT_ADVICE, "note"),
        Examples(tuple(results["examples"]), results["corpus"]["name"]),
    ]


def _cost(results: dict[str, Any]) -> list[Block]:
    blocks: list[Block] = [
        Text(
            "Flesch-Kincaid and SMOG are school grades of the answers' text. Length ratio: words of the answers over "
            f"words of the references.{_likelihoods(results)}"
        ),
        by_mode(results, "reading", "Readability and length", modes_of(results), READING),
    ]
    speed = plots.latency(results)
    if speed:
        blocks += [
            Text(
                "Timed one question at a time, with the generator as the chat loads it; the answers that are scored "
                "were made many at a time (see decoding, below). Of so few questions the 95th percentile is close to "
                "the slowest."
            ),
            Table("latency", "Time an answer takes", speed.table.columns, speed.table.groups),
        ]
    rows: list[Row] = _spent(results)
    if results.get("peak_memory_gb") is not None:
        rows.append(("Peak memory", f"{number(results['peak_memory_gb'], 1)} GB"))
    machine = results.get("machine") or {}
    rows += [(name, plain(machine[key])) for key, name in MACHINE.items() if key in machine]
    return [*blocks, table("cost", "What the evaluation took", ("", "Value"), rows)]


def _likelihoods(results: dict[str, Any]) -> str:
    found = [(row.get("figures") or {}).get("perplexity") or {} for row in results.get("table") or []]
    said = {f"the first {one['of_tokens']} tokens of {one['n']:,} references" for one in found if "of_tokens" in one}
    return f" Perplexity is of {' or '.join(sorted(said))}, given the mode's own prompt." if said else ""


def _spent(results: dict[str, Any]) -> list[Row]:
    """Time of each step, whichever run made what it used, as far as that was kept; and this run's own."""
    spent = results.get("spent") or {}
    rows: list[Row] = [(f"Making {step}", f"{number(taken / 60, 1)} minutes") for step, taken in spent.items()]
    if spent:
        rows.append(("Making all of these", f"{number(sum(spent.values()) / 60, 1)} minutes"))
    whole = [
        f"{mode}-{regime}"
        for mode in modes_of(results)
        for regime in (regimes_of(results) if sees_sources(results, mode) else ["none"])
    ]
    if unknown := [step for step in whole if step not in spent]:
        rows.append(("Made before times were kept", ", ".join(unknown)))
    said = f"{number(results['seconds'] / 60, 1)} minutes; what earlier runs had made was not made again"
    return [*rows, ("This run, scoring included", said)]


def _published() -> list[Block]:
    with PUBLISHED.open("rb") as stream:
        found = tomllib.load(stream)

    def listed(kind: str, keys: tuple[str, ...]) -> list[Row]:
        return [
            (
                entry["system"],
                entry["data"],
                entry["split"],
                *(Cell(entry[key]) if key in entry else NONE for key in keys),
                entry["source"],
            )
            for entry in found[kind]
        ]

    overlap = ("rouge1", "rouge2", "rougeL", "bleu")
    ranked = ("map", "mrr", "p@1", "ndcg@10")
    return [
        Heading("Generation"),
        Text(found["why"]),
        table(
            "published-generation",
            "Published figures of other systems, as reported (arrow: before and after fine-tuning)",
            ("System", "Data", "Split", *labels(overlap), "Source"),
            listed("generation", overlap),
        ),
        Heading("Retrieval"),
        Text(found["why_retrieval"]),
        table(
            "published-retrieval",
            "Figures of other systems in retrieval",
            ("System", "Data", "Split", *(MEASURES[key] for key in ranked), "Source"),
            listed("retrieval", ranked),
        ),
    ]


def _again(results: dict[str, Any]) -> list[Block]:
    rows: list[Row] = []
    for key in (
        "created", "commit", "profile", "model", "config_hash", "corpus", "splits", "adapter", "questions", "decoding",
        "metrics", "machine", "versions", "code_versions",
    ):  # fmt: skip
        if key == "code_versions" and key not in results:
            continue  # made before they were recorded
        value = results.get(key)
        if isinstance(value, dict):
            rows += [(f"{key}: {name}", said) for name, said in facts(value)]
        else:
            rows.append((key.replace("_", " "), "none" if value is None else plain(value)))
    return [
        Text(results["command"], "code"),
        Text(
            "The same commit, corpus, split, model, processor kind and libraries give the same figures; generated "
            "answers are cached by the hash of all of these."
        ),
        table("again", "What this run was made with", ("", "Value"), rows),
    ]
