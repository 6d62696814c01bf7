"""How questions are answered as people ask them: `python -m eval people`.

    medcite eval people [--part test] [--mode extractive] [--experts FOLDER] [--json FILE]

330 questions in the forms that people use, half for choosing and half for reporting, labeled with the pages and pairs
of MedQuAD that answer them (`eval/datasets/questions/README.md`). Which page and pair is right is that of the first
cited sentence. The extractive mode quotes what retrieval finds and decides as every other mode does; in another mode
the table says how many answers the generator wrote. `--experts` is MEDIQA-2021's folder: messages with the one-line
question that an expert made of each, which should lead to the same page. 95% intervals by question.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError
from configs.files import said, write_json
from configs.modes import Mode
from eval.datasets.people import Person, page_of, people
from eval.datasets.readings import Reading, digest, readings
from eval.datasets.withheld import abstention_disabled
from eval.metrics.shares import milliseconds, share

if TYPE_CHECKING:
    from rag.answer import Answer
    from rag.pipeline import Pipeline

MESSAGES = "question-summaries-validation.jsonl"
MODES: tuple[Mode, ...] = ("extractive", "base+rag", "finetuned+rag")
COVERAGES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of all questions, the most confident first, of which the risk is told."""


@dataclass(frozen=True, slots=True)
class Row:
    """A question and its answer, made without the threshold: `declined` says what the chat would do.

    `pair` is what the first sentence is from, empty where nothing is quoted (under an emergency notice), `written`
    whether the generator's draft was kept, as the checks left it, and sources are not quoted in its place.
    """

    asked: Person
    pair: str
    confidence: float
    declined: bool
    written: bool
    seconds: float
    text: str

    @property
    def answered(self) -> bool:
        """Whether anything is answered."""
        return bool(self.pair) and not self.declined

    @property
    def right_page(self) -> bool:
        """Whether it is answered from a page on the topic."""
        return self.answered and page_of(self.pair) in self.asked.pages

    @property
    def right_pair(self) -> bool:
        """Whether it is answered from an answer to just this."""
        return self.answered and self.pair in self.asked.pairs

    @property
    def outcome(self) -> str:
        """How it was answered, and from what."""
        if not self.answered:
            return "declined, " + ("although covered" if self.asked.covered else "rightly")
        found = "right answer" if self.right_pair else "right page" if self.right_page else "wrong page"
        return f"{'written' if self.written else 'quoted'}, {found if self.asked.covered else 'not covered'}"


def measure(pipeline: Pipeline, asked: Sequence[Person], mode: Mode, below: float) -> list[Row]:
    """All questions answered in a mode, by a pipeline that declines none; the chat declines `below` this confidence.

    What stands under an emergency notice counts as declined.
    """
    from index.progress import shown

    rows = []
    with shown() as say:
        for done, one in enumerate(asked, 1):
            answer = pipeline.invoke(one.question, mode=mode)
            first = next((sentence for sentence in answer.sentences if sentence.citations), None)
            written = first is not None and mode != "extractive" and not answer.fallback
            unsure, seconds = answer.confidence < below, answer.timings.total_ms / 1000
            text = answer.model_copy(update={"missing": ()}).text
            rows.append(Row(one, first_pair(answer), answer.confidence, unsure, written, seconds, text))
            say("questions", done, len(asked))
    return rows


def first_pair(answer: Answer) -> str:
    """The pair that an answer's first sentence cites; empty where nothing was answered."""
    pairs = {source.n: source.pair_id for source in answer.sources}
    return next((pairs[one.citations[0]] for one in answer.sentences if one.citations), "")


def title(answer: Answer) -> str:
    """The title of the page that an answer's first sentence cites; empty where nothing was answered."""
    return {one.pair_id: one.title for one in answer.sources}.get(first_pair(answer), "")


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
        "answered: written by the generator": of(answered, "written"),
        "uncovered: answered": of(uncovered, "answered"),
        "uncovered medicines: answered": of([row for row in uncovered if row.asked.form == "medicine"], "answered"),
    }
    for form in sorted({row.asked.form for row in covered}):
        own = [row for row in covered if row.asked.form == form]
        every[f"covered, {form}: answered from a right answer"] = of(own, "right_pair")
    return {name: value for name, value in every.items() if value["n"]}


def risks(rows: Sequence[Row]) -> list[dict[str, float]]:
    """Risk and coverage (El-Yaniv and Wiener, 2010): of the most confident share of all questions, the share that gets
    no right answer, uncovered ones among them. By confidence alone, whatever the threshold is.
    """
    order = sorted(rows, key=lambda row: -row.confidence)
    right = [bool(row.pair) and row.pair in row.asked.pairs for row in order]
    found = []
    for coverage in COVERAGES:
        count = max(round(coverage * len(rows)), 1)
        wrong = count - sum(right[:count])
        found.append(
            {"coverage": coverage, "risk": round(wrong / count, 3), "confidence": round(order[count - 1].confidence, 3)}
        )
    return found


def read_by_people(rows: Sequence[Row], known: Sequence[Reading]) -> dict[str, Any]:
    """What readers said of these very answers; those that changed since are counted and left out."""
    texts = {(one.id, one.answer): one for one in known}
    found = [texts[key] for row in rows if (key := (row.asked.id, digest(row.text if row.answered else ""))) in texts]
    of_rows = {one.id for one in known} & {row.asked.id for row in rows}
    result: dict[str, Any] = {"n": len(found), "changed since": len(of_rows) - len(found)}
    if found:
        both = [(one.first, one.second) for one in found]
        result["answers it"] = share([pair == ("yes", "yes") for pair in both])
        result["answers it, one reader"] = share([first == "yes" for first, _ in both])
        result["agreement"] = share([first == second for first, second in both])
        result["kappa"] = round(kappa(both), 3)
    return result


