"""Whether the corpus's own test questions find their page in the whole index, as written and reworded.

No command of its own; `python -m eval retrieval --set medquad` prints it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import UserError

if TYPE_CHECKING:
    from configs.schema import Profile
    from eval.datasets.own import Asked
    from index.embedder import EmbedderLike
    from rag.retrieval.hybrid import HybridRetriever

RECALL_AT = (1, 3, 5, 10)
DEPTH = 10
"""Different pairs looked at for a question; past them a reciprocal rank is 0."""
DEPLOYED = (
    "the rows that name nothing more are the retriever as deployed, whatever its confidence; the others leave a part "
    "of it out"
)


def own(profile: Profile, embedder: EmbedderLike, index_folder: Path, count: int, seed: int = 0) -> dict[str, Any]:
    """The corpus's own test questions over the whole index: recall@1, 3, 5, 10 and MRR of the pair, and of its topic.

    The retriever as it is used; with the very synonym that a reworded question uses left out of the names it knows;
    the embedder alone (no names, no BM25); BM25 alone. "n" counts questions. Beside the rows, "intervals_by" is what
    the intervals draw, and "deployed" says which rows are the retriever as it is used.
    """
    from eval.datasets import own as topics
    from index import splits
    from index.store import Index
    from rag.retrieval.hybrid import HybridRetriever

    index = Index.open(index_folder)
    pairs = list(index.pairs)
    made = splits.make(pairs, index.manifest.corpus_digest, seed)
    rows = made.rows(pairs, "test")
    kinds = {"as written": topics.own(pairs, rows, count), "reworded": topics.reworded(pairs, rows, count)}
    topics_of = {kind: [made.topic_of[pairs[asked.row].id] for asked in questions] for kind, questions in kinds.items()}
    usual = profile.retriever
    alone = {
        "embedder alone": usual.model_copy(update={"lexical_weight": 0.0, "name_weight": 0.0}),
        "BM25 alone": usual.model_copy(
            update={"question_weight": 0.0, "passage_weight": 0.0, "lexical_weight": 1.0, "name_weight": 0.0}
        ),
    }
    hidden = frozenset(asked.synonym.lower() for asked in kinds["reworded"])
    retrievers = {"": HybridRetriever.create(index, embedder, usual)}
    retrievers |= {f", {name}": HybridRetriever.create(index, embedder, value) for name, value in alone.items()}
    result: dict[str, Any] = {}
    for kind, questions in kinds.items():
        if not questions:
            continue
        for name, retriever in retrievers.items():
            result[kind + name] = measure(kind + name, retriever, questions, topics_of[kind])
    if hidden:
        name = "reworded, synonym not in the list of names"
        retriever = HybridRetriever(index=index, embedder=embedder, settings=usual, hidden_names=hidden)
        result[name] = measure(name, retriever, kinds["reworded"], topics_of["reworded"])
    if not result:
        raise UserError(f"{index_folder}: the index has no test questions to ask")
    said = {"caveat": made.caveat} if made.caveat else {}
    return {**result, "intervals_by": "topic", "deployed": DEPLOYED, **said}


def measure(kind: str, retriever: HybridRetriever, questions: Sequence[Asked], topics: Sequence[int]) -> dict[str, Any]:
    """The row of a retriever and some questions. A pair counts as found by its very answer text under another question.

    Near-repeats are shown once, so of two pairs with one text either may stand for both. `topics`: each question's.
    """
    from eval.datasets.own import same_topic
    from eval.metrics.ranking import figures
    from index.progress import shown

    rows = []
    with shown() as say:
        for done, asked in enumerate(questions, 1):
            wanted = retriever.index.pairs[asked.row]
            hits = retriever.examine(asked.question, 3 * DEPTH)[0].hits
            pairs = list({hit.pair.id: hit.pair for hit in hits}.values())[:DEPTH]
            itself = [pair.id == wanted.id or pair.answer == wanted.answer for pair in pairs]
            topic = [same_topic(wanted, pair) for pair in pairs]
            rows.append(ranks(itself) | {f"topic {name}": value for name, value in ranks(topic).items()})
            say(kind, done, len(questions))
    return {"n": len(questions), **figures(rows, topics=topics)}


def ranks(right: Sequence[bool]) -> dict[str, float]:
    """recall@k for RECALL_AT and the reciprocal rank, where one right pair is wanted; `right` is best-ranked first."""
    first = right.index(True) if True in right else None
    found = {f"recall@{k}": float(first is not None and first < k) for k in RECALL_AT}
    return found | {"mrr": 0.0 if first is None else 1 / (first + 1)}
