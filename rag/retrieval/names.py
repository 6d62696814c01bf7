"""The names that the corpus gives its topics (focus and synonyms), and where a question uses them.

A question may name a disease in words that no embedder knows to be the same ("break-bone fever" for dengue);
the corpus' own synonyms know it. No command of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from index.corpus import QAPair
from index.words import listed, stem, words

MAX_NAME_WORDS = 12
_THEMES = frozenset({("side", "effect"), ("safeti",), ("medicin",), ("advers", "effect"), ("inform",)})
"""Pages about these exist, but in a question they say what is asked of something else."""
_ORDINARY = frozenset(
    listed(
        """
    a an and are as at be by can do for from has he her his how i if in is it me my no not of on or our she so the
    they this to us was we what when who will with you all am any but did get had him its may new one out own see
    too two use way why yes your there health disease diseases symptoms syndrome treatment medicine information
    problem problems conditions disorder disorders question
    """
    )
)
_EVERYDAY = frozenset(map(stem, _ORDINARY)) | frozenset(map(stem, ("does", "should", "would", "much", "many", "often")))


@dataclass(frozen=True, slots=True)
class Said:
    """A question's words as they are written and stemmed: read once, whatever names are looked for in it."""

    raw: tuple[str, ...]
    stems: tuple[str, ...]
    shouted: bool
    """Without a small letter, so that capitals say nothing."""

    @classmethod
    def of(cls, text: str) -> Said:
        """The words of a text."""
        raw = words(text)
        return cls(tuple(raw), tuple(stem(word.lower()) for word in raw), text.isupper())


@dataclass(frozen=True, slots=True)
class Found:
    """A topic's name in a question: its words, the pairs (rows) it is a name of, and which word of it is the first."""

    words: tuple[str, ...]
    pairs: np.ndarray
    at: int = 0


class Names:
    """All names of a corpus, by their stemmed words."""

    def __init__(self, pairs: Sequence[QAPair], hidden: frozenset[str] = frozenset()) -> None:
        """`hidden`: names (lower case) to leave out, for measuring what the rest can do."""
        rows: dict[tuple[str, ...], dict[int, None]] = defaultdict(dict)
        for row, pair in enumerate(pairs):
            for name in (pair.focus, *pair.synonyms):
                if not name or name.lower() in hidden:
                    continue
                key = name_key(name)
                if key and len(key) <= MAX_NAME_WORDS and _usable(name, key):
                    rows[key][row] = None
        self._rows = {key: np.fromiter(found, np.int32, len(found)) for key, found in rows.items()}
        lengths: dict[str, set[int]] = defaultdict(set)
        for key in rows:
            lengths[key[0]].add(len(key))
        self._lengths = {word: sorted(found, reverse=True) for word, found in lengths.items()}

    def find(self, said: Said) -> list[Found]:
        """Names in a text, longest first at each place, not overlapping, in order."""
        found: list[Found] = []
        at = 0
        while at < len(said.stems):
            for length in self._lengths.get(said.stems[at], ()):
                key = said.stems[at : at + length]
                rows = self._rows.get(key)
                if rows is None or (_cased(key) and (said.shouted or not said.raw[at].isupper())):
                    continue
                found.append(Found(key, rows, at))
                at += length
                break
            else:
                at += 1
        return found


@lru_cache(maxsize=50_000)
def name_key(name: str) -> tuple[str, ...]:
    """The stemmed words of a name, by which names are compared."""
    return tuple(stem(word.lower()) for word in words(name))


def theme(name: str) -> bool:
    """Whether a name says what is asked rather than what about, as the "side effects" of a page on drug reactions."""
    return name_key(name) in _THEMES


def other_name(said: Said, pair: QAPair) -> str:
    """The longest of the pair's synonyms that the question uses, where it does not use the pair's focus; else empty.

    "What causes podagra?" asked of a page on gout: podagra.
    """
    if pair.focus and _places(name_key(pair.focus), said):
        return ""
    best, most = "", 0
    for name in pair.synonyms:
        key = name_key(name)
        if len(key) > most and _usable(name, key) and _holds(said, key):
            best, most = name, len(key)
    return best


def names_it(said: Said, pair: QAPair) -> bool:
    """Whether the question holds a whole name of the pair's page: its focus or a synonym.

    A page without a focus has its question for a name: then each of that question's words but the everyday ones.
    """
    if not pair.focus:
        wanted = {word for word in name_key(pair.question) if word not in _EVERYDAY}
        return bool(wanted) and wanted <= set(said.stems)
    keys = ((name, name_key(name)) for name in (pair.focus, *pair.synonyms))
    return any(key and _usable(name, key) and _holds(said, key) for name, key in keys)


def _holds(said: Said, key: tuple[str, ...]) -> bool:
    """Whether the words of a name stand in a row, in capitals where it counts in capitals alone."""
    places = _places(key, said)
    return any(said.raw[at].isupper() for at in places) if _cased(key) else bool(places)


def _places(key: tuple[str, ...], said: Said) -> list[int]:
    """Where the words of a name stand in a row."""
    return [at for at in range(len(said.stems) - len(key) + 1) if key and said.stems[at : at + len(key)] == key]


def _cased(key: tuple[str, ...]) -> bool:
    """Whether a name is so short or everyday a word that it counts in capitals alone."""
    return len(key) == 1 and (len(key[0]) <= 2 or key[0] in _ORDINARY)


def _usable(name: str, key: tuple[str, ...]) -> bool:
    """A one-word name that is an everyday word says nothing, unless it is written in capitals (an acronym)."""
    if len(key) > 1 or key in _THEMES:
        return key not in _THEMES
    return len(key[0]) > 1 and not key[0].isdigit() and (key[0] not in _ORDINARY or name.isupper())
