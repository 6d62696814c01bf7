"""Whether retrieval puts good answers first: questions whose answers people judged, and MedQuAD's own test questions.

    python -m eval retrieval --data FOLDER [--set mediqa|liveqa|medquad] [--file F ...] [-n 400] [--json FILE]

`FOLDER` holds `mediqa2019/`, `liveqa-med/` and `medquad.zip` as their maintainers lay them out.

mediqa   MEDIQA-2019 task 3: the given answers of each question, ranked again; any file of that format with --file.
liveqa   the LiveQA-Med judgements over MedQuAD, condensed to the judged answers of each question. The texts of the
         answers that MedQuAD withdrew are read from the judgements: to score a ranking, never to serve an answer.
medquad  MedQuAD's questions of the test topics over the whole index, as written and reworded (`eval/datasets/own.py`).

"dense" is the score of the retriever without BM25 and names, unchanged; of the rows over judged answers it is the
nearest to what the chat uses. The re-ranker weighs more of what an answer shows (`systems.py`); it is for this
evaluation only, no retriever uses it. Its features and weights were chosen on MEDIQA's Alexa questions alone. On those
the weights are cross-validated, each fifth of the file scored by weights fitted on the rest; the choice of the features
is not.

Intervals over judged answers are by question, those of MedQuAD's own questions by topic.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError
from eval.report.wording import sentence

if TYPE_CHECKING:
    import numpy as np

    from configs.schema import Profile
    from eval.datasets.judged import Question
    from eval.retrieval.systems import Answers, Encode
    from index.embedder import EmbedderLike

SETS = ("mediqa", "liveqa", "medquad")
COUNT = 400
RERANKER = "re-ranker (evaluation only)"
"""The row of `systems.py`, which is not the retriever that `rag/retrieval/hybrid.py` calls hybrid."""
COMPARED = ("map", "p@1", "ndcg@10")
"""Measures by which the re-ranker is held against each other system, question by question."""
NAMES = {
    "liveqa": "LiveQA-Med (MEDIQA task 3)",
    "alexa": "Alexa (MEDIQA task 3)",
    "validation": "Validation (MEDIQA task 3)",
}
TUNED_ON = "alexa"
WEIGHTS = {"title": 1.91, "passage": 7.86, "passages": 3.68, "lexical": 0.13, "asked": 1.76, "held": 1.09}
"""What `eval.retrieval.systems.fit` gives on all Alexa questions with the embedder all-MiniLM-L6-v2."""
FITTED = f"{RERANKER}: weights and features chosen on {NAMES[TUNED_ON]}, on nothing of this set"
CROSS_VALIDATED = f"{RERANKER}: features chosen on this very set; weights cross-validated, a fifth at a time"
DEPLOYED = (
    "no row is the retriever as deployed, which ranks a whole index: the nearest is dense, its score without BM25 and "
    "the topics' names"
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
    seed: int = 0,
    absent: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """All that was asked for, as {"sets": [...], "own": {...}}; figures are `eval.metrics.ranking.figure`s.

    `absent` is told of a judged set that is not there, whose tables are then left out; without it that is an error.
    `data` holds mediqa2019/, liveqa-med/ and, unless `medquad` names it, medquad.zip. `files` take the place of
    MEDIQA's own. `cache` is the folder of vectors (`index/cache.py`). Raises UserError for an unknown set, a file
    that is missing, is no XML, or holds no judged question, and for an index that is not there.
    """
    from eval.datasets.judged import Absent
    from eval.retrieval.own_questions import own
    from index.embedder import Embedder

    for name in sets:
        if name not in SETS:
            raise UserError(f"{name!r} is not a set of judged questions; there are {', '.join(SETS)}")
    embedder = Embedder(profile.embedder)
    result: dict[str, Any] = {"sets": []}
    judged_sets: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "mediqa": lambda: mediqa(profile, embedder, data / "mediqa2019", files, cache),
        "liveqa": lambda: liveqa(profile, embedder, medquad or data / "medquad.zip", data / "liveqa-med", cache),
    }
    for name, measure in judged_sets.items():
        if name not in sets:
            continue
        try:
            result["sets"] += measure()
        except Absent as error:
            if absent is None:
                raise
            absent(f"{error}; retrieval is not measured on {name}")
    if "medquad" in sets:
        result["own"] = own(profile, embedder, index_folder, count, seed)
    return result


def mediqa(
    profile: Profile, embedder: EmbedderLike, folder: Path, files: Sequence[Path] = (), cache: Path | None = None
) -> list[dict[str, Any]]:
    """The table of each file, or of MEDIQA's two training sets and validation set in `folder`."""
    from eval.datasets.judged import MEDIQA, read_mediqa

    # All files are read before anything is embedded: a mistake shows at once.
    names = {MEDIQA[key]: name for key, name in NAMES.items()}
    chosen = list(files) or [folder / file for file in names]
    read = [(path.name, read_mediqa(path)) for path in chosen]
    found: list[dict[str, Any]] = []
    for file, questions in read:
        name, fitted_here = names.get(file, file), file == MEDIQA[TUNED_ON]
        answers, encode = _prepare(name, questions, profile, embedder, cache)
        systems = {
            "CHiQA rank": answers.ranks,
            "BM25": answers.bm25,
            "BM25, one question's answers": answers.bm25_within,
            "MiniLM, best window": answers.plain(encode),
            "dense": answers.dense(encode),
            RERANKER: _reranked(answers, encode, cross_validated=fitted_here),
        }
        found.append(
            {
                "name": name,
                "policy": "one grade an answer; every given answer is ranked",
                "tuned": CROSS_VALIDATED if fitted_here else FITTED,
                **table(questions, systems),
            }
        )
    return found


