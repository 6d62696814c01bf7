"""The names that the corpus gives its topics (focus and synonyms), and where a question uses them.

A question may name a disease in words that no embedder knows to be the same ("break-bone fever" for dengue);
the corpus' own synonyms know it. No command of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import Stemmer

from index.corpus import QAPair

MAX_NAME_WORDS = 12
_WORD = re.compile(r"[^\W_]+")
_stemmer = Stemmer.Stemmer("english")
_THEMES = frozenset({("side", "effect"), ("safeti",), ("medicin",), ("advers", "effect"), ("inform",)})
"""Pages about these exist, but in a question they say what is asked of something else."""
_ORDINARY = frozenset(
    """
    a an and are as at be by can do for from has he her his how i if in is it me my no not of on or our she so the
    they this to us was we what when who will with you all am any but did get had him its may new one out own see
    too two use way why yes your there health disease diseases symptoms syndrome treatment medicine information
    problem problems conditions disorder disorders question
    """.split()
)


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return _stemmer.stemWord(word)


_EVERYDAY = frozenset(map(_stem, _ORDINARY)) | frozenset(
    map(_stem, ("does", "should", "would", "much", "many", "often"))
)


@dataclass(frozen=True, slots=True)
class Found:
    """A topic's name in a question: its words, and the pairs (rows) it is a name of."""

    words: tuple[str, ...]
    pairs: np.ndarray


class Names:
    """All names of a corpus, by their stemmed words."""

    def __init__(self, pairs: Sequence[QAPair], hidden: frozenset[str] = frozenset()) -> None:
        """`hidden`: names (lower case) to leave out, for measuring what the rest can do."""
        rows: dict[tuple[str, ...], dict[int, None]] = defaultdict(dict)
        acronyms: set[tuple[str, ...]] = set()
        known: dict[str, tuple[str, ...]] = {}
        for row, pair in enumerate(pairs):
            for name in (pair.focus, *pair.synonyms):
                if not name or name.lower() in hidden:
                    continue
                key = known.get(name)
                if key is None:
                    key = known[name] = name_key(name)
                if not key or len(key) > MAX_NAME_WORDS or not _usable(name, key):
                    continue
                rows[key][row] = None
                if _cased(key):
                    acronyms.add(key)
        self._rows = {key: np.fromiter(found, np.int32, len(found)) for key, found in rows.items()}
        self._cased = acronyms
        self._longest = max((len(key) for key in rows), default=0)

    def find(self, text: str) -> list[Found]:
        """Names in `text`, longest first at each place, not overlapping, in order."""
        raw = _WORD.findall(text)
        words = [_stem(word.lower()) for word in raw]
        shouted = text.isupper()
        found: list[Found] = []
        at = 0
        while at < len(words):
            for length in range(min(self._longest, len(words) - at), 0, -1):
                key = tuple(words[at : at + length])
                rows = self._rows.get(key)
                if rows is None or (key in self._cased and (shouted or not raw[at].isupper())):
                    continue
                found.append(Found(key, rows))
                at += length
                break
            else:
                at += 1
        return found


def name_key(name: str) -> tuple[str, ...]:
    """The stemmed words of a name, by which names are compared."""
    return tuple(_stem(word.lower()) for word in _WORD.findall(name))


def theme(name: str) -> bool:
    """Whether a name says what is asked rather than what about, as the "side effects" of a page on drug reactions."""
    return name_key(name) in _THEMES


def other_name(question: str, pair: QAPair) -> str:
    """The longest of the pair's synonyms that the question uses, where it does not use the pair's focus; else empty.

    "What causes podagra?" asked of a page on gout: podagra.
    """
    raw = _WORD.findall(question)
    words = [_stem(word.lower()) for word in raw]
    if pair.focus and _places(name_key(pair.focus), words):
        return ""
    best, most = "", 0
    for name in pair.synonyms:
        key = name_key(name)
        if len(key) <= most or not _usable(name, key):
            continue
        places = _places(key, words)
        if _cased(key) and not any(raw[at].isupper() for at in places):
            continue
        if places:
            best, most = name, len(key)
    return best


def names_it(question: str, pair: QAPair) -> bool:
    """Whether the question holds a whole name of the pair's page: its focus or a synonym.

    A page without a focus has its question for a name: then each of that question's words but the everyday ones.
    """
    raw = _WORD.findall(question)
    words = [_stem(word.lower()) for word in raw]
    if not pair.focus:
        wanted = {word for word in name_key(pair.question) if word not in _EVERYDAY}
        return bool(wanted) and wanted <= set(words)
    for name in (pair.focus, *pair.synonyms):
        key = name_key(name)
        if not key or not _usable(name, key):
            continue
        places = _places(key, words)
        if any(raw[at].isupper() for at in places) if _cased(key) else places:
            return True
    return False


def _places(key: tuple[str, ...], words: Sequence[str]) -> list[int]:
    """Where the words of a name stand in a row."""
    return [at for at in range(len(words) - len(key) + 1) if key and tuple(words[at : at + len(key)]) == key]


def _cased(key: tuple[str, ...]) -> bool:
    """Whether a name is so short or everyday a word that it counts in capitals alone."""
    return len(key) == 1 and (len(key[0]) <= 2 or key[0] in _ORDINARY)


def _usable(name: str, key: tuple[str, ...]) -> bool:
    """A one-word name that is an everyday word says nothing, unless it is written in capitals (an acronym)."""
    if len(key) > 1 or key in _THEMES:
        return key not in _THEMES
    return len(key[0]) > 1 and not key[0].isdigit() and (key[0] not in _ORDINARY or name.isupper())
