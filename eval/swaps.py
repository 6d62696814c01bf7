"""Whether an answer hangs on what should not matter: `medcite eval swaps`.

    medcite eval swaps [--part test] [-n 60] [--json FILE]

People's questions are answered as they are, and again with one thing changed: what the sources' pages ask (`page
question`), the names that head them (`no heading`), their order, how many they are (`fewer`: without those that the
answer does not cite; `one more`: a page on another topic), and how the question is put (`wording`). An answer is
unchanged where the generator writes again, or is passed over again, and the same sentences stand in it, in any order.
`overlap` is the mean share of words in common (F1), which tells a sentence more from another answer.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError
from configs.files import said, write_json
from configs.modes import Mode
from eval.datasets.people import people
from eval.metrics.shares import share
from index.words import words

if TYPE_CHECKING:
    from rag.pipeline import Pipeline
    from rag.retrieval.hits import Hit
    from rag.sources import Evidence

Shown = list[tuple["Hit", str]]
MODES: tuple[Mode, ...] = ("finetuned+rag", "base+rag")
OTHER_WORDING: tuple[Callable[[str], str], ...] = (
    lambda question: f"Hello, {question}",
    lambda question: f"{question.rstrip(' .?!')} please",
    lambda question: question.rstrip(" ?") if question.endswith("?") else f"{question}?",
    lambda question: f"can you tell me: {question}",
)
"""Ways to put a question again that change nothing about it; one each, by seed."""


@dataclass(frozen=True, slots=True)
class Written:
    """What stands after a draft was checked: whether it was kept, and its sentences."""

    kept: bool
    sentences: tuple[str, ...]
    cited: frozenset[int]

    def same(self, other: Written) -> bool:
        """Whether the decision is the same and, where drafts are kept, the sentences, in whatever order."""
        if not (self.kept and other.kept):
            return (self.kept, self is DECLINED) == (other.kept, other is DECLINED)
        return Counter(self.sentences) == Counter(other.sentences)

    def overlap(self, other: Written) -> float:
        """F1 of the words of both, as often as they occur; 1 where both are empty."""
        mine, theirs = (Counter(words(" ".join(one.sentences).lower())) for one in (self, other))
        total = sum(mine.values()) + sum(theirs.values())
        return 2 * sum((mine & theirs).values()) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question's prompt shows and what was read for it; `others` are hits that were put in from elsewhere."""

    shown: Shown
    read: Evidence | None = None
    others: tuple[Hit, ...] = ()


DECLINED = Written(False, (), frozenset())
"""Where retrieval lets nothing be answered."""


def variants(
    shown: Shown, cited: frozenset[int], other: tuple[Hit, str] | None, questions: Sequence[str]
) -> dict[str, Shown]:
    """The sources with one thing changed, by its name; `cited` are places in `shown`, `questions` those of other pages.

    Left out where it would change nothing: the order and the number of one source.
    """
    asking = [
        (replace(hit, pair=replace(hit.pair, question=questions[at % len(questions)])), text)
        for at, (hit, text) in enumerate(shown)
    ]
    unnamed = [(replace(hit, pair=replace(hit.pair, focus="", synonyms=())), text) for hit, text in shown]
    fewer = [one for at, one in enumerate(shown) if at in cited]
    found = {"page question": asking, "no heading": unnamed, "order": shown[::-1], "fewer": fewer}
    found["one more"] = [*shown, other] if other else []
    return {name: one for name, one in found.items() if one and (name == "page question" or one != shown)}


