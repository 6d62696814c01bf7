"""Which sentence of the candidates answers: the last step of ranking, and what is quoted.

    lines = read(texts, pieces, encode)      # every sentence, scored

A sentence is worth its likeness to the question, the question's own words that it and its passage say, words of the
aspect that is asked for, its answer's type, and its page's chance to be the right one. Only the sentences that share
most with the question in these cheap ways are embedded: on 119 questions of people, reading the first 16 of some 90
found as many right answers as reading all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from index.sentences import LIST_MARK, sentences_of
from index.words import listed, terms
from rag.retrieval import aspects as of
from rag.retrieval import kinds

Encode = Callable[[list[str]], np.ndarray]
"""Texts to unit vectors, float32 (n, d)."""

EMBEDDED = 24
"""Sentences that are embedded for a question."""
SAID, TYPE, PAGE = 0.5, 0.25, 0.2
"""What counts beside the cosine: words of the aspect, the answer's type, and the log of the page's chance. On people's
validation questions the share with a right answer first is the same for .3 to .8 of SAID; at .3, and with a bonus for
an answer's first sentences, what a thing is was quoted where its treatment was asked. PAGE at .2 in place of .1 finds
99 in place of 96 of 100 topics asked for by another name (validation), and one right answer of people's less."""
WORDS_SAID, WORDS_NEAR = 0.3, 1.0
"""What it costs that a sentence, and that its passage, does not say the question's words: shares by rarity. A page's
names are said everywhere on it. Right answers first on people's validation questions (n 119): 90 with neither, 100 with
both, 98 to 102 with anything from 0.3 and 0.8 to 0.8 and 1.3."""
KIND = 1.0
"""What it counts that a sentence is of the kind that is asked for (`kinds.fits`). With it the best sentence is a right
answer's for 263 of 309 of people's train and validation questions, without it for 258; another fit of the kinds gave
265, and at .6 and 1.5 261 and 263."""
SAME, SAME_BONUS = 0.97, 1.0
"""Past which likeness the corpus's own question is the very one that was asked: its answer comes first then, as far as
its page is likely, for questions on two types of a disease are as like. A lesser likeness counts nothing: with .4 of it
as much was found, and worse sentences were quoted."""
SHARED = 0.6
"""Weight of the question's words in a sentence, before anything is embedded."""
POINTER = 1.0
"""What it costs to stand in a list of links, all that some answers are. At 1 own questions (validation topics) have
their answer first for 92 of 100, as with less; without such lists for 82. People's: 104 of 119, as without them."""
TABLE = 0.7
"""What it costs to stand in a table of the Human Phenotype Ontology: where another page says it in plain words, those
are better."""
HEADING_WORDS = 4
"""A line of at most so many words that ends without a stop is a heading; a longer one whose words are capitalized, too:
so are 1,440 of the 4,370 other lines of MedQuAD without a stop, of which 95 read were headings and names of offices."""
_SMALL = frozenset(listed("a an and as at be by do for from if in into is it of on or the to vs with you your"))
NO_WEIGHTS: Mapping[str, float] = {}
_ENDED = re.compile(r"[.!:;][)\]\"'”’]*$")
_POINTER = re.compile(
    r"^(?:these resources"
    r"|these have been retrieved from|(?:general )?information about clinical trials is available"
    r"|for more specific results, refine|see the treatment options section"
    r"|genetic testing registry|gene ?review|medlineplus encyclopedia|\(?watch the video|click here|read more"
    r"|\(?see (?:the )?(?:figure|video|illustration))",
    re.IGNORECASE,
)

