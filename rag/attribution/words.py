"""Words of a text with their places and stems: what attribution and quoting compare texts by.

No command of its own; `python -m pytest tests/rag/attribution/test_words.py` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import Stemmer

_FLAT = {ord(c): "-" for c in "‐‑‒–—−"} | {ord(c): "'" for c in "‘’ʼ´"} | {ord(c): '"' for c in "“”„"}
_FLAT |= {ord("\u00a0"): " ", ord("\u202f"): " ", ord("\u2009"): " ", ord("μ"): "µ"}
_ATTACHED = "mg|mcg|µg|ug|ng|g|kg|ml|dl|cl|l|iu|u|mm|cm|m|mmol|mol|meq|mmhg|kcal|hrs?|h|x|st|nd|rd|th"
_TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|\d+(?:\.\d+)?(?!\w)"
    rf"|\d+(?:\.\d+)?(?=(?:{_ATTACHED})(?!\w))|[^\W_]+(?:'[^\W_]+)*",
    re.IGNORECASE,
)
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
"""Function words, and hedges too common to weigh; negations are not content, `polarity.py` reads them."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or number: `source[start:end]`, lower-cased in `text`; `stem` is empty for a stop word."""

    start: int
    end: int
    text: str
    stem: str


def flatten(text: str) -> str:
    """The text with typographic dashes, quotes and spaces made plain, character for character."""
    return text if text.isascii() else text.translate(_FLAT)


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The English stem of a lower-case word, British spellings folded into American ones."""
    if len(word) > 5 and word.isalpha():
        word = word.replace("haem", "hem").replace("aem", "em").replace("oedem", "edem").replace("oesoph", "esoph")
        word = re.sub(r"(?<=[mlvb])our(?=$|s$|al$|ed$)", "or", word)
        word = re.sub(r"is(?=(?:e|es|ed|ing|ation)$)", "iz", word)
    return _stemmer.stemWord(word)


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
        word = shape.lower()
        found.append(Token(match.start(), end, word, "" if word in STOP else stem(word.removesuffix("'s"))))
    return tuple(found)


def plain(words: Sequence[Token]) -> str:
    """The words alone, lower-cased, one space between: what similarity is measured on."""
    return " ".join(word.text for word in words)