def kappa(both: Sequence[tuple[str, str]]) -> float:
    """Cohen's kappa (1960) of two readers' verdicts; 1 where both always say the same one thing."""
    n = len(both)
    agreed = sum(first == second for first, second in both) / n
    firsts, seconds = Counter(first for first, _ in both), Counter(second for _, second in both)
    chance = sum(firsts[name] * seconds[name] for name in firsts) / n**2
    return 1.0 if chance == 1 else (agreed - chance) / (1 - chance)


def agreement(pipeline: Pipeline, folder: Path, below: float) -> dict[str, dict[str, float]]:
    """Whether a message and an expert's question for it lead to one page, where the chat declines `below` a confidence.

    Raises UserError for a missing file.
    """
    path = folder / MESSAGES
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); --experts takes MEDIQA-2021's folder") from None
    both, same = [], []
    for row in rows:
        answers = [pipeline.invoke(row[name], mode="extractive") for name in ("message", "summary")]
        titles = [title(answer) if answer.confidence >= below else "" for answer in answers]
        both.append(all(titles))
        if all(titles):
            same.append(titles[0].lower() == titles[1].lower())
    return {"messages and their summaries: both answered": share(both), "both answered: same page": share(same)}


def as_first_stage(pipeline: Pipeline) -> None:
    """Have a pipeline answer as from the first stage of its index: of words alone, its vectors made when asked for."""
    import numpy as np

    from index import vectors
    from index.growing import Vectors

    def alone(whole: Any) -> Vectors:
        none = vectors.some(np.zeros((0, whole.d), dtype=np.float32), np.zeros(0, dtype=np.int64))
        return Vectors(
            none,
            whole.ntotal,
            lambda rows: [str(row) for row in rows],
            lambda rows: np.asarray(whole.reconstruct_batch(np.array([int(row) for row in rows], dtype=np.int64))),
        )

    index = pipeline.index
    stage = replace(index, question_vectors=alone(index.question_vectors), passage_vectors=alone(index.passage_vectors))
    pipeline.retriever = pipeline.retriever.create(stage, pipeline.retriever.embedder, pipeline.retriever.settings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--part",
        choices=("train", "validation", "test"),
        default="test",
        help="train is fitted on, validation is for choosing",
    )
    parser.add_argument("--mode", choices=MODES, default="extractive", help="default: extractive")
    parser.add_argument(
        "--experts", type=Path, metavar="FOLDER", help="MEDIQA-2021's, to compare messages and summaries"
    )
    parser.add_argument("--index", type=Path, help="the index of MedQuAD (default: data/index)")
    parser.add_argument("--first-stage", action="store_true", help="as while that index had no vectors yet")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write figures and answers there")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Measure, print, and write where asked."""
    from rag.pipeline import Pipeline

    profile = entry.load_for(args, adapter=args.mode.startswith("finetuned"))
    below = profile.retriever.abstain_below
    folder = args.index or entry.index_folder()
    pipeline = Pipeline.open(abstention_disabled(profile), folder, entry.data_folder() / "models")
    if args.first_stage:
        as_first_stage(pipeline)
    known = {page_of(pair.id) for pair in pipeline.index.pairs}
    asked = people(args.part)
    if not any(page in known for one in asked for page in one.pages):
        raise UserError("the index holds none of the labeled pages: these questions are for MedQuAD; make index")
    rows = measure(pipeline, asked, args.mode, below)
    result: dict[str, Any] = {"part": args.part, "mode": args.mode, "n": len(rows), "figures": figures(rows)}
    result["outcomes"] = dict(sorted(Counter(row.outcome for row in rows).items()))
    result["risk and coverage"] = risks(rows)
    if args.mode == "extractive":
        result["read"] = read_by_people(rows, readings())
    if args.experts:
        result["figures"] |= agreement(pipeline, args.experts, below)
    result["time"] = milliseconds([row.seconds for row in rows])
    _print(result)
    if args.json:
        answers = [
            {
                "id": row.asked.id,
                "pair": row.pair,
                "confidence": row.confidence,
                "outcome": row.outcome,
                "text": row.text if row.answered else "",
            }
            for row in rows
        ]
        with said(args.json):
            write_json(args.json, result | {"answers": answers})
    return 0


def _print(result: dict[str, Any]) -> None:
    for name, value in result["figures"].items():
        print(f"{name:60} {value['share']:.3f} [{value['low']:.3f}, {value['high']:.3f}] n={value['n']}")
    for name, count in result["outcomes"].items():
        print(f"{name:60} {count}")
    for row in result["risk and coverage"]:
        print(f"{'risk at coverage ' + str(row['coverage']):60} {row['risk']:.3f} (confidence {row['confidence']:.3f})")
    for name, value in result.get("read", {}).items():
        said_of = (
            f"{value['share']:.3f} [{value['low']:.3f}, {value['high']:.3f}]" if isinstance(value, dict) else value
        )
        print(f"{'read by people, ' + name:60} {said_of}")
    print(f"{'time an answer, ms':60} {result['time']}")
