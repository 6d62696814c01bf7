"""Where passages are ranked: what every ranking proposes, scored, fused and picked from.

    state = State(index)
    asked = Asked(parts(question, 8), vectors, state)
    scored = score(asked, state, settings)
    pick(scored, state, settings, 5)   # -> positions in `scored`, best first

`python -m eval retrieval --set medquad` measures it.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from configs.schema import Retriever
from index.corpus import QAPair
from index.growing import Vectors
from index.lexical import Lexical
from index.words import stem, terms
from rag.retrieval import designators
from rag.retrieval.names import Found, Names, Said, theme

MAX_LEXICAL_TERMS = 48
"""Rarest words of a long message that BM25 looks for: the others move no ranking and cost time."""
QUESTIONS_ASKED, PASSAGES_ASKED = 48, 24
"""Of an index that is still growing: how many questions without a vector are embedded for a question, of the answers
that share most words with it, and how many passages, of those whose questions are nearest (decisions/growing.md)."""
PER_NAME = 60
"""Passages that a topic's name alone brings in; more than this and the name is no topic but a theme."""


@dataclass(frozen=True)
class Scored:
    """Candidate passages: row, pair row, fused score, the best part of the question, and the raw scores."""

    rows: np.ndarray
    pairs: np.ndarray
    score: np.ndarray
    part: np.ndarray
    question: np.ndarray
    passage: np.ndarray
    lexical: np.ndarray

    def only(self, kept: np.ndarray) -> Scored:
        """The candidates that `kept`, (n,) bool, says; for calibration and measurements, which leave pages out."""
        return replace(self, **{field.name: getattr(self, field.name)[kept] for field in fields(self)})


class Asked:
    """A question taken apart: texts, vectors, the distinct known terms with weights, and the names it uses.

    `found` are the names in the question as it was asked, greetings and what is not searched for included.
    """

    def __init__(self, question: str, texts: list[str], vectors: np.ndarray, state: State) -> None:
        self.texts = texts
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.words = [list(dict.fromkeys(terms(text))) for text in texts]
        self.weights = [np.array([state.weight(word) for word in words]) for words in self.words]
        every = {word for words in self.words for word in words}
        known = [term for word in sorted(every) if (term := state.lexical.term(word)) is not None]
        self.terms = sorted(known, key=lambda term: -state.idf[term])[:MAX_LEXICAL_TERMS]
        names = {text: state.names.find(Said.of(text)) for text in {question, *texts}}
        self.found: list[Found] = names[question]
        self.names: list[tuple[float, np.ndarray]] = []
        self.name_words: list[tuple[str, ...]] = []
        self.named = 0.0
        for text, words, weights in zip(texts, self.words, self.weights, strict=True):
            total = float(weights.sum()) or 1.0
            for found in names[text]:
                own = sum(float(weight) for word, weight in zip(words, weights, strict=True) if word in found.words)
                share = min(own / total, 1.0)
                self.names.append((share, found.pairs))
                self.name_words.append(found.words)
                self.named = max(self.named, share)


class State:
    """What is prepared once for an index: pages, word weights and names. A fraction of a second for MedQuAD."""

    def __init__(self, index: Any, hidden_names: frozenset[str] = frozenset()) -> None:
        self.index = index
        self.pair_of = np.asarray(index.pair_of)
        self.names = Names(index.pairs, hidden_names)
        pages: dict[object, int] = {}
        self.page_of = np.array([pages.setdefault(_page(pair), len(pages)) for pair in index.pairs], dtype=np.int32)
        # Passages lie in pair order, so those of a pair are a range.
        self.first = np.searchsorted(self.pair_of, np.arange(len(index.pairs) + 1))
        self.lexical: Lexical = index.lexical
        documents = len(self.pair_of)
        frequency = self.lexical.frequencies
        idf = np.log1p((documents - frequency + 0.5) / (frequency + 0.5))
        # As a share of what an unknown word would weigh, so that corpora of all sizes are alike.
        self.idf = idf / np.log1p((documents + 0.5) / 0.5)
        self._names_of: dict[int, list[frozenset[str]]] = {}
        self._asked_of: dict[int, frozenset[str]] = {}

    @cached_property
    def named_by(self) -> frozenset[str]:
        """The stemmed words that any topic's name has."""
        return frozenset(map(stem, self.index.vocabulary.names))

    @cached_property
    def page_passages(self) -> list[np.ndarray]:
        """Rows of each page's passages, ascending."""
        of_page = self.page_of[self.pair_of]
        order = np.argsort(of_page, kind="stable")
        return np.split(order, np.searchsorted(of_page[order], np.arange(1, int(self.page_of.max(initial=0)) + 1)))

    def weight(self, word: str) -> float:
        """A word's rarity in 0..1; 1 for one that the corpus does not have."""
        term = self.lexical.term(word)
        return 1.0 if term is None else float(self.idf[term])

    def names_of(self, pair: int) -> list[frozenset[str]]:
        """The stemmed words of a pair's title and of each of its synonyms; no synonym that is a theme."""
        if pair not in self._names_of:
            one = self.index.pairs[pair]
            names = (one.title, *(name for name in one.synonyms if not theme(name)))
            self._names_of[pair] = [frozenset(terms(name)) for name in names]
        return self._names_of[pair]

    def asked_of(self, pair: int) -> frozenset[str]:
        """The stemmed words of a pair's own question."""
        if pair not in self._asked_of:
            self._asked_of[pair] = frozenset(terms(self.index.pairs[pair].question))
        return self._asked_of[pair]

    def passages_of(self, pairs: np.ndarray) -> np.ndarray:
        """Rows of the passages of some pairs."""
        if not len(pairs):
            return np.empty(0, dtype=np.int64)
        return np.concatenate([np.arange(self.first[pair], self.first[pair + 1]) for pair in pairs])

    def bm25(self, asked: Asked) -> np.ndarray:
        """BM25 of every passage, (n_passages,) float32."""
        scores = np.zeros(len(self.pair_of), dtype=np.float32)
        for term in asked.terms:
            rows, values = self.lexical.postings(term)
            scores[rows] += values
        return scores

    def held(self, words: list[str], page: int) -> np.ndarray:
        """Which words any passage of the page holds, (n_words,) bool."""
        rows = self.page_passages[page]
        held = np.zeros(len(words), dtype=bool)
        for i, word in enumerate(words):
            term = self.lexical.term(word)
            if term is None:
                continue
            postings, _ = self.lexical.postings(term)
            place = np.minimum(np.searchsorted(postings, rows), len(postings) - 1)
            held[i] = len(postings) > 0 and bool((postings[place] == rows).any())
        return held

    def share(self, name: Set[str], words: Set[str]) -> float:
        """Share of a name's weight that is among `words`."""
        total = sum(self.weight(word) for word in sorted(name))
        return sum(self.weight(word) for word in sorted(name & words)) / total if total else 0.0


