"""Adapters beside one another on people's questions: `medcite eval adapters FOLDER FOLDER ...`.

For choosing: the validation part, generated in batches. Of each adapter how often the answer begins with a right one,
is written, and stays the same where something is changed that should not matter (`eval/swaps.py`). One trained under
its pages' own questions (`data.headings`) is asked so, too. Written to `data/eval/adapters/`, and kept there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs import entry, files
from configs.schema import Profile
from eval import people, swaps
from eval.datasets.people import people as labeled
from eval.datasets.withheld import abstention_disabled
from rag.versions import versions

SHOWN = (
    "covered: answered from a right answer",
    "answered: from a right answer",
    "answered: from a right page",
    "answered: written by the generator",
)
SWAPPED = 30
"""Questions whose answers are made again with one thing changed."""


@contextmanager
def headed_by_questions(wanted: bool) -> Iterator[None]:
    """Prompts whose sources stand under their page's own question, as some adapters were trained."""
    from rag import prompt

    before = prompt._heading
    if wanted:
        prompt._heading = lambda hit, said: hit.pair.question
    try:
        yield
    finally:
        prompt._heading = before


def measured(profile: Profile, part: Any, swapped: int) -> dict[str, Any]:
    """The figures of the profile's adapter: of `people`, and of `swaps` for the first `swapped` covered questions."""
    from eval.generation.batched import Batched, local
    from eval.generation.identity import generator_identity
    from index.progress import shown
    from rag.pipeline import Pipeline

    data = entry.data_folder()
    below = profile.retriever.abstain_below
    pipeline = Pipeline.open(abstention_disabled(profile), entry.index_folder(), data / "models")
    identity = generator_identity(profile, data / "models")
    drafts = Batched(local(profile.generator, data / "models"), data / "eval" / "drafts.jsonl", identity)
    pipeline.use(drafts)
    asked = labeled(part)
    covered = [one.question for one in asked if one.covered][:swapped]
    with shown() as say:

        def progress(done: int, total: int) -> None:
            say("drafts", done, total)

        rows = drafts.settle(lambda: people.measure(pipeline, asked, "finetuned+rag", below), progress)
        writer = swaps.Writer(pipeline, "finetuned+rag", below)
        changed = drafts.settle(lambda: swaps.measure(writer, covered), progress) if covered else {}
    words = [len(row.text.split()) for row in rows if row.answered]
    found: dict[str, Any] = {"people": people.figures(rows), "swaps": swaps.figures(changed)}
    return found | {"words": round(sum(words) / max(len(words), 1), 1)}


def line(name: str, found: dict[str, Any]) -> str:
    """One adapter's row of the table."""
    shares = [found["people"].get(one, {}).get("share") for one in SHOWN]
    same = {change: figures["share"] for change, figures in found["swaps"].items()}
    overlap = {change: figures["overlap"] for change, figures in found["swaps"].items()}
    cells = [*(f"{one:.3f}" if one is not None else "" for one in shares), f"{found['words']:.0f}"]
    cells += [f"{same[change]:.2f} ({overlap[change]:.2f})" if change in same else "" for change in CHANGES]
    return "| " + " | ".join([name, *cells]) + " |"


CHANGES = ("page question", "no heading", "order", "fewer", "one more", "wording")
HEAD = "| adapter | right of covered | right of answered | right page | written | words | " + " | ".join(CHANGES) + " |"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("adapters", nargs="+", metavar="FOLDER", help="folders of adapters")
    parser.add_argument("--part", choices=("train", "validation", "test"), default="validation",
                        help="of people's questions (default: validation, which is for choosing)")  # fmt: skip
    parser.add_argument("-n", type=int, default=SWAPPED, help=f"questions for the changes (default: {SWAPPED})")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Measure those that are not kept, and print the table."""
    profile = entry.load_for(args)
    rows = [HEAD, "|" + "---|" * (HEAD.count("|") - 1)]
    for folder in args.adapters:
        rows.append(line(Path(folder).name, _kept(profile, Path(folder), args.part, args.n)))
    print("\n".join(rows))
    return 0


def _kept(profile: Profile, folder: Path, part: str, swapped: int) -> dict[str, Any]:
    from eval.generation.identity import adapter_digest
    from finetune.store import read_manifest

    manifest = read_manifest(folder)
    generator = profile.generator.model_copy(update={"adapter": str(folder)})
    section = profile.model_dump(mode="json", exclude={"app": True, "generator": {"adapter"}})
    names: Sequence[Any] = [section, versions(), part, swapped, adapter_digest(folder), _index()]
    path = entry.data_folder() / "eval" / "adapters" / f"{folder.name}-{files.digest_json(names)[:12]}.json"
    if not path.exists():
        with headed_by_questions(manifest["recipe"]["data"].get("headings") == "question"):
            found = measured(profile.model_copy(update={"generator": generator}), part, swapped)
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.said(path):
            files.write_json(path, found)
    kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return kept


def _index() -> str:
    from index.store import read_manifest

    return str(read_manifest(entry.index_folder())[0].config_hash)
