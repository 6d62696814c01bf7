"""Which part of which source holds a sentence, and what they differ in.

Evidence is the sources cut into units: single sentences, two in a row, and lists with their lead-in.
A sentence's support by a unit is the share of its content words, weighted by how rare they are among
the sources, that the unit holds. `python -m eval attribution CORPUS` measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from index.sentences import LIST_MARK, sentences_of
from index.words import Token, plain, stem, tokens
from rag.answer import Source
from rag.attribution.entities import names
from rag.attribution.polarity import polarity
from rag.attribution.quantities import Quantity, holds, quantities
from rag.attribution.references import words_of

TOPIC_WEIGHT = 0.5
"""Weight of the page's own topic words: every sentence of the page is about them, whether it says so or not."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Characters `start:end` of one source's text and words `low:high` of it; `lines`: it runs over line ends."""

    source: int
    start: int
    end: int
    low: int
    high: int
    first: int
    last: int
    lines: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A source's text with its words, its sentences without list marks, and the units they form."""

    text: str
    words: tuple[Token, ...]
    sentences: tuple[tuple[int, int], ...]
    units: tuple[tuple[int, int], ...]
    bounds: tuple[tuple[int, int], ...]


@lru_cache(maxsize=64)
def read(text: str) -> Text:
    """A source's text made ready. Units are (first sentence, last sentence) pairs."""
    words, bounds, kept = words_of(text), [], []
    low = 0
    for start, end in sentences_of(text):
        while low < len(words) and words[low].start < start:
            low += 1
        high = low
        while high < len(words) and words[high].start < end:
            high += 1
        if high > low:
            kept.append((start, end))
            bounds.append((low, high))
        low = high
    units = [(i, i) for i in range(len(kept))] + [(i, i + 1) for i in range(len(kept) - 1)]
    i = 0
    while i < len(kept):
        j = i
        while j + 1 < len(kept) and _is_item(text, kept[j][1], kept[j + 1][0]):
            j += 1
        if j > i + 1:
            units.append((i, min(j, i + 30)))
        i = j + 1
    return Text(text, words, tuple(kept), tuple(units), tuple(bounds))


def _is_item(text: str, end: int, start: int) -> bool:
    """Whether the sentence that starts at `start` is a list item, judged by what stands before it."""
    gap = text[end:start]
    return bool(LIST_MARK.search(gap)) or (start >= 2 and text[start - 2 : start] in ("- ", "* ", "• "))