def liveqa(
    profile: Profile, embedder: EmbedderLike, medquad: Path, folder: Path, cache: Path | None = None
) -> list[dict[str, Any]]:
    """Tables of the judgements over MedQuAD: by the message as typed and by its summary, by either of two grades."""
    from eval.datasets import judged

    judgements = judged.qrels(medquad)
    asked = {item.number: item for item in judged.liveqa(folder)}
    texts = judged.judged_answers(medquad)
    found: list[dict[str, Any]] = []
    for kind in ("as typed", "NLM summary"):
        scores: dict[str, list[np.ndarray]] = {}
        for at, policy in enumerate(("highest", "lowest")):
            questions = judged.judged_questions(judgements, asked, texts, kind == "as typed", at)
            name = f"LiveQA-Med over MedQuAD, {kind}"
            if not scores:
                # Both policies rank alike: only the grades differ.
                answers, encode = _prepare(name, questions, profile, embedder, cache, whole=True)
                scores = {
                    "BM25": answers.bm25,
                    "BM25, one question's answers": answers.bm25_within,
                    "MiniLM on question + answer": answers.first(encode),
                    "dense": answers.dense(encode),
                    RERANKER: _reranked(answers, encode),
                }
            found.append(
                {
                    "name": name,
                    "policy": f"the {policy} of two grades of a repeated pair; condensed to judged answers",
                    "tuned": FITTED,
                    **table(questions, scores),
                }
            )
    return found


def table(questions: Sequence[Question], systems: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Any]:
    """Counts, every system's figures, and the re-ranker minus each other system; intervals are by question, paired."""
    from eval.datasets.judged import CORRECT
    from eval.metrics.ranking import difference, figures, measures, order

    rows = {
        name: [
            measures([question.answers[at].grade for at in order(one)])
            for question, one in zip(questions, scores, strict=True)
        ]
        for name, scores in systems.items()
    }
    return {
        "n": len(questions),
        "intervals_by": "question",
        "deployed": DEPLOYED,
        "answers": sum(len(question.answers) for question in questions),
        "with a correct answer": sum(
            any(answer.grade >= CORRECT for answer in question.answers) for question in questions
        ),
        "systems": {name: figures(found) for name, found in rows.items()},
        "differences": [
            {"a": RERANKER, "b": name, "metric": measure, **difference(rows[RERANKER], rows[name], measure)}
            for name in rows
            if name != RERANKER
            for measure in COMPARED
        ],
    }


