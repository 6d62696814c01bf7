"""A question's given answers, ranked by the code that the chat ranks its own with.

No command of its own; `systems.py` has it as one of its systems. The answers of all questions of a set are one index,
built as any corpus's, so that a word's rarity and the names of topics are those of a corpus; what another question was
given is then left out before anything is ranked again, as `medcite eval calibrate reranker` leaves out a topic. An
answer is worth its best passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from configs.files import digest
from configs.schema import Profile
from eval.datasets.judged import Given, Question
from index.build import build
from index.corpus import QAPair
from index.embedder import EmbedderLike
from index.progress import shown
from index.readers import ReadReport
from index.sources import Corpus
from rag.retrieval.hybrid import HybridRetriever
from rag.retrieval.ranking import score
from rag.retrieval.reranker import Reranker, candidates, spread


def deployed(
    name: str, questions: Sequence[Question], profile: Profile, embedder: EmbedderLike, cache: Path | None
) -> list[np.ndarray]:
    """Scores of each question's answers, (n_answers,), in their order; -inf for an answer without text.

    `name` is for the progress line, `cache` the folder of vectors (`index/cache.py`). Raises UserError as `build`.
    """
    rows: dict[Given, int] = {}
    own = [[rows.setdefault(_text(answer), len(rows)) for answer in one.answers] for one in questions]
    pairs = [_pair(row, answer) for answer, row in rows.items()]
    corpus = Corpus(pairs, digest(repr(pairs)), name, ReadReport())
    found = []
    with TemporaryDirectory() as folder, shown() as say:
        index = build(corpus, Path(folder), profile.passages, embedder, profile.index, embeddings=cache)
        # Every passage is proposed: no given answer is lost before it is ranked.
        every = profile.retriever.model_copy(update={"candidates": max(len(index.passages), 1)})
        retriever = HybridRetriever.create(index, embedder, every)
        model = Reranker.load()
        model.check(embedder.fingerprint)
        for done, (question, given) in enumerate(zip(questions, own, strict=True), 1):
            values = ranked(retriever, model, question.text, given)
            found.append(np.array([values.get(row, -np.inf) for row in given]))
            say(f"{name}, deployed", done, len(questions))
    return found


def ranked(retriever: HybridRetriever, model: Reranker, question: str, pairs: Sequence[int]) -> dict[int, float]:
    """What each of these pairs (rows of the index) is worth by its best passage, of those that have one."""
    asked = retriever.asked(retriever.searched(question).text)
    scored = score(asked, retriever.state, retriever.settings)
    scored = scored.only(np.isin(scored.pairs, pairs))
    weighed = retriever.weigh(model, asked, scored, candidates(asked, scored, retriever.state))
    worth = spread(scored, weighed.ranks)
    return {int(pair): float(worth[scored.pairs == pair].max()) for pair in np.unique(scored.pairs)}


def _text(answer: Given) -> Given:
    """What of an answer the ranking may see: the same text given to two questions is one pair."""
    return replace(answer, id="", grade=0, rank=0)


def _pair(row: int, answer: Given) -> QAPair:
    return QAPair(
        str(row),
        answer.title,
        answer.body,
        question_type=answer.kind,
        focus=answer.focus,
        synonyms=answer.synonyms,
        # "#" stands where CHiQA knew no page.
        url=answer.url.strip("#"),
    )