class Evidence:
    """The sources as units with postings, so that a sentence is compared with all of them at once."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.texts = [read(source.text) for source in sources]
        self.topics = [_topic(source.title, source.question) for source in sources]
        self.units: list[Unit] = []
        self._ranges: list[tuple[int, int]] = []
        postings: dict[str, list[int]] = {}
        frequency: dict[str, int] = {}
        self._stems: list[frozenset[str]] = []
        singles = 0
        for k, text in enumerate(self.texts):
            begin = len(self.units)
            per_sentence = [frozenset(w.stem for w in text.words[a:b] if w.stem) for a, b in text.bounds]
            singles += len(per_sentence)
            for stems in per_sentence:
                for s in stems:
                    frequency[s] = frequency.get(s, 0) + 1
            for first, last in text.units:
                stems = per_sentence[first] if first == last else frozenset().union(*per_sentence[first : last + 1])
                start, end = text.sentences[first][0], text.sentences[last][1]
                low, high = text.bounds[first][0], text.bounds[last][1]
                for s in stems:
                    postings.setdefault(s, []).append(len(self.units))
                self.units.append(Unit(k, start, end, low, high, first, last, "\n" in text.text[start:end]))
                self._stems.append(stems)
            self._ranges.append((begin, len(self.units)))
        self._postings = {s: np.asarray(rows, dtype=np.int32) for s, rows in postings.items()}
        self._frequency, self._singles = frequency, max(singles, 1)
        self._plain: dict[int, str] = {}
        self._quantities: dict[int, list[Quantity]] = {}

    def weight(self, word: str) -> float:
        """log(1 + N / (df + 0.5)) over the N sentences of the sources: most for a word that none of them has."""
        return float(np.log1p(self._singles / (self._frequency.get(word, 0) + 0.5)))

    def coverage(self, stems: Iterable[str]) -> np.ndarray:
        """Share (units,) in 0..1 of the weighted content words that each unit holds; topic words: half, as held."""
        # Sorted: sums of floats depend on their order, and a set's order on the process.
        weights = {s: self.weight(s) for s in sorted(set(stems))}
        total = sum(weights.values())
        result = np.zeros(len(self.units))
        if not total:
            return result
        for s, weight in weights.items():
            if s in self._postings:
                result[self._postings[s]] += weight
        for k, (begin, end) in enumerate(self._ranges):
            topic = [s for s in weights if s in self.topics[k]]
            about = sum(weights[s] for s in topic)
            if not about or about >= total - 1e-9:
                result[begin:end] /= total
                continue
            for s in topic:
                if s in self._postings:
                    rows = self._postings[s]
                    result[rows[(rows >= begin) & (rows < end)]] -= weights[s]
            given = TOPIC_WEIGHT * about
            result[begin:end] = (result[begin:end] + given) / (total - about + given)
        return result

    def has(self, row: int, word: str) -> bool:
        """Whether the unit, or the topic of its page, holds a stem."""
        return word in self._stems[row] or word in self.topics[self.units[row].source]

    def text_of(self, row: int) -> str:
        unit = self.units[row]
        return self.texts[unit.source].text[unit.start : unit.end]

    def words_of(self, row: int) -> tuple[Token, ...]:
        unit = self.units[row]
        return self.texts[unit.source].words[unit.low : unit.high]

    def plain_of(self, row: int) -> str:
        if row not in self._plain:
            self._plain[row] = plain(self.words_of(row))
        return self._plain[row]

    def quantities_of(self, row: int) -> list[Quantity]:
        if row not in self._quantities:
            source = self.sources[self.units[row].source]
            self._quantities[row] = quantities(self.texts[self.units[row].source].text, self.words_of(row)) + list(
                _topic_quantities(source.title, source.question)
            )
        return self._quantities[row]

    def difference(self, text: str, words: Sequence[Token], rows: Sequence[int]) -> str:
        """What the sentence says that the units together do not, in words; empty where nothing.

        A name may also stand in the page's topic or in the sentence before the unit ("It ...").
        """
        held = [q for row in rows for q in self.quantities_of(row)]
        for quantity in quantities(text, words):
            if not holds(quantity, held):
                said = text[quantity.start : quantity.end]
                return f'the number "{said}" is not in the source'
        near: set[str] = set()
        for row in rows:
            unit = self.units[row]
            near |= self._stems[row] | self.topics[unit.source]
            if unit.first:
                whole = self.texts[unit.source]
                low, high = whole.bounds[unit.first - 1]
                near |= {w.stem for w in whole.words[low:high]}
        for name in names(text, words):
            if name.stem not in near and not _parts_in(name, near):
                return f'"{text[name.start : name.end]}" is not in the source'
        for row in rows:
            whole_text = self.texts[self.units[row].source].text
            note = polarity(text, words, whole_text, self.words_of(row))
            if note:
                return note
        return ""


def _parts_in(name: Token, near: set[str]) -> bool:
    """Whether a possessive or plural form of the name is there."""
    word = name.text
    return any(stem(form, folded=True) in near for form in (word.removesuffix("s"), word + "s"))


@lru_cache(maxsize=256)
def _topic(title: str, question: str) -> frozenset[str]:
    return frozenset(w.stem for w in (*tokens(title), *tokens(question)) if w.stem)


@lru_cache(maxsize=256)
def _topic_quantities(title: str, question: str) -> tuple[Quantity, ...]:
    return tuple(quantities(title) + quantities(question))
