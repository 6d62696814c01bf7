"""Whether retrieval puts good answers first: questions whose answers people judged, and MedQuAD's own test questions.

    python -m eval retrieval --data FOLDER [--set mediqa|liveqa|medquad] [--file F ...] [-n 400] [--json FILE]

`FOLDER` holds `mediqa2019/`, `liveqa-med/` and `medquad.zip` as their maintainers lay them out.

mediqa   MEDIQA-2019 task 3: the given answers of each question, ranked again; any file of that format with --file.
liveqa   the LiveQA-Med judgements over MedQuAD, condensed to the judged answers of each question. The texts of the
         answers that MedQuAD withdrew are read from the judgements: to score a ranking, never to serve an answer.
medquad  MedQuAD's questions of the test topics over the whole index, as written and reworded (`own_questions.py`).

"deployed" is what the chat does: spelling, names, first rankings, the re-ranker and the reading of sentences, over one
index of the set's answers (`deployed.py`). The other systems are compared with it; "dense" is what its first rankings
say without BM25 and names. Intervals over judged answers are by question, those of MedQuAD's own questions by topic.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs import entry
from configs.errors import UserError
from configs.files import write_json
from eval.datasets import judged
from eval.metrics.bootstrap import ClusterBootstrap
from eval.metrics.ranking import RESAMPLES, measures, order
from eval.report.wording import sentence

if TYPE_CHECKING:
    from configs.schema import Profile
    from index.embedder import EmbedderLike

SETS = ("mediqa", "liveqa", "medquad")
COUNT = 400
BASE = "deployed"
"""The system that every other one is compared with."""
COMPARED = ("map", "p@1", "ndcg@10")
"""Measures by which they are compared, question by question."""
NAMES = {
    judged.MEDIQA["liveqa"]: "LiveQA-Med (MEDIQA task 3)",
    judged.MEDIQA["alexa"]: "Alexa (MEDIQA task 3)",
    judged.MEDIQA["validation"]: "Validation (MEDIQA task 3)",
}
DEPLOYED = (
    "the row deployed is the retriever as the chat uses it, over one index of the set's answers, each question's own "
    "answers ranked"
)


def tables(
    profile: Profile,
    index_folder: Path,
    data: Path,
    *,
    sets: Sequence[str] = SETS,
    files: Sequence[Path] = (),
    count: int = COUNT,
    medquad: Path | None = None,
    cache: Path | None = None,
    absent: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """All that was asked for, as {"sets": [...], "own": {...}}; figures are `eval.metrics.bootstrap.Figure.as_dict`s.

    `absent` is told of a judged set that is not there, whose tables are then left out; without it that is an error.
    `data` holds mediqa2019/, liveqa-med/ and, unless `medquad` names it, medquad.zip. `files` take the place of
    MEDIQA's own. `cache` is the folder of vectors (`index/cache.py`). Raises UserError for a file that is missing,
    is no XML, or holds no judged question, and for an index that is not there.
    """
    from eval.retrieval.own_questions import own
    from index.embedder import embedder_of

    embedder = embedder_of(profile.embedder)
    result: dict[str, Any] = {"sets": []}
    judged_sets = {
        "mediqa": mediqa(profile, embedder, data / "mediqa2019", files, cache),
        "liveqa": liveqa(profile, embedder, medquad or data / "medquad.zip", data / "liveqa-med", cache),
    }
    for name in (name for name in judged_sets if name in sets):
        try:
            result["sets"] += judged_sets[name]
        except judged.Absent as error:
            if absent is None:
                raise
            absent(f"{error}; retrieval is not measured on {name}")
    if "medquad" in sets:
        result["own"] = own(profile, embedder, index_folder, count)
    return result


def mediqa(
    profile: Profile, embedder: EmbedderLike, folder: Path, files: Sequence[Path] = (), cache: Path | None = None
) -> Iterator[dict[str, Any]]:
    """The table of each file, or of MEDIQA's two training sets and validation set in `folder`."""
    from eval.retrieval.systems import Answers

    # All files are read before anything is embedded: a mistake shows at once.
    read = [(path.name, judged.read_mediqa(path)) for path in list(files) or [folder / file for file in NAMES]]
    for file, questions in read:
        name = NAMES.get(file, file)
        answers = Answers(name, questions, profile, embedder, cache)
        policy = "one grade an answer; every given answer is ranked"
        systems = {"CHiQA rank": answers.ranks(), **answers.systems()}
        yield {"name": name, "policy": policy, **table(questions, systems)}


