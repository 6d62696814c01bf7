"""Whether it is known what the corpus covers: shares of questions answered rather than declined.

    python -m eval coverage --judged FOLDER --medquad medquad.zip [--index FOLDER] [--json]

Should be answered: the LiveQA-Med questions with a correct answer (grade 3 or 4) whose text MedQuAD still holds, as
typed, subject and message, and in the NLM's one-line summary. Should not: the test half of
`datasets/questions/uncovered.jsonl`. Neither was used to calibrate. `FOLDER` holds `liveqa-med/`, and `medquad.zip`
unless --medquad names it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from eval.datasets import judged
from eval.datasets.consumers import uncovered
from eval.metrics.shares import milliseconds, share

if TYPE_CHECKING:
    from configs.schema import Profile
    from rag.retrieval.hits import Retrieval
    from rag.retrieval.hybrid import HybridRetriever


def run(profile: Profile, index_folder: Path, data: Path | None, medquad: Path | None = None) -> dict[str, Any]:
    """Shares answered with n and 95% intervals; the LiveQA-Med part only where `data` is given."""
    from rag.pipeline import Pipeline

    pipeline = Pipeline.open(profile, index_folder, entry.data_folder() / "models")
    pipeline.retriever.retrieve("What is asthma?")
    below = profile.retriever.abstain_below
    result: dict[str, Any] = {"abstain_below": below}
    if data is not None:
        judgements = judged.qrels(medquad or data / "medquad.zip")
        questions = {item.number: item for item in judged.liveqa(data / "liveqa-med")}
        times: list[float] = []
        for at, policy in enumerate(("highest grade", "lowest grade")):
            numbers = judged.answerable(judgements, at)
            typed = [questions[number].original for number in numbers]
            summaries = [questions[number].summary for number in numbers]
            found, times = _retrieved(pipeline.retriever, typed)
            result[f"covered, as typed, {policy}"] = share([one.confidence >= below for one in found])
            brief, _ = _retrieved(pipeline.retriever, summaries)
            result[f"covered, summarised, {policy}"] = share([one.confidence >= below for one in brief])
            if at:
                continue
            each = list(zip(numbers, found, strict=True))
            result["covered, declined"] = [number for number, one in each if one.confidence < below]
            result["covered, judged page in top 5"] = share([_right(one, judgements[number]) for number, one in each])
        result["long messages, warm"] = milliseconds(times)
    asked, kinds = zip(*uncovered("test"), strict=True)
    answered = [one.confidence >= below for one in _retrieved(pipeline.retriever, asked)[0]]
    result["uncovered"] = share(answered)
    for kind in dict.fromkeys(kinds):
        result[f"uncovered, {kind}"] = share([yes for yes, own in zip(answered, kinds, strict=True) if own == kind])
    result["uncovered, answered"] = [question for question, yes in zip(asked, answered, strict=True) if yes]
    return result


def _retrieved(retriever: HybridRetriever, questions: Iterable[str]) -> tuple[list[Retrieval], list[float]]:
    """What each question finds, five passages, and the seconds that it takes."""
    found, times = [], []
    for question in questions:
        begin = time.perf_counter()
        found.append(retriever.retrieve(question, 5))
        times.append(time.perf_counter() - begin)
    return found, times


def _right(found: Retrieval, grades: judged.Grades) -> bool:
    """Whether a page with a correct answer is among those found; the page counts, not its section."""
    codes = {folder: code for code, folder in judged.FOLDERS.items()}
    pages = [(codes.get(hit.pair.collection), hit.pair.question_id.split("-")[0]) for hit in found.hits]
    right = [answer for answer, grade in grades.items() if grade[0] >= judged.CORRECT]  # as `GARD_0003219_Sec2.txt`
    return any(answer.startswith(tuple(f"{code}_{document}_" for code, document in pages)) for answer in right)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--judged", type=Path, metavar="FOLDER", help="with liveqa-med/ (default: where MEDQUAD is)")
    parser.add_argument("--medquad", type=Path, help="MedQuAD's zip or folder, for the judgements it ships")
    entry.add_index(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    result = run(entry.load_for(args, adapter=True), args.index, args.judged, args.medquad)
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    for name, row in result.items():
        if isinstance(row, dict) and "share" in row:
            print(f"{name:40} {row['share']:.3f} [{row['low']:.3f}, {row['high']:.3f}] n={row['n']}")
        else:
            print(f"{name:40} {row}")
    return 0
