"""How questions are answered as people ask them: `python -m eval people`.

    medcite eval people [--part test] [--experts FOLDER] [--json FILE]

330 questions in the forms that people use, half for choosing and half for reporting, labeled with the pages and pairs
of MedQuAD that answer them (`eval/datasets/questions/README.md`). They are answered in the extractive mode, which
quotes what retrieval finds and decides as every other mode does. `--experts` is MEDIQA-2021's folder: messages with
the one-line question that an expert made of each, which should lead to the same page. 95% intervals by question.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError
from configs.files import said, write_json
from eval.datasets.people import Person, page_of, people
from eval.metrics.shares import milliseconds, share

if TYPE_CHECKING:
    from rag.answer import Answer
    from rag.pipeline import Pipeline

MESSAGES = "question-summaries-validation.jsonl"


@dataclass(frozen=True, slots=True)
class Row:
    """A question and its answer: the pair that the first quoted sentence is from, empty where it was declined."""

    asked: Person
    pair: str
    confidence: float
    seconds: float
    text: str

    @property
    def answered(self) -> bool:
        """Whether anything was quoted."""
        return bool(self.pair)

    @property
    def right_page(self) -> bool:
        """Whether it was quoted from a page on the topic."""
        return page_of(self.pair) in self.asked.pages

    @property
    def right_pair(self) -> bool:
        """Whether it was quoted from an answer to just this."""
        return self.pair in self.asked.pairs


def measure(pipeline: Pipeline, asked: Sequence[Person]) -> list[Row]:
    """All questions answered in the extractive mode. What stands under an emergency notice counts as declined."""
    from index.progress import shown

    rows = []
    with shown() as say:
        for done, one in enumerate(asked, 1):
            answer = pipeline.invoke(one.question, mode="extractive")
            pair = first_pair(answer)
            rows.append(Row(one, pair, answer.confidence, answer.timings.total_ms / 1000, answer.text))
            say("questions", done, len(asked))
    return rows


def first_pair(answer: Answer) -> str:
    """The pair that an answer's first sentence cites; empty where nothing was answered."""
    pairs = {source.n: source.pair_id for source in answer.sources}
    return next((pairs[one.citations[0]] for one in answer.sentences if one.citations), "")


def figures(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Shares with n and 95% intervals (Wilson), by name."""
    covered = [row for row in rows if row.asked.covered]
    uncovered = [row for row in rows if not row.asked.covered]
    answered = [row for row in covered if row.answered]

    def of(found: Iterable[Row], held: str) -> dict[str, float]:
        return share([bool(getattr(row, held)) for row in found])

    every = {
        "covered: answered": of(covered, "answered"),
        "covered: answered from a right page": of(covered, "right_page"),
        "covered: answered from a right answer": of(covered, "right_pair"),
        "answered: from a right page": of(answered, "right_page"),
        "answered: from a right answer": of(answered, "right_pair"),
        "uncovered: answered": of(uncovered, "answered"),
        "uncovered medicines: answered": of([row for row in uncovered if row.asked.form == "medicine"], "answered"),
    }
    for form in sorted({row.asked.form for row in covered}):
        own = [row for row in covered if row.asked.form == form]
        every[f"covered, {form}: answered from a right answer"] = of(own, "right_pair")
    return {name: value for name, value in every.items() if value["n"]}


def agreement(pipeline: Pipeline, folder: Path) -> dict[str, dict[str, float]]:
    """Whether a message and an expert's question for it lead to one page. Raises UserError for a missing file."""
    path = folder / MESSAGES
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); --experts takes MEDIQA-2021's folder") from None
    both, same = [], []
    for row in rows:
        answers = [pipeline.invoke(row[name], mode="extractive") for name in ("message", "summary")]
        titles = [{one.pair_id: one.title for one in answer.sources}.get(first_pair(answer), "") for answer in answers]
        both.append(all(titles))
        if all(titles):
            same.append(titles[0].lower() == titles[1].lower())
    return {"messages and their summaries: both answered": share(both), "both answered: same page": share(same)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--part", choices=("validation", "test"), default="test", help="validation is for choosing")
    parser.add_argument(
        "--experts", type=Path, metavar="FOLDER", help="MEDIQA-2021's, to compare messages and summaries"
    )
    parser.add_argument("--index", type=Path, help="the index of MedQuAD (default: data/index)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write figures and answers there")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Measure, print, and write where asked."""
    from rag.pipeline import Pipeline

    profile = entry.load_for(args)
    pipeline = Pipeline.open(profile, args.index or entry.index_folder(), entry.data_folder() / "models")
    known = {page_of(pair.id) for pair in pipeline.index.pairs}
    asked = people(args.part)
    if not any(page in known for one in asked for page in one.pages):
        raise UserError("the index holds none of the labeled pages: these questions are for MedQuAD; make index")
    rows = measure(pipeline, asked)
    result: dict[str, Any] = {"part": args.part, "n": len(rows), "figures": figures(rows)}
    if args.experts:
        result["figures"] |= agreement(pipeline, args.experts)
    result["time"] = milliseconds([row.seconds for row in rows])
    for name, value in result["figures"].items():
        print(f"{name:60} {value['share']:.3f} [{value['low']:.3f}, {value['high']:.3f}] n={value['n']}")
    print(f"{'time an answer, ms':60} {result['time']}")
    if args.json:
        answers = [
            {"id": row.asked.id, "pair": row.pair, "confidence": row.confidence, "text": row.text} for row in rows
        ]
        with said(args.json):
            write_json(args.json, result | {"answers": answers})
    return 0
