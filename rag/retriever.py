"""Question to ranked passages: embeddings of questions and of passages, BM25 and the topics' names, fused.

    retriever = HybridRetriever.create(index, embedder, settings)
    retriever.retrieve("What are the symptoms of gout?", k=5)   # -> Retrieval
    retriever.invoke("What are the symptoms of gout?", k=5)     # -> LangChain documents

The fused score of a passage is the weighted sum of its question's cosine, its own cosine (the better part of
a long message counts), its BM25 score over the best one, and, where the question names the passage's topic,
how much of the question that name makes up. Weighted scores were measured against reciprocal ranks on
questions kept apart for it: see docs/decisions/retrieval.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, PrivateAttr

from configs.schema import Retriever
from index.corpus import QAPair
from index.lexical import tokenise
from rag.confidence import Confidence, Features
from rag.names import Names, theme
from rag.question import parts
from rag.retrieval import Hit, Retrieval

MAX_LEXICAL_TERMS = 48
"""Rarest words of a long message that BM25 looks for: the others move no ranking and cost time."""
PER_NAME = 60
"""Passages that a topic's name alone brings in; more than this and the name is no topic but a theme."""
RARE = 0.3
"""Weight past which a single word is a name and not a theme."""
REMEMBERED = 16
"""Texts whose vectors are kept: the look for emergencies and the search read the same question."""
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
    _state: _State = PrivateAttr()
    _vectors: dict[str, np.ndarray] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Prepare what every question needs: pages, word weights and names. A fraction of a second."""
        self._state = _State(self.index, self.hidden_names)

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
        hits = found.hits
        return Retrieval(hits, self._confidence(features) if hits else 0.0, found.nearest, found.nearest_questions)

    def examine(self, question: str, k: int | None = None) -> tuple[Retrieval, Features]:
        """As `retrieve`, with confidence 0 and the features that it would be computed from."""
        wanted = k or self.k or self.settings.k
        texts = parts(question, self.settings.parts)
        if not any(character.isalnum() for character in question) or not len(self.index.passages):
            return Retrieval((), 0.0, ()), Features()
        state = self._state
        with _one_thread():
            asked = _Asked(texts, self.encode(texts), state)
            scored = self._score(asked)
        rows = self._pick(scored, max(wanted, FEATURE_HITS))
        hits = tuple(self._hit(scored, at) for at in rows)
        features = state.features(asked, scored, [int(scored.rows[at]) for at in rows[:FEATURE_HITS]])
        nearest: dict[str, str] = {}
        for hit in hits:
            nearest.setdefault(hit.pair.title, hit.pair.asks)
        titles = tuple(nearest)[:3]
        return Retrieval(hits[:wanted], 0.0, titles, tuple(nearest[title] for title in titles)), features

    @cached_property
    def _confidence(self) -> Confidence:
        # Loaded at the first question, so that calibration can examine questions before there is a model.
        model = Confidence.load()
        model.check(self.embedder.fingerprint)
        return model

    def names_topic(self, question: str) -> bool:
        """Whether a topic's name, of more than one word or a rare one, stands in the question."""
        for found in self._state.names.find(question):
            if len(found.words) > 1 or self._state.weight(found.words[0]) > RARE:
                return True
        return False

    def names_page(self, question: str, hits: Sequence[Hit]) -> bool:
        """Whether a whole name, focus or synonym, of one of these hits' pages stands in the question."""
        shown = {int(self._state.pair_of[hit.row]) for hit in hits}
        return any(not shown.isdisjoint(found.pairs.tolist()) for found in self._state.names.find(question))

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

    def _score(self, asked: _Asked) -> _Scored:
        """Score every passage that any ranking proposes."""
        index, settings, state = self.index, self.settings, self._state
        count = min(settings.candidates, len(index.passages))
        _, by_question = index.question_vectors.search(asked.vectors, min(count, len(index.pairs)))
        _, by_passage = index.passage_vectors.search(asked.vectors, count)
        lexical = state.bm25(asked)
        proposed = [by_passage.ravel()[by_passage.ravel() >= 0]]
        best_pairs = np.unique(by_question[by_question >= 0])
        proposed.append(state.passages_of(best_pairs))
        if lexical.any():
            top = np.argpartition(-lexical, count - 1)[:count] if count < len(lexical) else np.arange(len(lexical))
            proposed.append(top[lexical[top] > 0])
        named = np.zeros(len(index.pairs), dtype=np.float32)
        for share, pairs in asked.names:
            if len(rows := state.passages_of(pairs)) <= PER_NAME * 4:
                proposed.append(rows)
                named[pairs] = np.maximum(named[pairs], share)
        rows = np.unique(np.concatenate(proposed)).astype(np.int64)
        pairs = state.pair_of[rows]
        distinct, inverse = np.unique(pairs, return_inverse=True)
        question = (asked.vectors @ index.question_vectors.reconstruct_batch(distinct.astype(np.int64)).T)[:, inverse]
        passage = asked.vectors @ index.passage_vectors.reconstruct_batch(rows).T
        dense = settings.question_weight * question + settings.passage_weight * passage
        part = dense.argmax(axis=0)
        score = dense[part, np.arange(len(rows))]
        score = score + settings.lexical_weight * lexical[rows] / max(float(lexical.max()), 1e-9)
        score = score + settings.name_weight * named[pairs]
        every = np.arange(len(rows))
        return _Scored(rows, pairs, score, part, question[part, every], passage[part, every], lexical[rows])

    def _pick(self, scored: _Scored, wanted: int) -> list[int]:
        """Positions in `scored`, best first: no near-repeats, no more than `per_page` of a page."""
        picked: list[int] = []
        shingles: list[frozenset[tuple[str, ...]]] = []
        pages: dict[int, int] = {}
        for at in np.argsort(-scored.score, kind="stable"):
            page = int(self._state.page_of[scored.pairs[at]])
            if pages.get(page, 0) >= self.settings.per_page:
                continue
            own = _shingles(self.index.passages[int(scored.rows[at])].text)
            if any(_overlap(own, other) >= self.settings.near_duplicate for other in shingles):
                continue
            picked.append(int(at))
            shingles.append(own)
            pages[page] = pages.get(page, 0) + 1
            if len(picked) == wanted:
                break
        return picked

    def _hit(self, scored: _Scored, at: int) -> Hit:
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


