"""Conditions that a number, a letter, "non-" or an age tells apart: type 1 and 2, factor X and XI, hepatitis B and C.

    other("symptoms of spinocerebellar ataxia 26", names("Spinocerebellar ataxia 2"))   ->  True
    other("can type 1 turn into type 2 diabetes", names("Type 2 Diabetes"))             ->  False

Such pages share all but one sign of a name, which no embedder weighs and BM25 does not see. Of 100 answers to questions
whose own page was taken out of the index, 12 came from a page that another number names
(docs/measurements/2026-11-28-names.md). Where a question says which, a page on another is not searched. No command.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from index.words import SEARCH_STOP, fold, runs, stem

_TYPE = frozenset({"type", "types"})
_LETTERED = _TYPE | {"factor", "vitamin", "hepatitis", "protein"}
"""Words that a letter follows; one in lower case counts behind them alone."""
_JOINED = frozenset({"and", "or", "to", "vs", "versus", "than"})
_YOUNG = frozenset({"childhood", "pediatric", "paediatric", "juvenile", "infantile", "neonatal"})
_ADULT = frozenset({"adult"})
"""Ages that name a condition. "My children" and "adults" say who asks, too, and are not among them."""
_MEASURED = re.compile(
    r"(?:years?|yrs?|months?|weeks?|wks?|days?|hours?|hrs?|minutes?|mins?|times?|mg|mcg|ml|cm|mm|kg|lbs?|pounds?|pills?"
    r"|tablets?|doses?|percent|people|children|kids|or|to)\b|%",
    re.IGNORECASE,
)
"""What makes the number before it an amount: "asthma 2 years ago"."""
MOST_SIGNS = 100
"""Numbers and letters of a text that are looked at, from its start: it is compared with hundreds of pages."""
_BESIDE = re.compile(r"[\s,]*|\s*[-/&]\s*")
"""What may stand between a name and its number; "disease. 12 years" is no name."""
_NUMBER = re.compile(r"\d{1,3}[a-z]?")
_ROMAN = dict(zip("i ii iii iv v vi vii viii ix x xi xii xiii xiv xv".split(), map(str, range(1, 16)), strict=True))
_ROMAN_PART = re.compile(r"(viii|vii|iii|iv|vi|ix|ii|v|x|i)([a-e])")
_SHORT = re.compile(r"[A-Za-z]{2,6}-?(\d{1,2}[A-Za-z]?)")
"""An abbreviation with its number: "SCA14"."""


@dataclass(frozen=True, slots=True)
class Named:
    """A page's names: the stemmed words of its title, its title's designators, those of all names, and words that
    stand behind "non-" in one of them; `adult`, `young`: whether the title is of this age alone."""

    words: frozenset[str]
    title: frozenset[str]
    every: frozenset[str]
    negated: frozenset[str]
    adult: bool = False
    young: bool = False


def names(title: str, synonyms: Sequence[str] = ()) -> Named:
    """What a page's names say. `other` compares a question with it."""
    return _names(title, tuple(synonyms))


@lru_cache(maxsize=4096)
def _names(title: str, synonyms: tuple[str, ...]) -> Named:
    every: set[str] = set()
    negated: set[str] = set()
    for name in (title, *synonyms):
        read = _Read(name, title=True)
        every |= set(read.signs.values())
        every |= {short[1].lower() for word in read.raw if (short := _SHORT.fullmatch(word))}
        negated |= read.negated
    read = _Read(title, title=True)
    plain = [at for at in range(len(read.raw)) if at not in read.signs and read.lower[at] not in _TYPE | SEARCH_STOP]
    words = frozenset(read.stems[at] for at in plain)
    return Named(words, frozenset(read.signs.values()), frozenset(every), frozenset(negated), *_ages(read.lower))


def _ages(said: Sequence[str]) -> tuple[bool, bool]:
    """Whether words name an adult's condition alone, and a young one's alone."""
    adult, young = not _ADULT.isdisjoint(said), not _YOUNG.isdisjoint(said)
    return adult and not young, young and not adult


