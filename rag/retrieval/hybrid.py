"""Question to ranked passages: embeddings of questions and of passages, BM25 and the topics' names, fused.

    retriever = HybridRetriever.create(index, embedder, settings)
    retriever.retrieve("What are the symptoms of gout?", k=5)   # -> Retrieval
    retriever.invoke("What are the symptoms of gout?", k=5)     # -> LangChain documents

The passages are scored and ranked in `rag/retrieval/ranking.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, PrivateAttr

from configs.schema import Retriever
from rag.retrieval.confidence import Confidence, Features
from rag.retrieval.hits import Hit, Retrieval
from rag.retrieval.names import Said
from rag.retrieval.question import parts
from rag.retrieval.ranking import Asked, Scored, State, pick, score

RARE = 0.3
"""Weight past which a single word is a name and not a theme."""
REMEMBERED = 16
"""Texts whose vectors are kept: the emergency classifier and the search read the same question."""
FEATURE_HITS = 3
"""Best passages whose pages are asked whether they hold the question's words."""


class HybridRetriever(BaseRetriever):
    """Hybrid search over an opened index, as a LangChain retriever.

    `k` overrides `settings.k`. Documents carry the passage as text, and title, url, institute, pair, passage
    and score as metadata.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: Any = Field(description="an opened index.store.Index")
    embedder: Any = Field(description="an index.embedder.EmbedderLike")
    settings: Retriever = Retriever()
    k: int | None = None
    hidden_names: frozenset[str] = Field(frozenset(), description="names not to know; for measurements only")
    _state: State = PrivateAttr()
    _vectors: dict[str, np.ndarray] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Prepare what every question needs: pages, word weights and names. A fraction of a second."""
        self._state = State(self.index, self.hidden_names)

    @classmethod
    def create(cls, index: Any, embedder: Any, settings: Retriever) -> HybridRetriever:
        """A retriever over `index`, whose vectors `embedder` must have made."""
        return cls(index=index, embedder=embedder, settings=settings)

    def retrieve(self, question: str, k: int | None = None) -> Retrieval:
        """The best `k` passages, the confidence that they cover the question, and the nearest topics.

        Fewer than `k` only where the index holds fewer different ones. A question without a word is
        answered by an empty Retrieval.
        """
        found, features = self.examine(question, k)
        return replace(found, confidence=self._confidence(features) if found.hits else 0.0)

    def examine(self, question: str, k: int | None = None) -> tuple[Retrieval, Features]:
        """As `retrieve`, with confidence 0 and the features that it would be computed from."""
        wanted = k or self.k or self.settings.k
        texts = parts(question, self.settings.parts)
        if not any(character.isalnum() for character in question) or not len(self.index.passages):
            return Retrieval((), 0.0, ()), Features()
        state = self._state
        with _one_thread():
            asked = Asked(question, texts, self.encode(texts), state)
            scored = score(asked, state, self.settings)
        rows = pick(scored, state, self.settings, max(wanted, FEATURE_HITS))
        hits = tuple(self._hit(scored, at) for at in rows)
        features = state.features(asked, scored, [int(scored.rows[at]) for at in rows[:FEATURE_HITS]])
        nearest: dict[str, str] = {}
        for hit in hits:
            nearest.setdefault(hit.pair.title, hit.pair.asks)
        titles = tuple(nearest)[:3]
        questions = tuple(nearest[title] for title in titles)
        named = frozenset(row for name in asked.found for row in name.pairs.tolist())
        return Retrieval(hits[:wanted], 0.0, titles, questions, named), features

    @cached_property
    def _confidence(self) -> Confidence:
        # Loaded at the first question, so that calibration can examine questions before there is a model.
        model = Confidence.load()
        model.check(self.embedder.fingerprint)
        return model

    def names_topic(self, question: str) -> bool:
        """Whether a topic's name, of more than one word or a rare one, stands in the question."""
        for found in self._state.names.find(Said.of(question)):
            if len(found.words) > 1 or self._state.weight(found.words[0]) > RARE:
                return True
        return False

    @property
    def fingerprint(self) -> str:
        """The embedder's."""
        return str(self.embedder.fingerprint)

    def encode(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (n, d) of a few short texts, on one thread; the last ones asked for are remembered."""
        known = self._vectors
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            with _one_thread():
                known = {**known, **dict(zip(missing, self._embed(missing), strict=True))}
        found = np.vstack([known[text] for text in texts])
        self._vectors = dict(list(known.items())[-REMEMBERED:])
        return found

    def _embed(self, texts: list[str]) -> np.ndarray:
        """Vectors of the texts; the whole of a long message apart, so that its parts are not padded to its length."""
        if len(texts) <= 3:
            return np.asarray(self.embedder.encode(texts))
        return np.vstack([self.embedder.encode(texts[:1]), self.embedder.encode(texts[1:])])

    def _hit(self, scored: Scored, at: int) -> Hit:
        row = int(scored.rows[at])
        return Hit(
            row=row,
            passage=self.index.passages[row],
            pair=self.index.pairs[int(scored.pairs[at])],
            score=float(scored.score[at]),
            question_cosine=float(scored.question[at]),
            passage_cosine=float(scored.passage[at]),
            lexical=float(scored.lexical[at]),
        )

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return [document(hit) for hit in self.retrieve(query, k).hits]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: a few short texts gain nothing from two, and lose tenfold where the other core is busy.

    Measured on two cores beside another process: 17 ms a question with one thread, 240 ms with two.
    """
    torch = sys.modules.get("torch")  # absent where the embedder does not use it
    before = torch.get_num_threads() if torch else 1
    if torch is None or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def document(hit: Hit) -> Document:
    """A hit as LangChain knows it."""
    return Document(
        page_content=hit.passage.text,
        id=hit.passage.id,
        metadata={
            "title": hit.pair.title,
            "question": hit.pair.question,
            "url": hit.pair.url,
            "institute": hit.pair.institute,
            "pair": hit.pair.id,
            "passage": hit.passage.id,
            "score": hit.score,
            "demonstration": hit.pair.demonstration,
        },
    )
