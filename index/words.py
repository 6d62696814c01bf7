"""The words of a text: one way to take them apart, with stems and stop words; whoever compares texts comes here.

    words("Break-bone fever")       ->  Break, bone, fever   what names of topics are compared by
    terms("the break-bone fevers")  ->  break, bone, fever   what BM25 looks for
    tokens("Take 10mg.")            ->  Take, 10, mg         with places: what attribution and quoting compare by

No command of its own; `python -m pytest tests/index/test_words.py` runs it. What is counted in words (a message's
length, a quotation's) is parted at white space by `str.split`. The evaluation's checker has a vocabulary of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import Stemmer

Joined = Literal["", "_", "_'"]
_RUN = r"[^\W_]+"
_WORDS: dict[Joined, re.Pattern[str]] = {"": re.compile(_RUN), "_": re.compile(r"\w+"), "_'": re.compile(r"[\w']+")}
_FLAT = {ord(c): "-" for c in "‐‑‒–—−"} | {ord(c): "'" for c in "‘’ʼ´"} | {ord(c): '"' for c in "“”„"}
_FLAT |= {ord("\u00a0"): " ", ord("\u202f"): " ", ord("\u2009"): " ", ord("μ"): "µ"}
_ATTACHED = "mg|mcg|µg|ug|ng|g|kg|ml|dl|cl|l|iu|u|mm|cm|m|mmol|mol|meq|mmhg|kcal|hrs?|h|x|st|nd|rd|th"
_TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|\d+(?:\.\d+)?(?!\w)"
    rf"|\d+(?:\.\d+)?(?=(?:{_ATTACHED})(?!\w))|{_RUN}(?:'{_RUN})*",
    re.IGNORECASE,
)
_STROKES = str.maketrans("øØłŁđĐ", "oOlLdD")
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_stemmer = Stemmer.Stemmer("english")


def listed(text: str) -> list[str]:
    """The words of a word list, so that long ones can be written as text."""
    return text.split()


STOP = frozenset(
    listed(
        """
a about above across after again against all along also although am among an and another any are around as at be
became because been before being below between both but by can could did do does doing done down due during each
either else even ever every few for from further get gets give given had has have having he her here hers
herself him himself his how however i if in into is it its itself just let like made make makes making many may
me might more most much must my myself nor of off on once one ones only onto or other others our ours ourselves
out over own per quite rather same shall she should since so some such than that the their theirs them
themselves then there therefore these they this those though through thus to together too toward towards under
until up upon us use used uses using very via was we well were what when where whether which while who whom
whose why will with within would yet you your yours yourself yourselves no not never none neither cannot without
nothing nobody don't doesn't isn't aren't wasn't weren't can't won't shouldn't couldn't wouldn't didn't hasn't
haven't hadn't mustn't it's that's there's they're you're we're i'm i've you've called known often usually
sometimes typically generally commonly include includes including included
"""
    )
)
"""Function words, and hedges too common to weigh; negations are not content, attribution reads them apart."""
SEARCH_STOP = frozenset(
    listed(
        """
        a an and are as at be but by for if in into is it no not of on or such that the their then there these they
        this to was will with
        """
    )
)
"""Words that BM25 leaves out, bm25s' English list: another one needs every index built again."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or number: `source[start:end]`, lower-cased in `text`; `stem` is empty for a stop word."""

    start: int
    end: int
    text: str
    stem: str


def fold(text: str) -> str:
    """The text without accents ("Sjögren" is "Sjogren", "Løken" is "Loken"): who asks types them or does not."""
    if text.isascii():
        return text
    parted = unicodedata.normalize("NFD", text.translate(_STROKES))
    return unicodedata.normalize("NFC", "".join(c for c in parted if not unicodedata.combining(c)))


def flatten(text: str) -> str:
    """The text with typographic dashes, quotes and spaces made plain, character for character."""
    return text if text.isascii() else text.translate(_FLAT)


@lru_cache(maxsize=100_000)
def stem(word: str, *, folded: bool = False) -> str:
    """The English stem of a lower-case word; `folded`: as if a British spelling were the American one.

    Search does not fold: indexes and the confidence are made without it.
    """
    if folded and len(word) > 5 and word.isalpha():
        word = word.replace("haem", "hem").replace("aem", "em").replace("oedem", "edem").replace("oesoph", "esoph")
        word = re.sub(r"(?<=[mlvb])our(?=$|s$|al$|ed$)", "or", word)
        word = re.sub(r"is(?=(?:e|es|ed|ing|ation)$)", "iz", word)
    return _stemmer.stemWord(word)


def words(text: str, joined: Joined = "") -> list[str]:
    """The runs of letters and digits of a text in order, without accents; the marks `joined` do not end a run."""
    return _WORDS[joined].findall(fold(text))


def runs(text: str) -> list[re.Match[str]]:
    """The runs of letters and digits of a text with their places, as they are written."""
    return list(_WORDS[""].finditer(text))


def unfolded(text: str) -> list[str]:
    """The runs of letters and digits of a text in order, as they are written: `runs` without places."""
    return _WORDS[""].findall(text)


def terms(text: str) -> list[str]:
    """The search terms of a text: stems of its words of more than one character but SEARCH_STOP, in order.

    What `bm25s.tokenize` gives for the text without accents: an underscore joins.
    """
    return [stem(word) for word in words(text.lower(), "_") if len(word) > 1 and word not in SEARCH_STOP]


def tokens(text: str) -> tuple[Token, ...]:
    """The words and numbers of a text in order. `10mg` gives two tokens, `GLB1` and `can't` one each."""
    found = []
    for match in _TOKEN.finditer(flatten(text)):
        shape, end = match.group(), match.end()
        if not shape.isascii():
            # "children²" is a word with a footnote; "m²" and "10⁹" are not.
            bare = shape.rstrip(_RAISED)
            if not bare:
                continue
            if len(bare) > 3 and bare.isalpha():
                shape, end = bare, match.start() + len(bare)
        word = fold(shape.lower())
        root = "" if word in STOP else stem(word.removesuffix("'s"), folded=True)
        found.append(Token(match.start(), end, word, root))
    return tuple(found)


def plain(words: Sequence[Token]) -> str:
    """The words alone, lower-cased, one space between: what similarity is measured on."""
    return " ".join(word.text for word in words)
