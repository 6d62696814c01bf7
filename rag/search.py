"""Retrieval alone, as the chat does it: `medcite search "What causes gout?"`, or `python -m rag.search`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError, run

if TYPE_CHECKING:
    from rag.retrieval.hits import Retrieval


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(
        prog=entry.prog("rag.search"), description="Show the passages that the chat would find for a question."
    )
    result.add_argument("question", nargs="+", help="the question")
    result.add_argument("-k", type=int, default=5, help="how many passages (default: 5)")
    result.add_argument("--json", action="store_true", help="one JSON object a line")
    entry.add_index(result)
    entry.add_arguments(result)
    return result


def main() -> int:
    """Search and print."""
    args = parser().parse_args()
    question = " ".join(args.question).strip()
    if args.k < 1:
        raise UserError(f"-k {args.k}: give 1 or more")
    if not question:
        raise UserError("the question is empty")
    profile = entry.load_for(args)
    from rag.pipeline import Pipeline, clean

    pipeline = Pipeline.open(profile, args.index, entry.data_folder() / "models", unfinished=True)
    if pipeline.growing:
        print(pipeline.growing, file=sys.stderr)
    question = clean(question)
    found = pipeline.retriever.retrieve(question, args.k)
    for row in rows(question, found):
        print(json.dumps(row, ensure_ascii=False) if args.json else text(row))
    if not args.json:
        covered = found.confidence >= profile.retriever.abstain_below
        print(f"confidence {found.confidence:.3f}: the chat would {'answer' if covered else 'not answer'}")
    return 0


def rows(question: str, found: Retrieval) -> list[dict[str, Any]]:
    """The passages, best first, as the reader of an answer would see them: rank, scores, source."""
    from rag.retrieval.names import Said
    from rag.sources import source

    said = Said.of(question)
    return [
        {
            "rank": n,
            "score": hit.score,
            "question_cosine": hit.question_cosine,
            "cosine": hit.passage_cosine,
            "bm25": hit.lexical,
            "passage": hit.passage.id,
            **source(n, hit, said).model_dump(
                include={"title", "question", "institute", "url", "text", "demonstration", "doses_left_out", "repairs"}
            ),
        }
        for n, hit in enumerate(found.hits, 1)
    ]


def text(row: dict[str, Any]) -> str:
    """A row for a terminal."""
    from index.corpus import titled

    mark = "  (demonstration text, not from NIH)" if row["demonstration"] else ""
    passage = " ".join(row["text"].split())
    return "\n".join(
        (
            f"{row['rank']}. {titled(row['title'], row['question'])}{mark}",
            f"   {row['institute']}  {row['url']}".rstrip(),
            f"   score {row['score']:.2f} (question {row['question_cosine']:.2f}, passage {row['cosine']:.2f}, "
            f"BM25 {row['bm25']:.1f}): {passage[:200]}{'…' if len(passage) > 200 else ''}\n",
        )
    )


if __name__ == "__main__":
    run(main)
