"""How long a question's retrieval takes, the index warm: `python -m eval bench retrieval`.

Whether the right page is found is measured by `python -m eval retrieval --set medquad`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from configs.schema import Profile


def run(profile: Profile, index_folder: Path, count: int = 1000) -> dict[str, Any]:
    """Times a question, of `count` of the corpus's own and `count` reworded, five passages each, one by one."""
    from eval.datasets.own import own, reworded
    from eval.metrics.shares import milliseconds
    from index.embedder import embedder_of
    from index.store import Index
    from rag.retrieval.hybrid import HybridRetriever

    index = Index.open(index_folder)
    retriever = HybridRetriever.create(index, embedder_of(profile.embedder), profile.retriever)
    pairs = list(index.pairs)
    retriever.retrieve("What is asthma?")
    times: list[float] = []
    for asked in (*own(pairs, range(len(pairs)), count), *reworded(pairs, range(len(pairs)), count)):
        begun = time.perf_counter()
        retriever.retrieve(asked.question, 5)
        times.append(time.perf_counter() - begun)
    return {"pairs": len(pairs), "passages": len(index.passages), "warm": milliseconds(times)}