_TABLE = re.compile(r"the human phenotype ontology provides the following list", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """A text to read: the type of its answer, whether it opens that, the chance that its page is the right one, the
    likeness of its own question to the one that is asked (0: unknown), the search terms of its page's names, what its
    answer counts beside its sentences, and its own question."""

    text: str
    kind: str
    opens: bool
    page: float = 1.0
    question: float = 0.0
    names: frozenset[str] = frozenset()
    worth: float = 0.0
    asks: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, characters `start:end` of piece `piece`, the `place`-th there; `item`: of a list.

    `value` is what it is ranked by, -inf for one that says nothing; `cosine` is 0 where it was not embedded. `words` is
    the share of the question's words that it says, `near` that its passage says, its page's names among both;
    `points`: it points to something else or stands in a list of links; `kind`: how surely it is of the kind that is
    asked for, 0 where it was not embedded; `table`: it stands in a table of medical terms, or leads in to one.
    """

    piece: int
    place: int
    start: int
    end: int
    text: str
    item: bool
    value: float
    cosine: float = 0.0
    said: float = 0.0
    words: float = 0.0
    near: float = 0.0
    points: bool = False
    kind: float = 0.0
    table: bool = False


def read(
    texts: Sequence[str],
    pieces: Sequence[Piece],
    encode: Encode,
    embedded: int = EMBEDDED,
    weights: Mapping[str, float] = NO_WEIGHTS,
) -> list[Line]:
    """All sentences of the pieces in their order; only the `embedded` best at first sight have a cosine.

    `texts`: the question, and for a long message its parts (`question.parts`), of which the better counts. `weights`:
    the question's search terms and their rarity in 0..1, without those that are only a letter's chatter. A sentence
    that is no answer by itself (a heading, the page's own question, a pointer to a film or to a list of links) has the
    value -inf.
    """
    aspects = of.asked(texts[0])
    wanted = set(terms(texts[0]))
    found: list[Line] = []
    for number, piece in enumerate(pieces):
        fit = of.fit(aspects, piece.kind)
        before, points, table = 0, False, False
        own = piece.worth + SAME_BONUS * piece.page * (piece.question >= SAME)
        near = _share(weights, piece.names, piece.text)
        for place, (start, end) in enumerate(sentences_of(piece.text)):
            text = piece.text[start:end]
            item = bool(LIST_MARK.search(piece.text[before:start]))
            said = min(of.mentions(aspects, text), 2) / 2
            value = own + SAID * said + TYPE * fit + PAGE * math.log(max(piece.page, 1e-3))
            words = _share(weights, piece.names, text)
            value -= WORDS_SAID * (1 - words) + WORDS_NEAR * (1 - near)
            points = bool(_POINTER.match(text)) or (item and points)
            table = bool(_TABLE.match(text)) or (item and table)
            value = -math.inf if says_nothing(text, item) else value - POINTER * points - TABLE * table
            line = Line(number, place, start, end, text, item, value, 0.0, said, words, near, points, table=table)
            found.append(line)
            before = end
    shared = [SHARED * len(wanted.intersection(terms(line.text))) / max(len(wanted), 1) for line in found]
    order = sorted(range(len(found)), key=lambda at: (-(found[at].value + shared[at]), at))
    chosen = [at for at in order[:embedded] if found[at].value > -math.inf]
    if not chosen:
        return found
    asked, vectors = encode(list(texts)), encode([found[at].text for at in chosen])
    cosines, fitting = (vectors @ asked.T).max(axis=1), kinds.fits(aspects, kinds.shipped(), vectors)
    for at, cosine, kind in zip(chosen, cosines.tolist(), fitting.tolist(), strict=True):
        line = found[at]
        found[at] = replace(line, value=line.value + cosine + KIND * kind, cosine=cosine, kind=kind)
    return found


def _share(weights: Mapping[str, float], names: frozenset[str], text: str) -> float:
    """The share of the words, by weight, that are among the page's names or in the text; 1 where there are none."""
    total = sum(weights.values())
    own = names.union(terms(text)) if total else names
    return sum(weight for word, weight in weights.items() if word in own) / total if total else 1.0


def says_nothing(text: str, item: bool) -> bool:
    """Whether a sentence is a heading, a question that the page asks itself, or a pointer to something else."""
    short = len(text.split()) <= HEADING_WORDS
    heading = not item and not _ENDED.search(text) and (short or _capitalized(text))
    return heading or text.rstrip().endswith("?") or bool(_POINTER.match(text))


def _capitalized(text: str) -> bool:
    """Whether every word of two or more begins with a capital, small ones aside."""
    large = [word.lstrip("(\"'“‘[") for word in text.split() if word.lower() not in _SMALL]
    return len(large) > 1 and not any(word[:1].islower() for word in large)
