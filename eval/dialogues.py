"""How follow-ups are understood: `medcite eval dialogues`.

    medcite eval dialogues [--part test] [--json FILE]

180 dialogues in people's words, of two to five turns (`eval/datasets/questions/dialogues.jsonl`). Each turn is put into
a question of its own by `rag/conversation.py`, over what was made of the turns before. It is right where its search
leads to a page on the labeled topic, or to the page that the labeled question leads to, and it asks for what that asks
for, or for what the turn's own words ask for. Where the topic changes, nothing may be taken over. 95% intervals by turn
(Wilson).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError
from configs.files import said, write_json
from eval.datasets.own import same_topic
from eval.metrics.shares import share
from rag.conversation import Asked, asks, standalone

if TYPE_CHECKING:
    from index.corpus import QAPair
    from rag.retrieval.hybrid import HybridRetriever

FILE = Path(__file__).parent / "datasets" / "questions" / "dialogues.jsonl"


@dataclass(frozen=True, slots=True)
class Turn:
    """What was typed; the question that it is, empty where it is none; its topic; whether that is from before."""

    user: str
    standalone: str
    topic: str
    inherits: bool


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns of one person."""

    id: str
    kind: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A turn after the first and what was made of it."""

    id: str
    kind: str
    user: str
    wanted: str
    made: str
    inherits: bool
    right: bool
    same_page: bool


def dialogues(part: str, path: Path = FILE) -> list[Dialogue]:
    """Those of a part. Raises UserError for a file that cannot be read."""
    found = []
    try:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if row["part"] == part:
                found.append(Dialogue(row["id"], row["kind"], tuple(Turn(**turn) for turn in row["turns"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as dialogues ({error})") from None
    return found


def measure(retriever: HybridRetriever, asked: Sequence[Dialogue]) -> list[Row]:
    """Every turn after the first of each dialogue."""
    from index.progress import shown
    from rag.retrieval import aspects
    from rag.retrieval.names import Said, names_it

    pages: dict[str, QAPair | None] = {}

    def page(question: str) -> QAPair | None:
        if question not in pages:
            hits = retriever.retrieve(question, 1).hits if question else ()
            pages[question] = hits[0].pair if hits else None
        return pages[question]

    def same_page(made: str, turn: Turn) -> bool:
        found, wanted = page(made), page(turn.standalone)
        if found is None or wanted is None:
            return found is wanted
        labeled = any(names_it(Said.of(name), found) for name in turn.topic.split("; "))
        return labeled or same_topic(found, wanted)

    def aspects_of(question: str) -> set[str]:
        return set(aspects.asked(retriever.searched(question).text)) if question else set()

    rows = []
    with shown() as say:
        for done, one in enumerate(asked, 1):
            say("dialogues", done, len(asked))
            before: list[Asked] = []
            for at, turn in enumerate(one.turns):
                spelled = retriever.speller.correct(turn.user).text
                found = standalone(spelled, before, retriever.topics, retriever.sure)
                made = found.text if asks(spelled) else ""
                before += [Asked(made, found.subject)] if made else []
                if not at:
                    continue
                same, wanted = same_page(made, turn), aspects_of(turn.standalone)
                asked_for, typed = aspects_of(made), aspects_of(turn.user) - {aspects.DEFINITION}
                right = same and (bool(asked_for & wanted) or (bool(typed) and typed <= asked_for) or not wanted)
                rows.append(Row(one.id, one.kind, turn.user, turn.standalone, made, turn.inherits, right, same))
    return rows


def figures(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Shares with n and 95% intervals, by name."""
    questions = [row for row in rows if row.wanted]
    kinds: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        kinds[row.kind].append(row.right)
    every = {
        "right": share([row.right for row in questions]),
        "right, topic from before": share([row.right for row in questions if row.inherits]),
        "right page, topic from before": share([row.same_page for row in questions if row.inherits]),
        "nothing taken over where it is not asked for": share([row.same_page for row in questions if not row.inherits]),
        "no question, none made": share([not row.made for row in rows if not row.wanted]),
    }
    return every | {f"right, {kind}": share(found) for kind, found in sorted(kinds.items())}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--part", choices=("train", "validation", "test"), default="test", help="default: test")
    parser.add_argument("--index", type=Path, help="the index of MedQuAD (default: data/index)")
    parser.add_argument("--wrong", action="store_true", help="also list the turns that are not right")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write figures and turns there")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Measure, print, and write where asked."""
    from index.embedder import embedder_of
    from index.store import Index
    from rag.retrieval.hybrid import HybridRetriever

    profile = entry.load_for(args)
    index = Index.open(args.index or entry.index_folder())
    retriever = HybridRetriever.create(index, embedder_of(profile.embedder), profile.retriever)
    rows = measure(retriever, dialogues(args.part))
    found = figures(rows)
    for name, value in found.items():
        if value["n"]:
            print(f"{name:<55} {value['share']:.3f} [{value['low']:.3f}, {value['high']:.3f}] n={value['n']}")
    for row in rows:
        if args.wrong and not row.right:
            print(f"{row.id} {row.kind}: {row.user!r} -> {row.made!r}, not {row.wanted!r}")
    if args.json:
        result: dict[str, Any] = {"part": args.part, "figures": found, "turns": [asdict(row) for row in rows]}
        with said(args.json):
            write_json(args.json, result)
    return 0