@dataclass(frozen=True)
class _Scored:
    """Candidate passages: row, pair row, fused score, the best part of the question, and the raw scores."""

    rows: np.ndarray
    pairs: np.ndarray
    score: np.ndarray
    part: np.ndarray
    question: np.ndarray
    passage: np.ndarray
    lexical: np.ndarray


class _Asked:
    """A question taken apart: texts, vectors, the distinct known terms with weights, and the names it uses."""

    def __init__(self, texts: list[str], vectors: np.ndarray, state: _State) -> None:
        self.texts = texts
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.words = [list(dict.fromkeys(words)) for words in tokenise(texts)]
        self.weights = [np.array([state.weight(word) for word in words]) for words in self.words]
        every = {word for words in self.words for word in words}
        known = [state.vocabulary[word] for word in every if word in state.vocabulary]
        self.terms = sorted(known, key=lambda term: -state.idf[term])[:MAX_LEXICAL_TERMS]
        self.names: list[tuple[float, np.ndarray]] = []
        self.named = 0.0
        for text, words, weights in zip(texts, self.words, self.weights, strict=True):
            total = float(weights.sum()) or 1.0
            for found in state.names.find(text):
                own = sum(float(weight) for word, weight in zip(words, weights, strict=True) if word in found.words)
                share = min(own / total, 1.0)
                self.names.append((share, found.pairs))
                self.named = max(self.named, share)


