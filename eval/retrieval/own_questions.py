"""Whether the corpus's own test questions find their page in the whole index, as written and reworded.

No command of its own; `python -m eval retrieval --set medquad` prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.schema import Profile
from eval.datasets import own as topics
from eval.metrics.bootstrap import ClusterBootstrap
from eval.metrics.ranking import RESAMPLES
from index import splits
from index.corpus import QAPair
from index.embedder import EmbedderLike
from index.progress import shown
from index.store import Index
from rag.retrieval.hits import Hit
from rag.retrieval.hybrid import HybridRetriever

Find = Callable[[str, int], Sequence[Hit]]
"""A question and how many passages are wanted, to passages, best first."""
RECALL_AT = (1, 3, 5, 10)
DEPTH = 10
"""Different pairs looked at for a question; past them a reciprocal rank is 0."""
DEPLOYED = (
    "the rows that name nothing more are the retriever as deployed, whatever its confidence; those not ranked again, "
    "and of these those alone, leave a part of it out"
)


def own(profile: Profile, embedder: EmbedderLike, index_folder: Path, count: int) -> dict[str, Any]:
    """The corpus's own test questions over the whole index: recall@1, 3, 5, 10 and MRR of the pair, and of its topic.

    The retriever as it is used; with the very synonym that a reworded question uses left out of the names it knows; the
    first rankings without the re-ranker, and of these the embedder alone (no names, no BM25) and BM25 alone. "n" counts
    questions. Beside the rows, "intervals_by" is what the intervals draw, and "deployed" says which rows are the
    retriever as it is used. Raises UserError for an index without test questions.
    """
    index = Index.open(index_folder)
    pairs = list(index.pairs)
    made = splits.make(pairs, index.manifest.corpus_digest)
    rows = made.rows(pairs, "test")
    kinds = {"as written": topics.own(pairs, rows, count), "reworded": topics.reworded(pairs, rows, count)}
    dense = {"lexical_weight": 0.0, "name_weight": 0.0}
    bm25 = {"question_weight": 0.0, "passage_weight": 0.0, "lexical_weight": 1.0, "name_weight": 0.0}
    changes: dict[str, dict[str, float]] = {", not ranked again": {}, ", embedder alone": dense, ", BM25 alone": bm25}
    ways: dict[str, Find] = {"": _deployed(HybridRetriever.create(index, embedder, profile.retriever))}
    for name, change in changes.items():
        settings = profile.retriever.model_copy(update=change)
        ways[name] = HybridRetriever.create(index, embedder, settings).propose
    asked = [(kind, name, ways[name]) for kind, questions in kinds.items() if questions for name in ways]
    if hidden := frozenset(one.synonym.lower() for one in kinds["reworded"]):
        retriever = HybridRetriever(index=index, embedder=embedder, settings=profile.retriever, hidden_names=hidden)
        asked.append(("reworded", ", synonym not in the list of names", _deployed(retriever)))
    if not asked:
        raise UserError(f"{index_folder}: the index has no test questions to ask")
    result: dict[str, Any] = {}
    for kind, name, find in asked:
        clusters = [made.topic_of[pairs[one.row].id] for one in kinds[kind]]
        result[kind + name] = measure(kind + name, find, pairs, kinds[kind], clusters)
    said = {"caveat": made.caveat} if made.caveat else {}
    return {**result, "intervals_by": "topic", "deployed": DEPLOYED, **said}


def _deployed(retriever: HybridRetriever) -> Find:
    return lambda question, k: retriever.retrieve(question, k).hits


def measure(
    name: str, find: Find, corpus: Sequence[QAPair], questions: Sequence[topics.Asked], clusters: Sequence[int]
) -> dict[str, Any]:
    """The row of a way to find passages and some questions on the pairs of `corpus`.

    A pair counts as found by its very answer text under another question. Near-repeats are shown once, so of two pairs
    with one text either may stand for both. `clusters`: each question's topic. `name` is for the progress line.
    """
    rows = []
    with shown() as say:
        for done, asked in enumerate(questions, 1):
            wanted = corpus[asked.row]
            pairs = list({hit.pair.id: hit.pair for hit in find(asked.question, 3 * DEPTH)}.values())[:DEPTH]
            itself = [pair.id == wanted.id or pair.answer == wanted.answer for pair in pairs]
            topic = [topics.same_topic(wanted, pair) for pair in pairs]
            rows.append(ranks(itself) | {f"topic {name}": value for name, value in ranks(topic).items()})
            say(name, done, len(questions))
    return {"n": len(questions), **ClusterBootstrap(clusters, RESAMPLES).means(rows)}


def ranks(right: Sequence[bool]) -> dict[str, float]:
    """recall@k for RECALL_AT and the reciprocal rank, where one right pair is wanted; `right` is best-ranked first."""
    first = right.index(True) if True in right else None
    found = {f"recall@{k}": float(first is not None and first < k) for k in RECALL_AT}
    return found | {"mrr": 0.0 if first is None else 1 / (first + 1)}
