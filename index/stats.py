"""Statistics of a corpus: counts, length distributions and duplicates, as tables, JSON, CSV and plots.

`python -m index stats` runs it; `run` is what it calls.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import files
from configs.errors import UserError
from configs.extras import need
from index import repairs
from index.clean import normalize

if TYPE_CHECKING:
    from index.corpus import QAPair
    from index.sources import Corpus

PERCENTILES = (1, 5, 25, 50, 75, 90, 95, 99)
BOILERPLATE_TOPICS = 5
"""An answer that more topics than this share is boilerplate: it says nothing of any of them."""
CountTokens = Callable[[Sequence[str]], Iterable[int]]


def topic(pair: QAPair) -> str:
    """What a pair is about, as it is counted: its normalized focus, else its normalized question."""
    return normalize(pair.focus) or normalize(pair.question)


def run(corpus: Corpus, out_folder: Path, count_tokens: CountTokens | None = None) -> dict[str, Any]:
    """Compute the statistics and write `stats.json`, one CSV a table and the PNG plots to the folder.

    `count_tokens` gives a token count for each text (an embedder's does); without it lengths are in words alone.
    Returns what `stats.json` holds. Raises UserError where the folder cannot be written or plots cannot be drawn.
    """
    need("matplotlib", "the plots of the statistics")
    stats = compute(corpus, count_tokens)
    try:
        out_folder.mkdir(parents=True, exist_ok=True)
        files.write(out_folder / "stats.json", json.dumps(stats, indent=2, ensure_ascii=False) + "\n")
        for name, table in stats["counts"].items():
            _write_csv(out_folder / f"{name}.csv", [name, "pairs"], table.items())
        each = [list(row.values()) for row in stats["repairs"]["each"]]
        _write_csv(out_folder / "repairs.csv", ["kind", "what", "count"], each)
        rows = [[name, *values.values()] for name, values in stats["lengths"].items()]
        header = next(iter(stats["lengths"].values()))
        _write_csv(out_folder / "lengths.csv", ["length", *header], rows)
        _write_csv(out_folder / "duplicates.csv", ["what", "count"], _scalars(stats["duplicates"]))
        _plots(corpus, stats, out_folder)
    except OSError as error:
        raise UserError(f"cannot write statistics to {out_folder}: {error.strerror or error}") from error
    return stats


def compute(corpus: Corpus, count_tokens: CountTokens | None = None) -> dict[str, Any]:
    """The statistics as plain JSON values."""
    pairs = corpus.pairs
    questions, answers = [pair.question for pair in pairs], [pair.answer for pair in pairs]
    topics = [topic(pair) for pair in pairs]
    lengths = {"question words": _lengths(_words(questions)), "answer words": _lengths(_words(answers))}
    if count_tokens is not None:
        lengths["question tokens"] = _lengths(list(count_tokens(questions)))
        lengths["answer tokens"] = _lengths(list(count_tokens(answers)))
    return {
        "corpus": corpus.name,
        "digest": corpus.digest,
        "demonstration_pairs": sum(pair.demonstration for pair in pairs),
        "pairs": len(pairs),
        "topics": len(set(topics)),
        "pages": len({url for pair in pairs for url in pair.urls}),
        "without_focus": sum(not pair.focus for pair in pairs),
        "counts": {
            "source": _counts(pair.source for pair in pairs),
            "question_type": _counts(pair.question_type for pair in pairs),
            "semantic_group": _counts(pair.semantic_group for pair in pairs),
            "topic": _counts(topics),
        },
        "lengths": lengths,
        "duplicates": _duplicates(corpus, topics),
        "repairs": _repairs(pairs),
        "reading": corpus.report.as_dict(),
    }


def _repairs(pairs: Sequence[QAPair]) -> dict[str, Any]:
    """What was put right in the texts (`index/repairs.py`): pairs touched, repairs a kind, and each one's count."""
    counted = Counter(repairs.parsed(text) for pair in pairs for text in pair.repairs)
    kinds: Counter[str] = Counter()
    for one, count in counted.items():
        kinds[one.kind] += count
    rows = sorted(counted.items(), key=lambda item: (item[0].kind, -item[1], item[0].what))
    return {
        "pairs": sum(bool(pair.repairs) for pair in pairs),
        "kinds": dict(kinds.most_common()),
        "each": [{"kind": one.kind, "what": one.what, "count": count} for one, count in rows],
    }


def _counts(values: Iterable[str]) -> dict[str, int]:
    counted = Counter(value or "(none)" for value in values)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _words(texts: Iterable[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def _lengths(values: list[int]) -> dict[str, float]:
    import numpy as np

    data = np.asarray(values)
    spread = {f"p{percent}": float(np.percentile(data, percent)) for percent in PERCENTILES}
    return {"min": int(data.min()), **spread, "max": int(data.max()), "mean": round(float(data.mean()), 1)}


def _duplicates(corpus: Corpus, topics: list[str]) -> dict[str, Any]:
    by_question: Counter[str] = Counter(pair.question.casefold() for pair in corpus.pairs)
    by_answer: Counter[str] = Counter(pair.answer for pair in corpus.pairs)
    topics_of: defaultdict[str, set[str]] = defaultdict(set)
    for pair, about in zip(corpus.pairs, topics, strict=True):
        topics_of[pair.answer].add(about)
    boilerplate = {text for text, shared in topics_of.items() if len(shared) > BOILERPLATE_TOPICS}
    return {
        "distinct_questions": len(by_question),
        "questions_asked_again": sum(count - 1 for count in by_question.values()),
        "distinct_answers": len(by_answer),
        "answers_given_again": sum(count - 1 for count in by_answer.values()),
        "boilerplate_texts": len(boilerplate),
        "boilerplate_pairs": sum(by_answer[text] for text in boilerplate),
        "exact_duplicates_merged": corpus.report.duplicates,
        "most_repeated_questions": [
            {"pairs": count, "text": text} for text, count in by_question.most_common(10) if count > 1
        ],
        "most_repeated_answers": [
            {"pairs": count, "topics": len(topics_of[text]), "text": text[:200]}
            for text, count in by_answer.most_common(10)
            if count > 1
        ],
    }


def _scalars(duplicates: dict[str, Any]) -> list[tuple[str, int]]:
    return [(name, value) for name, value in duplicates.items() if isinstance(value, int)]


def print_tables(stats: dict[str, Any], top: int = 15) -> None:
    """The statistics as tables on stdout; tables of many rows show the `top` largest and say how many more."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(
        f"[bold]{escape(stats['corpus'])}[/bold]: {stats['pairs']:,} pairs, {stats['topics']:,} topics, "
        f"{stats['pages']:,} pages"
    )
    if bare := stats["without_focus"]:
        console.print(
            f"{bare:,} pairs ({bare / stats['pairs']:.1%}) name no focus: their topic is their question, so one "
            "disease may count as several topics"
        )
    if stats["demonstration_pairs"]:
        console.print(f"{stats['demonstration_pairs']:,} pairs are demonstration text, not from NIH")
    for name, counted in stats["counts"].items():
        table = Table("pairs", "share", name.replace("_", " "), title=f"By {name.replace('_', ' ')}")
        for value, count in list(counted.items())[:top]:
            table.add_row(f"{count:,}", f"{count / stats['pairs']:.1%}", escape(value))
        console.print(table)
        if len(counted) > top:
            console.print(f"and {len(counted) - top:,} more")
    columns = next(iter(stats["lengths"].values()))
    table = Table("length", *columns, title="Lengths")
    for name, values in stats["lengths"].items():
        table.add_row(name, *(f"{value:,.0f}" for value in values.values()))
    console.print(table)
    table = Table("count", "what", title="Duplicates")
    for name, value in _scalars(stats["duplicates"]):
        table.add_row(f"{value:,}", name.replace("_", " "))
    console.print(table)
    if made := stats["repairs"]["kinds"]:
        table = Table("repairs", "kind", "for example", title=f"Repairs, in {stats['repairs']['pairs']:,} pairs")
        for kind, count in made.items():
            example = next(row["what"] for row in stats["repairs"]["each"] if row["kind"] == kind)
            table.add_row(f"{count:,}", kind, escape(example))
        console.print(table)
        console.print("all of them: repairs.csv")


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with files.aside(path) as new, new.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _plots(corpus: Corpus, stats: dict[str, Any], folder: Path) -> None:
    import numpy as np

    need("matplotlib", "the plots of the statistics")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def figure(title: str, height: float = 4.0) -> tuple[Figure, Any]:
        # Figure without pyplot: no global state, no window, whatever backend the machine is set to.
        drawn = Figure(figsize=(8, height), layout="constrained")
        FigureCanvasAgg(drawn)
        axes = drawn.subplots()
        axes.set_title(f"{title} ({stats['corpus']}, {stats['pairs']:,} pairs)")
        axes.spines[["top", "right"]].set_visible(False)
        return drawn, axes

    def save(drawn: Figure, name: str) -> None:
        with files.aside(folder / f"{name}.png") as new:
            drawn.savefig(new, format="png", dpi=120)

    for name, counted in stats["counts"].items():
        shown = list(counted.items())[:20][::-1]
        drawn, axes = figure(f"Pairs by {name.replace('_', ' ')}", height=1.2 + 0.28 * len(shown))
        # Dollar signs in a corpus's own words would start matplotlib's formula mode.
        labels = [value[:40].replace("$", r"\$") for value, _ in shown]
        bars = axes.barh(range(len(shown)), [count for _, count in shown], color="#2a6f97")
        axes.set_yticks(range(len(shown)), labels)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
        axes.set_xlabel("pairs" if len(counted) <= 20 else f"pairs (the 20 largest of {len(counted):,})")
        save(drawn, name)
    for what, texts in (("question", [p.question for p in corpus.pairs]), ("answer", [p.answer for p in corpus.pairs])):
        words = np.asarray(_words(texts))
        spread = stats["lengths"][f"{what} words"]
        drawn, axes = figure(f"{what.capitalize()} length")
        bins = np.unique(np.geomspace(1, max(int(words.max()), 2), 50).round()) if what == "answer" else 40
        axes.hist(words, bins=bins, color="#2a6f97")
        if what == "answer":
            axes.set_xscale("log")
        axes.axvline(spread["p50"], color="#c1121f", label=f"median {spread['p50']:,.0f}")
        axes.axvline(spread["p95"], color="#c1121f", linestyle="--", label=f"95% under {spread['p95']:,.0f}")
        axes.set_xlabel("words")
        axes.set_ylabel("pairs")
        axes.legend(frameon=False)
        save(drawn, f"{what}_words")
