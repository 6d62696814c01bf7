"""Which sentences of the sources answer the question: what the extractive mode and every fallback quote.

    choose("how long does shingles last", sources, types, encode)  ->  quoted sentences with citations

Sentences are scored by their likeness to the question, by words of the aspect that is asked for, and by their place in
an answer that is on it (its first sentences say most). The best one is quoted with what belongs to it, a list with its
lead-in; then the best of the other sources, while they are nearly as good and say something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rag.answer import Sentence, Source
from rag.attribution.support import LIST_MARK, read
from rag.retrieval import aspects as of

Encode = Callable[[list[str]], np.ndarray]
"""Texts to unit vectors, float32 (n, d)."""

MAX_WORDS = 110
"""Words quoted in all; an answer of a specific aspect is rarely longer than half of this."""
SAID, OPENING, RANK = 0.25, 0.35, 0.03
"""What counts beside the cosine: words of the aspect; opening an answer of the right type; the place of the source."""
RUN = 0.62
"""Of the best sentence's score: down to here its neighbors are quoted with it."""
OTHER = 0.86
"""Of the best sentence's score: down to here another source is quoted, too."""
REPEAT = 0.6
"""Share of a sentence's words past which it says what was said."""
FEW_WORDS = 4
"""A line of so few words that ends without a stop is a heading."""
_ENDED = re.compile(r"[.!:;][)\\]\"'”’]*$")
_NOISE = re.compile(
    r"^\(?(?:watch the video|see (?:the )?(?:figure|video|illustration)|click here|read more|this link)", re.I
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A sentence of a source: its place, its text, the layout before it, and how well it answers."""

    source: int
    place: int
    text: str
    gap: str
    item: bool
    value: float
    words: frozenset[str]


def choose(
    question: str, sources: Sequence[Source], types: Sequence[str], encode: Encode, max_words: int = MAX_WORDS
) -> list[Sentence]:
    """At most `max_words` words of the sources, verbatim and cited; one sentence is always given, however long.

    `types`: the question type of each source's answer (`rag.retrieval.aspects.kind_of`). Empty where no source holds a
    sentence.
    """
    aspects = of.asked(question)
    lines = _lines(question, sources, types, encode, aspects)
    if not lines:
        return []
    best = max(lines, key=lambda line: line.value)
    chosen = _run(best, lines, max_words)
    room = max_words - sum(len(line.text.split()) for line in chosen)
    said = set().union(*(line.words for line in chosen))
    for line in sorted(lines, key=lambda line: -line.value):
        if line.value < OTHER * best.value or room <= 0:
            break
        if line in chosen or len(line.words & said) > REPEAT * len(line.words):
            continue
        run = _run(line, [one for one in lines if one not in chosen], min(room, max_words // 2))
        size = sum(len(one.text.split()) for one in run)
        if size <= room:
            chosen += run
            said |= set().union(*(one.words for one in run))
            room -= size
    return _sentences(chosen, sources, best.source)


def _lines(
    question: str, sources: Sequence[Source], types: Sequence[str], encode: Encode, aspects: Sequence[str]
) -> list[_Line]:
    found: list[tuple[int, int, str, str, bool]] = []
    for number, source in enumerate(sources):
        text = read(source.text)
        for place, (start, end) in enumerate(text.sentences):
            gap = source.text[text.sentences[place - 1][1] if place else 0 : start]
            found.append((number, place, source.text[start:end], gap, bool(LIST_MARK.search(gap))))
    if not found:
        return []
    vectors = encode([question, *(text for _, _, text, _, _ in found)])
    cosines = vectors[1:] @ vectors[0]
    lines = []
    for (number, place, text, gap, item), cosine in zip(found, cosines.tolist(), strict=True):
        opening = of.fit(aspects, types[number]) / (1 + place)
        value = cosine + SAID * min(of.mentions(aspects, text), 2) / 2 + OPENING * opening - RANK * number
        if _says_nothing(text, item):
            value = 0.0
        words = frozenset(re.findall(r"\w{4,}", text.lower()))
        lines.append(_Line(number, place, text, gap, item, value, words))
    return lines


def _says_nothing(text: str, item: bool) -> bool:
    """A heading, a question that the page asks itself, or a pointer to a film."""
    short = len(text.split()) <= FEW_WORDS and not _ENDED.search(text) and not item
    return short or text.rstrip().endswith("?") or bool(_NOISE.match(text))


def _run(best: _Line, lines: Sequence[_Line], room: int) -> list[_Line]:
    """The sentence with its neighbors on the page as far as they answer too; a list whole, with its lead-in."""
    page = {line.place: line for line in lines if line.source == best.source}
    low = high = best.place
    left = room - len(best.text.split())
    if best.item:
        while low - 1 in page and page[low].item:
            low -= 1
            left -= len(page[low].text.split())
    while True:
        before, after = page.get(low - 1), page.get(high + 1)
        fits = [
            line
            for line in (after, before)
            if line is not None
            and line.value > 0
            and len(line.text.split()) <= left
            and _belongs(line, page[high], best)
        ]
        if not fits:
            break
        line = max(fits, key=lambda one: (one.item, one.value))
        left -= len(line.text.split())
        low, high = min(low, line.place), max(high, line.place)
    return [page[place] for place in range(low, high + 1)]


def _belongs(line: _Line, last: _Line, best: _Line) -> bool:
    """Whether a neighbor is quoted, too: an item of the list that was begun, or a sentence that answers as well."""
    if line.item:
        return last.item or last.text.endswith(":") or line.place < best.place
    return line.value >= RUN * best.value


def _sentences(chosen: Sequence[_Line], sources: Sequence[Source], first: int) -> list[Sentence]:
    ordered = sorted(chosen, key=lambda line: (line.source != first, line.source, line.place))
    found: list[Sentence] = []
    before: _Line | None = None
    for line in ordered:
        follows = before is not None and before.source == line.source and before.place + 1 == line.place
        if before is None:
            layout = ""
        elif follows:
            layout = "\n\n" if line.gap.count("\n") > 1 else "\n" if "\n" in line.gap else " "
        else:
            layout = "\n\n"
        mark = LIST_MARK.search(line.gap)
        found.append(
            Sentence(
                text=line.text,
                citations=(sources[line.source].n,),
                support=1.0,
                supported=True,
                quoted=True,
                before=layout + (mark.group() if mark and follows else ""),
            )
        )
        before = line
    return found