def _prepare(
    name: str,
    questions: Sequence[Question],
    profile: Profile,
    embedder: EmbedderLike,
    cache: Path | None,
    whole: bool = False,
) -> tuple[Answers, Encode]:
    """The answers and a look-up of their vectors, all embedded at once; `whole`: for `Answers.first`, not `plain`."""
    import numpy as np

    from eval.retrieval.systems import Answers
    from index.cache import encode
    from index.progress import shown

    answers = Answers(questions, profile, embedder.count_tokens)
    texts = answers.texts(whole)
    done = 0
    with shown() as say:

        def progress(count: int) -> None:
            nonlocal done
            done += count
            say(name, done, len(texts))

        vectors = encode(texts, embedder, cache, progress)
    row = {text: at for at, text in enumerate(texts)}
    return answers, lambda wanted: np.asarray(vectors[[row[text] for text in wanted]])


def _reranked(answers: Answers, encode: Encode, cross_validated: bool = False) -> list[np.ndarray]:
    import numpy as np

    from eval.retrieval.systems import FEATURES, held_out

    features = answers.features(encode)
    if cross_validated:
        return held_out(features, [[answer.grade for answer in one.answers] for one in answers.questions])
    return [rows @ np.array([WEIGHTS[name] for name in FEATURES]) for rows in features]


def markdown(result: Mapping[str, Any]) -> str:
    """The tables in Markdown, every figure with its 95% interval."""
    lines: list[str] = []
    for one in result["sets"]:
        lines += [f"### {one['name']}", ""]
        lines += [
            f"{one['n']} questions, {one['with a correct answer']} with a correct answer; {one['answers']} answers. "
            f"{sentence(one['policy'])} {sentence(one['tuned'])} {sentence(one['deployed'])} "
            f"95% intervals by {one['intervals_by']}.",
            "",
            *_rows("system", one["systems"]),
            "",
        ]
        lines += [f"- {_said(row)}" for row in one["differences"]] + [""]
    if "own" in result:
        own = result["own"]
        lines += ["### The corpus's own test questions over the whole index", ""]
        lines += ["Found: the pair itself, or one with the very same answer text."]
        lines += ["Topic: a page of the same focus, or the same document."]
        lines += [f"{sentence(own['caveat'])}"] if own.get("caveat") else []
        lines += [f"{sentence(own['deployed'])} 95% intervals by {own['intervals_by']}.", ""]
        lines += [*_rows("questions", {name: row for name, row in own.items() if isinstance(row, dict)}), ""]
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
    return f"{row['a']} minus {row['b']}, {row['metric']}: {interval}" + (
        "" if row["shown"] else ", no difference shown"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments; `--set` takes a set's name or, as in other commands, a field of the profile."""
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with mediqa2019/, liveqa-med/ and medquad.zip (default: where the variable MEDQUAD's file is)",
    )
    parser.add_argument("--medquad", type=Path, help="MedQuAD's archive (default: the variable MEDQUAD)")
    parser.add_argument("--file", type=Path, action="append", default=[], help="a file of MEDIQA task 3; repeatable")
    parser.add_argument("--index", type=Path, help="the index of the whole corpus (default: data/index)")
    parser.add_argument(
        "-n", type=int, default=COUNT, help=f"the corpus's own questions of each kind (default: {COUNT})"
    )
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
            args.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
        except OSError as error:
            raise UserError(f"--json {args.json}: cannot be written ({error.strerror})") from None
    return 0
