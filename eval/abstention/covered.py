"""Whether it is known what the corpus covers: shares of questions answered rather than declined.

    python -m eval coverage --judged FOLDER --medquad medquad.zip [--index FOLDER] [--json]

Should be answered: the LiveQA-Med questions with a correct answer (grade 3 or 4) whose text MedQuAD still holds.
The question is what the person typed, subject and message; the NLM's one-line summary is reported beside it.
Should not: the test half of `eval/datasets/questions/uncovered.jsonl`. Neither was used to calibrate.
`FOLDER` holds `liveqa-med/`, as its maintainers lay it out, and `medquad.zip` unless --medquad names it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry

if TYPE_CHECKING:
    from configs.schema import Profile
    from rag.retrieval.hybrid import HybridRetriever


def run(profile: Profile, index_folder: Path, data: Path | None, medquad: Path | None = None) -> dict[str, Any]:
    """Shares answered with n and 95% intervals; the LiveQA-Med part only where `data` is given."""
    from eval.datasets import judged
    from eval.datasets.consumers import uncovered
    from eval.metrics.shares import milliseconds, share
    from index.embedder import Embedder
    from index.store import Index
    from rag.retrieval.hybrid import HybridRetriever

    index = Index.open(index_folder)
    retriever = HybridRetriever.create(index, Embedder(profile.embedder), profile.retriever)
    retriever.retrieve("What is asthma?")
    result: dict[str, Any] = {"abstain_below": profile.retriever.abstain_below}
    if data is not None:
        judgements = judged.qrels(medquad or data / "medquad.zip")
        questions = {item.number: item for item in judged.liveqa(data / "liveqa-med")}
        times: list[float] = []
        for policy, highest in (("highest grade", True), ("lowest grade", False)):
            wanted = [questions[number] for number in judged.answerable(judgements, highest)]
            answered, times = _answered(retriever, [item.original for item in wanted])
            result[f"covered, as typed, {policy}"] = share(answered)
            result[f"covered, summarised, {policy}"] = share(_answered(retriever, [i.summary for i in wanted])[0])
            if highest:
                result["covered, declined"] = [
                    item.number for item, yes in zip(wanted, answered, strict=True) if not yes
                ]
                result["covered, judged page in top 5"] = share(
                    [_finds(retriever, item.original, judgements[item.number].open()) for item in wanted]
                )
        result["long messages, warm"] = milliseconds(times)
    test = uncovered("test")
    answered, _ = _answered(retriever, [question for question, _ in test])
    result["uncovered"] = share(answered)
    for kind in dict.fromkeys(kind for _, kind in test):
        result[f"uncovered, {kind}"] = share([yes for yes, (_, own) in zip(answered, test, strict=True) if own == kind])
    result["uncovered, answered"] = [question for (question, _), yes in zip(test, answered, strict=True) if yes]
    return result


def _answered(retriever: HybridRetriever, questions: Iterable[str]) -> tuple[list[bool], list[float]]:
    found, times = [], []
    for question in questions:
        begin = time.perf_counter()
        found.append(retriever.retrieve(question).confidence >= retriever.settings.abstain_below)
        times.append(time.perf_counter() - begin)
    return found, times


def _finds(retriever: HybridRetriever, question: str, grades: dict[str, tuple[int, int]]) -> bool:
    """Whether a page with a correct answer is among the five shown; the page counts, not its section."""
    from eval.datasets import judged

    right = set()
    for answer, grade in grades.items():
        if grade[0] >= judged.CORRECT:
            folder, question_id = judged.pair_key(answer)
            right.add((folder, question_id.split("-")[0]))
    return any(
        (hit.pair.collection, hit.pair.question_id.split("-")[0]) in right
        for hit in retriever.retrieve(question, 5).hits
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--judged", type=Path, metavar="FOLDER", help="with liveqa-med/ (default: where MEDQUAD is)")
    parser.add_argument("--medquad", type=Path, help="MedQuAD's zip or folder, for the judgements it ships")
    parser.add_argument("--index", type=Path, help="the index (default: data/index)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    result = run(entry.load_for(args, adapter=True), args.index or entry.index_folder(), args.judged, args.medquad)
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    for name, row in result.items():
        if isinstance(row, dict) and "share" in row:
            print(f"{name:40} {row['share']:.3f} [{row['low']:.3f}, {row['high']:.3f}] n={row['n']}")
        else:
            print(f"{name:40} {row}")
    return 0