def other(question: str, page: Named) -> bool:
    """Whether the question names a condition by a number, a letter, "non-" or an age that is not the page's own."""
    read = _read(question)
    adult, young = _ages(read.lower)
    if (page.adult and young) or (page.young and adult):
        return True
    for word in read.negated & page.words:
        if word not in page.negated and word not in read.plain:
            return True
    if not page.title:
        return False
    asked = {sign for sign, _ in read.asked(page.words)}
    return bool(asked) and not asked & page.every


def alone(question: str, pages: Sequence[Named]) -> tuple[str, ...]:
    """What the question asks for by a number or letter that no name of the pages has: `amaurosis 16`, `type 2L`.

    Empty where any page's name has one of them, or none stands beside a word of their titles.
    """
    read = _read(question)
    found = [list(read.asked(page.words)) for page in pages]
    if any(sign in page.every for page, asked in zip(pages, found, strict=True) for sign, _ in asked):
        return ()
    return tuple(dict.fromkeys(said for asked in found for _, said in asked))


def tells(question: str) -> bool:
    """Whether a question may name one condition among several; where not, `other` is False for every page."""
    read = _read(question)
    return not {"non", *_YOUNG, *_ADULT}.isdisjoint(read.lower) or bool(read.signs)


class _Read:
    """A text's words with what stands between them."""

    def __init__(self, text: str, title: bool = False) -> None:
        self.title = title
        self.text = fold(text)
        found = runs(self.text)
        self.raw = [match.group() for match in found]
        self.lower = [word.lower() for word in self.raw]
        self.stems = [stem(word) for word in self.lower]
        edges = [(match.start(), match.end()) for match in found]
        gaps = [self.text[end:start] for (_, end), (start, _) in itertools.pairwise(edges)]
        self.beside = [False, *(bool(_BESIDE.fullmatch(gap)) for gap in gaps)]
        # Only what may follow a number is looked at: a message may be long.
        self.rest = [self.text[end : end + 20] for _, end in edges]
        behind = {at + 1 for at, word in enumerate(self.lower) if word == "non"}
        self.negated = {self.stems[at] for at in behind if at < len(self.stems)}
        self.plain = {word for at, word in enumerate(self.stems) if at not in behind}
        signs = ((at, sign) for at in range(len(self.raw)) if (sign := self._sign(at)))
        self.signs = dict(itertools.islice(signs, MOST_SIGNS))

    def _sign(self, at: int) -> str:
        """The designator that this word may be, in one spelling ("II" is "2"), or nothing."""
        raw, word = self.raw[at], self.lower[at]
        after = self.lower[at - 1] if at else ""
        typed, lettered = after in _TYPE, after in _LETTERED
        if _NUMBER.fullmatch(word):
            amount = re.match(r"[.,:]\d", self.rest[at]) or (not typed and _MEASURED.match(self.rest[at].lstrip(" -")))
            return "" if amount else word
        if word == "i" and not typed:  # in a question, it is who asks
            return "1" if self.title and at and raw == "I" else ""
        if word in _ROMAN:
            return _ROMAN[word] if len(word) > 1 or lettered or raw.isupper() else ""
        part = _ROMAN_PART.fullmatch(word)
        if part and (lettered or raw[0].isupper()):
            return f"{_ROMAN[part[1]]}{part[2]}"
        letter = len(word) == 1 and word.isalpha()
        return word if letter and (raw.isupper() or typed or (lettered and word != "a")) else ""

    def asked(self, name: frozenset[str]) -> Iterator[tuple[str, str]]:
        """The designators beside a word of a name, with the word before: "ataxia 26", "type 2", "hepatitis B or C"."""
        last = -9
        for at, sign in self.signs.items():
            if not self.beside[at]:
                continue
            before = self.stems[at - 1] in name
            if self.lower[at - 1] in _TYPE:
                near = [self.stems[place] for place in (at - 2, at + 1, at + 2) if 0 <= place < len(self.raw)]
                before = before or any(word in name for word in near)
            joined = self.lower[at - 1] in _JOINED and last == at - 2
            if before or joined:
                last = at
                yield sign, f"{self.raw[at - 1 if before else at - 3]} {self.raw[at]}"


@lru_cache(maxsize=256)
def _read(text: str) -> _Read:
    return _Read(text)