class Writer:
    """The generator over given sources, with the checks of the pipeline."""

    def __init__(self, pipeline: Pipeline, mode: Mode, below: float) -> None:
        """What retrieval is `below` this sure of is not answered."""
        self.pipeline = pipeline
        self.below = below
        self.tuned = mode.startswith("finetuned")

    def write(self, question: str, asked: Asked) -> Written:
        """What the reader would see of what the generator makes of the sources shown; of none, nothing."""
        from rag import prompt
        from rag.attribution.draft import unlooped
        from rag.checked import checked, numbered
        from rag.retrieval.names import Said

        if asked.read is None or not asked.shown:
            return DECLINED
        profile, generator = self.pipeline.profile, self.pipeline.generator
        room = profile.prompt.model_copy(update={"sources": len(asked.shown)})
        built = prompt.build(question, asked.shown, generator.count_tokens, room)
        draft = "".join(str(chunk.content) for chunk in generator.stream(built.messages, adapter=self.tuned))
        # What a source shows hangs on its names; one that is given without them is the same source.
        own = {hit.row: hit for hit in (*asked.others, *asked.read.hits)}
        prompted = replace(built, sources=tuple(own[hit.row] for hit in built.sources))
        sources = numbered(prompted, asked.read.hits, Said.of(question))
        found = checked(unlooped(draft), sources, asked.read, profile.answering, question)
        numbers = {hit.row: n for n, hit in enumerate(built.sources, 1)}
        used = {n for one in found for n in one.citations}
        cited = frozenset(at for at, (hit, _) in enumerate(asked.shown) if numbers.get(hit.row) in used)
        return Written(bool(found), tuple(one.text for one in found), cited)

    def asked(self, question: str) -> Asked:
        """The sources that the chat would show its generator; none where it would not answer."""
        from rag.emergency.phrases import red_flag
        from rag.retrieval.names import Said
        from rag.sources import evidence

        pipeline = self.pipeline
        found = pipeline.retriever.retrieve(question)
        if (
            found.confidence < self.below
            or not found.hits
            or red_flag(question)
            or pipeline.emergency_classifier(question, pipeline.retriever)
        ):
            return Asked([])
        hits = found.hits[: pipeline.profile.prompt.sources]
        read = evidence(pipeline.retriever, hits, found.texts or (question,), Said.of(question))
        return Asked(read.shown(), read)


def measure(writer: Writer, questions: Sequence[str], seed: int = 0) -> dict[str, list[tuple[bool, float]]]:
    """For each change: of each question that is answered, whether the answer is unchanged, and the overlap."""
    from index.progress import shown as progress

    dice = random.Random(seed)
    found: dict[str, list[tuple[bool, float]]] = {}
    pages = [(question, asked) for question in questions if (asked := writer.asked(question)).shown]
    with progress() as say:
        for done, (question, asked) in enumerate(pages):
            say("questions", done, len(pages))
            plain = writer.write(question, asked)
            topics = {hit.pair.focus for hit, _ in asked.shown}
            others = [one for _, page in pages for one in page.shown if one[0].pair.focus not in topics]
            other = dice.choice(others) if others else None
            questions_of = [hit.pair.question for hit, _ in dice.sample(others, min(5, len(others)))] or ["?"]
            changed = variants(asked.shown, plain.cited, other, questions_of)
            put_in = (other[0],) if other else ()
            made = {
                name: writer.write(question, replace(asked, shown=one, others=put_in)) for name, one in changed.items()
            }
            again = dice.choice(OTHER_WORDING)(question)
            made["wording"] = writer.write(again, writer.asked(again))
            for name, one in made.items():
                found.setdefault(name, []).append((plain.same(one), plain.overlap(one)))
    return found


def figures(found: dict[str, list[tuple[bool, float]]]) -> dict[str, dict[str, Any]]:
    """By change: the share of answers unchanged with n and its 95% interval (Wilson), and the mean overlap."""
    return {
        name: share([same for same, _ in outcomes])
        | {"overlap": round(sum(overlap for _, overlap in outcomes) / len(outcomes), 3)}
        for name, outcomes in found.items()
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--part", choices=("train", "validation", "test"), default="test", help="of people's questions")
    parser.add_argument("-n", type=int, default=60, help="questions, covered ones (default: 60)")
    parser.add_argument("--mode", choices=MODES, default="finetuned+rag", help="default: finetuned+rag")
    parser.add_argument("--index", type=Path, help="the index of MedQuAD (default: data/index)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Measure, print, and write where asked."""
    from rag.pipeline import Pipeline

    if args.n < 2:
        raise UserError("-n must be 2 at least: a source of another question is put in")
    profile = entry.load_for(args, adapter=args.mode.startswith("finetuned"))
    pipeline = Pipeline.open(profile, args.index or entry.index_folder(), entry.data_folder() / "models")
    covered = [one.question for one in people(args.part) if one.covered]
    questions = random.Random(0).sample(covered, min(args.n, len(covered)))
    found = measure(Writer(pipeline, args.mode, profile.retriever.abstain_below), questions)
    result = figures(found)
    for name, value in result.items():
        print(
            f"{name:16} unchanged {value['share']:.3f} [{value['low']:.3f}, {value['high']:.3f}] "
            f"overlap {value['overlap']:.3f} n={value['n']}"
        )
    if args.json:
        with said(args.json):
            write_json(args.json, {"part": args.part, "mode": args.mode, "swaps": result})
    return 0
