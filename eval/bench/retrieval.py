"""Whether retrieval finds the right topic, and how fast.

    python -m eval.bench.retrieval [--index FOLDER] [-n 1000] [--json]

MedQuAD's own questions, and the same with the focus replaced by one of its page's synonyms (one a page; the
focus' words stand nowhere in them). The right topic among the first five: a hit of the same normalised focus or
the same document. The reworded questions are asked three times: with all that the corpus knows; with the very
synonym that the question uses hidden from the list of names (it still stands in the text that BM25 reads); and
with no list of names and no BM25, which is what the embedder alone can do.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import run as run_entry

if TYPE_CHECKING:
    from configs.schema import Profile
    from eval.datasets.own import Asked
    from rag.retrieval.hybrid import HybridRetriever

COUNT = 1000
K = 5


def run(profile: Profile, index_folder: Path, data: Path | None = None, count: int = COUNT) -> dict[str, Any]:
    """Shares with n and 95% intervals, and warm times a question. `data` is not used."""
    from eval.datasets import own as topics
    from index.embedder import Embedder
    from index.splits import caveat
    from index.store import Index
    from rag.retrieval.hybrid import HybridRetriever

    index = Index.open(index_folder)
    embedder = Embedder(profile.embedder)
    retriever = HybridRetriever.create(index, embedder, profile.retriever)
    pairs = list(index.pairs)
    own = topics.own(pairs, range(len(pairs)), count)
    reworded = topics.reworded(pairs, range(len(pairs)), count)
    retriever.retrieve("What is asthma?")
    hidden = HybridRetriever(
        index=index,
        embedder=embedder,
        settings=profile.retriever,
        hidden_names=frozenset(asked.synonym.lower() for asked in reworded),
    )
    dense = profile.retriever.model_copy(update={"lexical_weight": 0.0, "name_weight": 0.0})
    result: dict[str, Any] = {"pairs": len(pairs), "passages": len(index.passages)}
    result["own questions"], times = ask(retriever, own)
    result["reworded"], more = ask(retriever, reworded)
    result["reworded, synonym not in the list of names"], _ = ask(hidden, reworded)
    result["reworded, embedder alone"], _ = ask(HybridRetriever.create(index, embedder, dense), reworded)
    result["warm"] = _milliseconds(times + more)
    if said := caveat(pairs):
        result["topics"] = said
    return result


def ask(retriever: HybridRetriever, questions: Sequence[Asked]) -> tuple[dict[str, Any], list[float]]:
    """Shares with the right topic first and among the first five, the same with shared UMLS concepts; seconds each."""
    from eval.datasets.own import same_concept, same_topic
    from eval.metrics.shares import share

    times: list[float] = []
    first, among, concept = [], [], []
    for asked in questions:
        begin = time.perf_counter()
        found = retriever.retrieve(asked.question, K).hits
        times.append(time.perf_counter() - begin)
        wanted = retriever.index.pairs[asked.row]
        right = [same_topic(wanted, hit.pair) for hit in found]
        first.append(bool(right) and right[0])
        among.append(any(right))
        concept.append(any(same_concept(wanted, hit.pair) for hit in found))
    return {"topic in top 5": share(among), "topic first": share(first), "concept in top 5": share(concept)}, times


def _milliseconds(times: Sequence[float]) -> dict[str, float]:
    from eval.metrics.shares import milliseconds

    return milliseconds(times)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m eval.bench.retrieval", description="Topic found, and how fast.")
    parser.add_argument("--index", type=Path, help="the index (default: data/index)")
    parser.add_argument("-n", type=int, default=COUNT, help=f"questions of each kind (default: {COUNT})")
    parser.add_argument("--json", action="store_true")
    entry.add_arguments(parser)
    args = parser.parse_args()
    result = run(entry.load_for(args), args.index or entry.index_folder(), count=args.n)
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    for name, row in result.items():
        if isinstance(row, dict) and "topic in top 5" in row:
            for measure, value in row.items():
                interval = f"[{value['low']:.3f}, {value['high']:.3f}]"
                print(f"{name:45} {measure:18} {value['share']:.3f} {interval} n={value['n']}")
        else:
            print(f"{name:45} {row}")
    return 0


if __name__ == "__main__":
    run_entry(main)