def score(asked: Asked, state: State, settings: Retriever) -> Scored:
    """Score every passage that any ranking proposes, but those of a page that another number or letter names.

    The fused score of a passage is the weighted sum of its question's cosine, its own cosine (the better part of
    a long message counts), its BM25 score over the best one, and, where the question names the passage's topic,
    how much of the question that name makes up. Weighted scores were measured against reciprocal ranks on
    questions kept apart for it: see docs/decisions/retrieval.md.
    """
    index = state.index
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
    if isinstance(index.passage_vectors, Vectors):
        rows = _affordable(rows, asked, lexical, named, state, settings)
    pairs = state.pair_of[rows]
    distinct, inverse = np.unique(pairs, return_inverse=True)
    question = (asked.vectors @ index.question_vectors.reconstruct_batch(distinct.astype(np.int64)).T)[:, inverse]
    passage = asked.vectors @ index.passage_vectors.reconstruct_batch(rows).T
    dense = settings.question_weight * question + settings.passage_weight * passage
    part = dense.argmax(axis=0)
    fused = dense[part, np.arange(len(rows))]
    fused = fused + settings.lexical_weight * lexical[rows] / max(float(lexical.max()), 1e-9)
    fused = fused + settings.name_weight * named[pairs]
    every = np.arange(len(rows))
    found = Scored(rows, pairs, fused, part, question[part, every], passage[part, every], lexical[rows])
    if not designators.tells(asked.texts[0]):
        return found
    others = np.array([_other(asked.texts[0], index.pairs[pair]) for pair in distinct.tolist()], dtype=bool)
    return found.only(~others[inverse]) if others.any() else found


def _other(question: str, pair: QAPair) -> bool:
    return designators.other(question, designators.names(pair.title, pair.synonyms))


def _affordable(
    rows: np.ndarray, asked: Asked, lexical: np.ndarray, named: np.ndarray, state: State, settings: Retriever
) -> np.ndarray:
    """The rows of an index that is still growing whose vectors are there, or can be had while a reader waits.

    An answer without all of its vectors is scored with all of them or not at all: what the decision is made on is never
    half known. The ones to embed are those that words and names bring first, then those whose questions are nearest.
    """
    index = state.index
    pairs = np.unique(state.pair_of[rows])
    best = np.zeros(len(index.pairs), dtype=np.float32)
    np.maximum.at(best, state.pair_of[rows], lexical[rows])
    value = settings.lexical_weight * best[pairs] / max(float(best.max()), 1e-9) + settings.name_weight * named[pairs]
    there = index.question_vectors.there(pairs)
    missing = np.flatnonzero(~there)
    there[missing[np.argsort(-value[missing], kind="stable")[:QUESTIONS_ASKED]]] = True
    pairs, value = pairs[there], value[there]
    cosines = asked.vectors @ index.question_vectors.reconstruct_batch(pairs).T
    value = value + settings.question_weight * cosines.max(axis=0)
    kept: list[np.ndarray] = []
    left = PASSAGES_ASKED
    for pair in pairs[np.argsort(-value, kind="stable")].tolist():
        own = np.arange(state.first[pair], state.first[pair + 1])
        cost = int((~index.passage_vectors.there(own)).sum())
        if not cost or cost <= left or left == PASSAGES_ASKED:
            left -= cost
            kept.append(own)
    chosen = np.concatenate(kept) if kept else np.empty(0, dtype=np.int64)
    index.passage_vectors.reconstruct_batch(chosen)  # all in one call
    return np.intersect1d(rows, chosen)


def pick(scored: Scored, state: State, settings: Retriever, wanted: int) -> list[int]:
    """Positions in `scored`, best first: no near-repeats, no more than `per_page` of a page."""
    picked: list[int] = []
    shingles: list[frozenset[tuple[str, ...]]] = []
    pages: dict[int, int] = {}
    for at in np.argsort(-scored.score, kind="stable"):
        page = int(state.page_of[scored.pairs[at]])
        if pages.get(page, 0) >= settings.per_page:
            continue
        own = _shingles(state.index.passages[int(scored.rows[at])].text)
        if any(_overlap(own, other) >= settings.near_duplicate for other in shingles):
            continue
        picked.append(int(at))
        shingles.append(own)
        pages[page] = pages.get(page, 0) + 1
        if len(picked) == wanted:
            break
    return picked


def _page(pair: QAPair) -> object:
    return pair.url or (pair.collection, pair.document) if pair.url or pair.document else pair.id


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = text.lower().split()
    return frozenset(tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1)))


def _overlap(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Jaccard's index."""
    return len(one & other) / max(len(one | other), 1)