class _State:
    """What a retriever prepares once for an index."""

    def __init__(self, index: Any, hidden_names: frozenset[str]) -> None:
        self.index = index
        self.pair_of = np.asarray(index.pair_of)
        self.names = Names(index.pairs, hidden_names)
        pages: dict[object, int] = {}
        self.page_of = np.array([pages.setdefault(_page(pair), len(pages)) for pair in index.pairs], dtype=np.int32)
        # Passages lie in pair order, so those of a pair are a range.
        self.first = np.searchsorted(self.pair_of, np.arange(len(index.pairs) + 1))
        self.vocabulary: dict[str, int] = index.lexical.engine.vocab_dict
        self.postings = index.lexical.engine.scores["indices"]
        self.bounds = np.asarray(index.lexical.engine.scores["indptr"])
        self.values = index.lexical.engine.scores["data"]
        documents = len(self.pair_of)
        frequency = np.diff(self.bounds)
        idf = np.log1p((documents - frequency + 0.5) / (frequency + 0.5))
        # As a share of what an unknown word would weigh, so that corpora of all sizes are alike.
        self.idf = idf / np.log1p((documents + 0.5) / 0.5)

    @cached_property
    def page_passages(self) -> list[np.ndarray]:
        """Rows of each page's passages, ascending."""
        of_page = self.page_of[self.pair_of]
        order = np.argsort(of_page, kind="stable")
        return np.split(order, np.searchsorted(of_page[order], np.arange(1, int(self.page_of.max(initial=0)) + 1)))

    def weight(self, word: str) -> float:
        """A word's rarity in 0..1; 1 for one that the corpus does not have."""
        term = self.vocabulary.get(word)
        return float(self.idf[term]) if term is not None and term < len(self.idf) else 1.0

    def passages_of(self, pairs: np.ndarray) -> np.ndarray:
        """Rows of the passages of some pairs."""
        if not len(pairs):
            return np.empty(0, dtype=np.int64)
        return np.concatenate([np.arange(self.first[pair], self.first[pair + 1]) for pair in pairs])

    def bm25(self, asked: _Asked) -> np.ndarray:
        """BM25 of every passage, (n_passages,) float32."""
        scores = np.zeros(len(self.pair_of), dtype=np.float32)
        for term in asked.terms:
            span = slice(self.bounds[term], self.bounds[term + 1])
            scores[self.postings[span]] += self.values[span]
        return scores

    def features(self, asked: _Asked, scored: _Scored, rows: list[int]) -> Features:
        """What the confidence is computed from; `rows` are the best passages."""
        if not rows:
            return Features()
        at = {int(row): i for i, row in enumerate(scored.rows)}
        best, best_held = Features(), -1.0
        for row in rows:
            i = at[row]
            pair = self.index.pairs[int(scored.pairs[i])]
            part = int(scored.part[i])
            words, weights = asked.words[part], asked.weights[part]
            total = float(weights.sum()) or 1.0
            # A synonym such as "side effects" says nothing of what is asked about.
            names = [set(name) for name in tokenise([pair.title, *(n for n in pair.synonyms if not theme(n))])]
            title = set().union(*names, tokenise([pair.question])[0])
            titled = np.array([word in title for word in words], dtype=bool)
            held = titled | self._held(words, int(self.page_of[scored.pairs[i]]))
            every = {word for group in asked.words for word in group}
            asks = max(self._share(name, every) for name in names)
            share = float(weights[held].sum()) / total + asks
            if share > best_held:
                best_held = share
                best = Features(
                    question_cosine=float(scored.question.max()),
                    passage_cosine=float(scored.passage.max()),
                    titled=float(weights[titled].sum()) / total,
                    title_asked=asks,
                    named=asked.named,
                    missing=float(weights[~held].max(initial=0.0)) / total,
                )
        return best

    def _held(self, words: list[str], page: int) -> np.ndarray:
        """Which words any passage of the page holds, (n_words,) bool."""
        rows = self.page_passages[page]
        held = np.zeros(len(words), dtype=bool)
        for i, word in enumerate(words):
            term = self.vocabulary.get(word)
            if term is None or term >= len(self.idf):
                continue
            postings = self.postings[self.bounds[term] : self.bounds[term + 1]]
            place = np.minimum(np.searchsorted(postings, rows), len(postings) - 1)
            held[i] = len(postings) > 0 and bool((postings[place] == rows).any())
        return held

    def _share(self, name: set[str], words: set[str]) -> float:
        """Share of a name's weight that is among `words`."""
        total = sum(self.weight(word) for word in name)
        return sum(self.weight(word) for word in name & words) / total if total else 0.0


def _page(pair: QAPair) -> object:
    return pair.url or (pair.collection, pair.document) if pair.url or pair.document else pair.id


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = text.lower().split()
    return frozenset(tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1)))


def _overlap(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Jaccard's index."""
    return len(one & other) / max(len(one | other), 1)