def liveqa(
    profile: Profile, embedder: EmbedderLike, medquad: Path, folder: Path, cache: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Tables of the judgements over MedQuAD: by the message as typed and by its summary, by either of two grades."""
    from eval.retrieval.systems import Answers

    judgements = judged.qrels(medquad)
    asked = {item.number: item for item in judged.liveqa(folder)}
    texts = judged.judged_answers(medquad)
    for kind in ("as typed", "NLM summary"):
        name = f"LiveQA-Med over MedQuAD, {kind}"
        systems: dict[str, list[np.ndarray]] = {}
        for at, grade in enumerate(("highest", "lowest")):
            questions = judged.judged_questions(judgements, asked, texts, kind == "as typed", at)
            # Both grades go with the same texts, so the scores are the same.
            systems = systems or Answers(name, questions, profile, embedder, cache, whole=True).systems()
            policy = f"the {grade} of two grades of a repeated pair; condensed to judged answers"
            yield {"name": name, "policy": policy, **table(questions, systems)}


def table(questions: Sequence[judged.Question], systems: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Any]:
    """Counts, every system's figures, and BASE minus each other system; intervals are by question, paired."""
    bootstrap = ClusterBootstrap(range(len(questions)), RESAMPLES)
    rows = {
        name: [
            measures([question.answers[at].grade for at in order(one)])
            for question, one in zip(questions, scores, strict=True)
        ]
        for name, scores in systems.items()
    }

    def difference(name: str, measure: str) -> dict[str, Any]:
        base, other = ([row[measure] for row in rows[one]] for one in (BASE, name))
        return bootstrap.difference(base, other).as_difference()

    return {
        "n": len(questions),
        "intervals_by": "question",
        "deployed": DEPLOYED,
        "answers": sum(len(question.answers) for question in questions),
        "with a correct answer": sum(any(a.grade >= judged.CORRECT for a in one.answers) for one in questions),
        "systems": {name: bootstrap.means(found) for name, found in rows.items()},
        "differences": [
            {"a": BASE, "b": name, "metric": measure, **difference(name, measure)}
            for name in rows
            if name != BASE
            for measure in COMPARED
        ],
    }


def markdown(result: Mapping[str, Any]) -> str:
    """The tables in Markdown, every figure with its 95% interval."""
    lines: list[str] = []
    for one in result["sets"]:
        lines += [
            f"### {one['name']}",
            "",
            f"{one['n']} questions, {one['with a correct answer']} with a correct answer; {one['answers']} answers. "
            f"{sentence(one['policy'])} {sentence(one['deployed'])} 95% intervals by {one['intervals_by']}.",
            "",
            *_rows("system", one["systems"]),
            "",
            *(f"- {_said(row)}" for row in one["differences"]),
            "",
        ]
    if own := result.get("own"):
        lines += [
            "### The corpus's own test questions over the whole index",
            "",
            "Found: the pair itself, or one with the very same answer text.",
            "Topic: a page of the same focus, or the same document.",
            *([sentence(own["caveat"])] if own.get("caveat") else []),
            f"{sentence(own['deployed'])} 95% intervals by {own['intervals_by']}.",
            "",
            *_rows("questions", {name: row for name, row in own.items() if isinstance(row, dict)}),
            "",
        ]
    return "\n".join(lines)


def _rows(first: str, table: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = list(next(iter(table.values())))
    lines = ["| " + " | ".join([first, *names]) + " |", "|---" * (len(names) + 1) + "|"]
    for name, row in table.items():
        cells = [str(row[key]) if key == "n" else _cell(row[key]) for key in names]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return lines


def _cell(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


def _said(row: Mapping[str, Any]) -> str:
    interval = f"{row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
    remark = "" if row["shown"] else ", no difference shown"
    return f"{row['a']} minus {row['b']}, {row['metric']}: {interval}{remark}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments; `--set` takes a set's name or, as in other commands, a field of the profile."""
    where = "folder with mediqa2019/, liveqa-med/ and medquad.zip (default: where the variable MEDQUAD's file is)"
    parser.add_argument("--data", type=Path, help=where)
    parser.add_argument("--medquad", type=Path, help="MedQuAD's archive (default: the variable MEDQUAD)")
    parser.add_argument("--file", type=Path, action="append", default=[], help="a file of MEDIQA task 3; repeatable")
    parser.add_argument("--index", type=Path, help="the index of the whole corpus (default: data/index)")
    each = f"the corpus's own questions of each kind (default: {COUNT})"
    parser.add_argument("-n", type=int, default=COUNT, help=each)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the tables there")
    entry.add_arguments(parser)
    parser.epilog = f"--set also takes {', '.join(SETS)} (default: all, or mediqa with --file); it may be repeated"


def main(args: argparse.Namespace) -> int:
    """Measure, print, and write where asked."""
    sets = [value for value in args.overrides if "=" not in value]
    args.overrides = [value for value in args.overrides if "=" in value]
    sets = list(dict.fromkeys(sets)) or (["mediqa"] if args.file else list(SETS))
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise UserError(f"--set {unknown[0]}: no such set; there are {', '.join(SETS)}, or SECTION.KEY=VALUE")
    if args.file and "mediqa" not in sets:
        raise UserError("--file gives answers to rank again: use it with --set mediqa")
    if args.data is None and (set(sets) - {"medquad"}) and not (args.file and sets == ["mediqa"]):
        raise UserError("where are the judged questions? Give --data FOLDER with mediqa2019/ and liveqa-med/")
    if args.n < 1:
        raise UserError(f"-n {args.n}: at least one question is needed")
    # Before the work, for it takes minutes.
    if args.json and (args.json.is_dir() or not args.json.parent.is_dir()):
        wrong = "a folder, not a file" if args.json.is_dir() else f"there is no folder {args.json.parent}"
        raise UserError(f"--json {args.json}: {wrong}")
    result = tables(
        entry.load_for(args),
        args.index or entry.index_folder(),
        args.data or Path(),
        sets=sets,
        files=args.file,
        count=args.n,
        medquad=args.medquad,
        cache=entry.data_folder() / "cache" / "embeddings",
    )
    print(markdown(result))
    if args.json:
        try:
            write_json(args.json, result)
        except OSError as error:
            raise UserError(f"--json {args.json}: cannot be written ({error.strerror})") from None
    return 0
