"""Question to ranked passages: embeddings of questions and of passages, BM25 and the topics' names, fused.

    retriever = HybridRetriever.create(index, embedder, settings)
    retriever.retrieve("What are the symptoms of gout?", k=5)   # -> Retrieval
    retriever.invoke("What are the symptoms of gout?", k=5)     # -> LangChain documents

The passages are scored and ranked in `rag/retrieval/ranking.py`.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, PrivateAttr

from configs.errors import UserError
from configs.schema import Retriever
from index.growing import Encode, filled
from index.store import Index, read_manifest
from index.words import STOP, runs, terms, words
from rag.conversation import Topic
from rag.retrieval.aspects import TYPED, kind_of
from rag.retrieval.hits import Hit, Retrieval
from rag.retrieval.lay_names import with_medical_names
from rag.retrieval.names import Said
from rag.retrieval.question import parts
from rag.retrieval.ranking import Asked, Scored, State, pick, score
from rag.retrieval.reading import Piece, read
from rag.retrieval.reranker import CHATTER, Candidates, Reranker, candidates, decision_values, left_over, rank, spread
from rag.retrieval.spelling import Corrected, Speller

RARE, VERY_RARE = 0.3, 0.45
"""Weight past which a single word is a name and not a theme, and past which a part of a name will do."""
MANY_SIDED = 4
"""Question types on a topic whose name, a common word, is a name all the same."""
READ_ANSWERS, READ_PASSAGES = 8, 2
"""Answers whose sentences are read, and passages of each."""
SHORT, LONG, MEAN = (1.0, 2.0), (8.0, 4.0), 0.4
"""What counts for an answer beside its best sentence, for a short question and for a message of several parts: the
likeness of the whole question to its best passage less MEAN of that to all its passages, and its score in the first
rankings. A sentence says little of what a message is about. LONG and MEAN are chosen on MEDIQA-2019's training sets,
SHORT on people's validation questions (n 119): 104 right answers first, 99 without."""
UNREAD = 0.1
"""What a passage that was not read is put below the worst sentence, for each place in the re-ranker's order."""
VERY_SAME = 0.95
"""Confidence, at least, where the first answer's own question is asked, letter for letter but for case, accents and
punctuation: a corpus without names of topics says little else of what its pages are on."""
REMEMBERED = 16
"""Texts whose vectors are kept: the emergency classifier and the search read the same question."""


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
        """A retriever over `index`, whose vectors `embedder` must have made; those it lacks are made on the way."""
        return cls(index=filled(index, embedder, _quickly(embedder)), embedder=embedder, settings=settings)

    def newest(self) -> HybridRetriever:
        """The same over the newest stage of an index that grows; itself where there is none, or it cannot be opened."""
        held = self.index.manifest
        if not held.growing:
            return self
        try:
            known = read_manifest(self.index.folder)[0]
            if known == held or known.embedder != held.embedder:
                return self
            index = Index.open(self.index.folder, True, self.index)
        except UserError:
            return self
        if index.manifest.embedder != held.embedder:
            return self
        if index.manifest.words != held.words:  # another corpus
            return self.create(index, self.embedder, self.settings)
        # What depends on words alone is taken over.
        other = self.model_copy(update={"index": filled(index, self.embedder, _quickly(self.embedder))})
        other._state = copy.copy(self._state)
        other._state.index = other.index
        return other

    def retrieve(self, question: str, k: int | None = None) -> Retrieval:
        """The best `k` passages, the confidence that they cover the question, and the nearest topics.

        Fewer than `k` only where the index holds fewer different ones. A question without a word is
        answered by an empty Retrieval.
        """
        wanted = k or self.k or self.settings.k
        if not any(character.isalnum() for character in question) or not len(self.index.passages):
            return Retrieval((), 0.0, ())
        asks = self.searched(question)
        asked = self.asked(asks.text)
        scored = score(asked, self._state, self.settings)
        if not len(scored.rows):  # no word of it is known to an index that has no vectors yet
            return Retrieval((), 0.0, (), (), tuple(asked.texts), asks.changes)
        found = candidates(asked, scored, self._state)
        weighed = self.weigh(self._reranker, asked, scored, found)
        confidence = self._reranker.confidence(weighed.known)
        ranked = replace(scored, score=spread(scored, weighed.ranks))
        hits = self._hits(ranked, wanted, weighed.pages, weighed.worths)
        if words(asks.text.lower()) == words(hits[0].pair.question.lower()):
            confidence = max(confidence, VERY_SAME)
        nearest: dict[str, str] = {}
        for hit in hits:
            nearest.setdefault(hit.pair.title, hit.pair.asks)
        titles = tuple(nearest)[:3]
        questions = tuple(nearest[title] for title in titles)
        return Retrieval(hits, confidence, titles, questions, tuple(asked.texts), asks.changes)

    def propose(self, question: str, k: int) -> tuple[Hit, ...]:
        """The best `k` passages by the first rankings alone, before they are ranked again; for measurements."""
        scored = score(self.asked(self.searched(question).text), self._state, self.settings)
        return self._hits(scored, k, {}, {})

    def _hits(self, scored: Scored, wanted: int, pages: dict[int, float], worths: dict[int, float]) -> tuple[Hit, ...]:
        rows = pick(scored, self._state, self.settings, wanted)
        return tuple(self._hit(scored, at, pages, worths) for at in rows)

    def weigh(self, model: Reranker, asked: Asked, scored: Scored, found: Candidates) -> Weighed:
        """The candidates ranked again by `model` and by reading their sentences."""
        page, aspect = model(found.values)
        order = np.argsort(-rank(page, aspect), kind="stable")
        pages = dict(zip(scored.pairs[found.places].tolist(), page.tolist(), strict=True))
        worth = self._worth(asked, scored, found)
        worths = dict(zip(scored.pairs[found.places].tolist(), worth.tolist(), strict=True))
        ranks: dict[int, float] = {}
        places: list[tuple[int, int]] = []
        pieces: list[Piece] = []
        for at, candidate in enumerate(order.tolist()):
            pair_row = scored.pairs[found.places[candidate]]
            own = np.flatnonzero(scored.pairs == pair_row).tolist()
            ranks |= dict.fromkeys(own, float(worth[candidate]) - UNREAD * (1 + at))
            if at >= READ_ANSWERS:
                continue
            for place in sorted(own, key=lambda one: (-scored.score[one], one))[:READ_PASSAGES]:
                places.append((place, candidate))
                pieces.append(self.piece(self._hit(scored, place, pages, worths)))
        found_lines = read(asked.texts, pieces, self.encode, weights=self.word_weights(asked.texts[0]))
        lines = [line for line in found_lines if line.cosine]
        lowest = min((line.value - pieces[line.piece].worth for line in lines), default=0.0)
        ranks = {place: rank + lowest for place, rank in ranks.items()}
        for line in lines:
            place = places[line.piece][0]
            ranks[place] = max(ranks[place], line.value)
        said = max(lines, key=lambda one: one.value, default=None)
        best = places[said.piece][1] if said else int(order[0])
        left = left_over(best, found, asked, scored, self._state)
        known = decision_values(found.values[best], left, float(page[best]), float(aspect[best]), said)
        return Weighed(ranks, pages, worths, best, known)

    def _worth(self, asked: Asked, scored: Scored, found: Candidates) -> np.ndarray:
        """What each candidate's answer counts beside its sentences, (n,), at most 0: the best one's is 0."""
        near, first = LONG if len(asked.texts) > 1 else SHORT
        worth = np.zeros(len(found.places))
        for candidate, place in enumerate(found.places.tolist()):
            rows = self._state.passages_of(scored.pairs[[place]]).astype(np.int64)
            whole = self.index.passage_vectors.reconstruct_batch(rows) @ asked.vectors[0]
            fused = scored.score[scored.pairs == scored.pairs[place]].max()
            worth[candidate] = near * float(whole.max() - MEAN * whole.mean()) + first * float(fused)
        return np.asarray(worth - worth.max()) if len(worth) else worth

    def piece(self, hit: Hit) -> Piece:
        """A hit's passage with what its reading needs to know."""
        names = frozenset().union(*self._state.names_of(int(self.index.pair_of[hit.row])))
        opens = hit.passage.ordinal == 0
        return Piece(
            hit.passage.text,
            kind_of(hit.pair),
            opens,
            hit.page,
            hit.question_cosine,
            names,
            hit.worth,
            hit.pair.question,
        )

    def word_weights(self, question: str) -> dict[str, float]:
        """The search terms of a question that are more than a letter's chatter, and their rarity in 0..1."""
        return {word: self._state.weight(word) for word in terms(question) if word not in CHATTER}

    def searched(self, question: str) -> Corrected:
        """A question as it is searched: spelling corrected, medical names beside lay ones."""
        spelled = self.speller.correct(question)
        named = with_medical_names(spelled.text)
        return Corrected(named.text, (*spelled.changes, *named.changes))

    def asked(self, question: str) -> Asked:
        """A question whose spelling is right, taken apart and embedded."""
        texts = parts(question, self.settings.parts)
        with _one_thread():
            return Asked(question, texts, self.encode(texts), self._state)

    @cached_property
    def speller(self) -> Speller:
        """Corrects the words of a question against those of the index."""
        return Speller(self.index.vocabulary, getattr(self.embedder, "words", ()))

    @property
    def state(self) -> State:
        """What is prepared for the index; for calibration."""
        return self._state

    @cached_property
    def _reranker(self) -> Reranker:
        # Loaded at the first question, so that calibration can score candidates before there is a model.
        model = Reranker.load()
        model.check(self.embedder.fingerprint)
        return model

    def names_topic(self, question: str) -> bool:
        """Whether a topic's name, of more than one word or a rare one, stands in the question."""
        for found in self._state.names.find(Said.of(question)):
            if len(found.words) > 1 or self._state.weight(found.words[0]) > RARE:
                return True
        return False

    def topics(self, text: str, loosely: bool = False) -> list[Topic]:
        """The topics that a text names, as it spells them; no theme of many pages, nor a single everyday word.

        `loosely`: where it names none whole, the rarest word of a name will do ("parkinson's").
        """
        said, places = Said.of(text), runs(text)
        if len(places) != len(said.raw):  # accents that part a word
            return []

        def topic(at: int, count: int) -> Topic:
            start, end = places[at].start(), places[at + count - 1].end()
            return Topic(text[start:end], start, end)

        found = [
            topic(one.at, len(one.words))
            for one in self._state.names.find(said)
            if len(one.words) > 1 or self._state.weight(one.words[0]) > RARE or self._many_sided(one.pairs)
        ]
        if found or not loosely:
            return found
        asked_for = set(terms(" ".join(match.group() for match in TYPED.finditer(text)))) | CHATTER
        weights = {
            at: self._state.weight(word)
            for at, word in enumerate(said.stems)
            if len(word) > 3 and word in self._state.named_by and word not in asked_for and word not in STOP
        }
        at = max(weights, key=lambda one: weights[one], default=-1)
        if at < 0 or weights[at] <= VERY_RARE:
            return []
        return [topic(at, 2 if said.raw[at + 1 : at + 2] == ("s",) else 1)]

    def sure(self, question: str) -> float:
        """The confidence that a question is covered."""
        return self.retrieve(question, 1).confidence

    def _many_sided(self, pairs: np.ndarray) -> bool:
        """Whether pairs answer MANY_SIDED types of questions: "diabetes" is a condition, however common the word."""
        return len({self.index.pairs[pair].question_type for pair in pairs.tolist()}) >= MANY_SIDED

    @property
    def fingerprint(self) -> str:
        """The embedder's."""
        return str(self.embedder.fingerprint)

    def encode(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (n, d) of a few short texts, on one thread; the last ones asked for are remembered."""
        if len(texts) > self.settings.parts:
            # Sentences that are read: always one batch, for a vector depends a little on what it is computed beside.
            with _one_thread():
                return np.asarray(self.embedder.encode(texts))
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

    def _hit(self, scored: Scored, at: int, pages: dict[int, float], worths: dict[int, float]) -> Hit:
        row, pair = int(scored.rows[at]), int(scored.pairs[at])
        return Hit(
            row=row,
            passage=self.index.passages[row],
            pair=self.index.pairs[int(scored.pairs[at])],
            score=float(scored.score[at]),
            question_cosine=float(scored.question[at]),
            passage_cosine=float(scored.passage[at]),
            lexical=float(scored.lexical[at]),
            page=pages.get(pair, 0.0),
            worth=worths.get(pair, min(worths.values(), default=0.0)),
        )

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return [document(hit) for hit in self.retrieve(query, k).hits]


@dataclass(frozen=True)
class Weighed:
    """What passages (places in a `Scored`) are ranked by, the chance of each pair's page and what its answer counts
    beside its sentences, the best candidate, and what the decision is made on."""

    ranks: dict[int, float]
    pages: dict[int, float]
    worths: dict[int, float]
    best: int
    known: dict[str, float]


def _quickly(embedder: Any) -> Encode:
    """The embedder's vectors, computed while a reader waits."""

    def encode(texts: list[str]) -> np.ndarray:
        with _one_thread():
            return np.asarray(embedder.encode(texts))

    return encode


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
