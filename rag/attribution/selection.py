"""Which sentences of the sources answer the question: what the extractive mode and every fallback quote.

    lines = scored(["how long does shingles last"], pieces, encode)
    quoted(answering(lines, pieces), sources)   ->   quoted sentences with citations

What a sentence is worth is learned from readers (`worth.py`). The best one is quoted with what belongs to it, a list
with its lead-in; then the best of the others, while they are nearly as good and say something else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from index.sentences import LIST_MARK
from rag.answer import Sentence, Source
from rag.attribution.worth import worth
from rag.retrieval.reading import NO_WEIGHTS, SAME, SAME_BONUS, Encode, Line, Piece, read

MAX_WORDS = 110
"""Words quoted in all; an answer of a specific aspect is rarely longer than half of this."""
RUN = 0.4
"""Of the best sentence's value: down to here its neighbors are quoted with it."""
OTHER = 0.75
"""Of the best sentence's value: down to here another source is quoted, too."""
LEAST_WORDS, SHORT_OF = 50, 0.5
"""Up to so many words, sentences are quoted down to this share of the best one's value: where 100 answers were read,
one sentence alone often said only a part of what was asked."""
SHOWN_WORDS = 110
"""Words that a generator is shown: those chosen, and where they are fewer more of their pages. With 220 the 135M
adapter begins with a right answer for 93 of 119 covered validation questions of people's, for 6 from a wrong page; with
110 for 100 and none (the extractive mode: 103)."""
OWN = 2
"""How many times as much is quoted of an answer whose very question is asked. Of MedQuAD's answers half are longer than
MAX_WORDS (docs/decisions/training.md)."""
READ, BESIDE, RANK = 0.3, 0.2, 0.03
"""What retrieval's own value of a sentence counts beside the chance that readers want it, what its neighbors' chances
count in that, and what each place further down costs a source. On 119 covered validation questions, the model fitted
without them, one of the first five sentences answers for .773; .756 to .773 with anything from .2 and 0 to .6 and .35;
.723 by the chance alone, .706 by retrieval's value alone (docs/decisions/sentences.md)."""
TABLED = 0.3
"""What it costs a sentence to stand in a table of medical terms."""
REPEAT = 0.6
"""Share of a sentence's words past which it says what was said."""
EMBEDDED = 48
"""Sentences that are embedded: of the five sources shown, nearly all. RUN, OTHER and REPEAT were set by reading answers
to some 40 validation questions."""


def scored(
    texts: Sequence[str], pieces: Sequence[Piece], encode: Encode, weights: Mapping[str, float] = NO_WEIGHTS
) -> list[Line]:
    """Every sentence of the pieces, in their order, with what it is worth as an answer: to readers, with what its
    neighbors are, and by retrieval; more where the corpus's very own question is asked, as its page is likely."""
    found = read(texts, pieces, encode, EMBEDDED, weights)
    worths = worth(found, pieces, texts, encode)
    values = [
        chance + READ * (line.value - RANK * line.piece) + SAME_BONUS * _very(pieces[line.piece]) - TABLED * line.table
        for line, chance in zip(found, _smoothed(found, worths), strict=True)
    ]
    return [replace(line, value=float(value)) for line, value in zip(found, values, strict=True)]


def _very(piece: Piece) -> float:
    """How likely the piece is the corpus's answer to the very question that is asked."""
    return piece.page if piece.question >= SAME else 0.0


def _smoothed(lines: Sequence[Line], worths: np.ndarray) -> np.ndarray:
    """What each line that is worth something is worth with its neighbors, (n,)."""
    found = worths.copy()
    for at in np.flatnonzero(worths).tolist():
        beside = [
            worths[other]
            for other in (at - 1, at + 1)
            if 0 <= other < len(lines) and lines[other].piece == lines[at].piece and lines[other].value > -math.inf
        ]
        if beside:
            found[at] += BESIDE * (float(np.mean(beside)) - worths[at])
    return found


def answering(lines: Sequence[Line], pieces: Sequence[Piece], max_words: int = MAX_WORDS) -> list[Line]:
    """The lines that answer (`pick`). Where the corpus's very own question is asked its answer is given from its
    beginning, as far as the pieces hold it, up to OWN times as many words: the institute's answer to its question.

    `pieces` of one answer stand in its order (`prompt.arrange`).
    """
    best = max(lines, key=lambda line: line.value, default=None)
    if best is None or pieces[best.piece].question < SAME:
        return pick(lines, max_words)
    answer = (pieces[best.piece].names, pieces[best.piece].kind)
    own = {at for at, one in enumerate(pieces) if one.question >= SAME and (one.names, one.kind) == answer}
    places = {(line.piece, line.place): line for line in lines}
    found: list[Line] = []
    said: set[str] = set()
    room = OWN * max_words
    for line in lines:
        behind = places.get((line.piece, line.place + 1))
        heads_list = behind is not None and behind.item and leads_in(line.text)
        if line.piece not in own or line.points or (line.value == -math.inf and not heads_list) or line.text in said:
            continue
        room -= size(line)
        if room < 0 and found:
            break
        found.append(line)
        said.add(line.text)
    return found if any(line.value > -math.inf for line in found) else pick(lines, max_words)


def pick(lines: Sequence[Line], max_words: int = MAX_WORDS) -> list[Line]:
    """The lines that answer, at most `max_words` words: the best one and its neighbors, then the next best, and so on.

    One line is always given, however long; none where there is none.
    """
    if not lines:
        return []
    best = max(lines, key=lambda line: line.value)
    chosen = _run(best, lines, max_words)
    room = max_words - sum(size(line) for line in chosen)
    said = set().union(*map(words_of, chosen))
    for line in sorted(lines, key=lambda line: -line.value):
        enough = max_words - room >= LEAST_WORDS
        if line.value < (OTHER if enough else SHORT_OF) * best.value or room <= 0:
            break
        if line in chosen or len(words_of(line) & said) > REPEAT * len(words_of(line)):
            continue
        run = _run(line, [one for one in lines if one not in chosen], min(room, max_words // 2))
        needed = sum(map(size, run))
        if needed <= room:
            chosen = placed(chosen, run)
            said |= set().union(*map(words_of, run))
            room -= needed
    return chosen


def placed(chosen: Sequence[Line], run: Sequence[Line]) -> list[Line]:
    """The chosen lines and a run of more; the rest of a list right behind what is chosen of it, else the run is last.

    An item away from its lead-in says nothing, or the contrary of what it says.
    """
    first = run[0]
    behind = [at for at, line in enumerate(chosen, 1) if (line.piece, line.place + 1) == (first.piece, first.place)]
    at = behind[0] if first.item and behind else len(chosen)
    return [*chosen[:at], *run, *chosen[at:]]


def shown(
    lines: Sequence[Line], chosen: Sequence[Line], pieces: Sequence[Piece], max_words: int = SHOWN_WORDS
) -> dict[int, str]:
    """What a generator is shown of each piece, by its place: the chosen lines, and then up to `max_words` words in all
    of those beside them and of the best others; in the order and with the lists of the page.
    """
    kept = set(chosen)
    near = {(line.piece, line.place + step) for line in chosen for step in (-1, 1)}
    places = {(line.piece, line.place): line for line in lines}
    room = max_words - sum(map(size, kept))
    others = [line for line in lines if line not in kept and line.value > -math.inf]
    for line in sorted(others, key=lambda one: ((one.piece, one.place) not in near, -one.value)):
        whole = {line} | _lead_in(line, places)
        needed = sum(map(size, whole - kept))
        if needed <= room:
            kept |= whole
            room -= needed
    texts: dict[int, str] = {}
    before: Line | None = None
    for line in sorted(kept, key=lambda one: (one.piece, one.place)):
        if before is None or before.piece != line.piece:
            texts[line.piece] = line.text
        else:
            between = layout(before, line, pieces[line.piece].text)
            texts[line.piece] += between.replace("\n\n", "\n") + line.text
        before = line
    return texts


def _lead_in(line: Line, places: Mapping[tuple[int, int], Line]) -> set[Line]:
    """What an item says nothing without, or the contrary of what it says: the sentence that leads in its list."""
    at = line.place
    while line.item and (line.piece, at) in places and places[line.piece, at].item:
        at -= 1
    before = places.get((line.piece, at))
    return {before} if line.item and before is not None and leads_in(before.text) else set()


def layout(before: Line, line: Line, text: str) -> str:
    """What stands between two lines of one piece whose text is `text`: line breaks and a list's mark, or a space."""
    if before.place + 1 != line.place:
        gap = text[max(text.rfind("\n", 0, line.start), before.end) : line.start]
        listed = LIST_MARK.search(gap) if line.item else None
        return "\n" + (listed.group() if listed else "")
    gap = text[before.end : line.start]
    listed = LIST_MARK.search(gap)
    lines = "\n\n" if gap.count("\n") > 1 else "\n" if "\n" in gap else " "
    return lines + (listed.group() if listed else "")


def words_of(line: Line) -> frozenset[str]:
    """The words by which a line is told from others."""
    return frozenset(re.findall(r"\w{4,}", line.text.lower()))


def size(line: Line) -> int:
    """Words of a line."""
    return len(line.text.split())


def _run(best: Line, lines: Sequence[Line], room: int) -> list[Line]:
    """The sentence with its neighbors on the page as far as they answer too; a list whole, with its lead-in."""
    page = {line.place: line for line in lines if line.piece == best.piece}
    low = high = best.place
    left = room - size(best)
    if best.item:
        while low - 1 in page and page[low].item:
            low -= 1
            left -= size(page[low])
        if low - 1 in page and leads_in(page[low - 1].text):
            low -= 1
            left -= size(page[low])
    while True:
        before, after = page.get(low - 1), page.get(high + 1)
        fits = [
            line
            for line in (after, before)
            if line is not None and size(line) <= left and _belongs(line, page[high], best)
        ]
        if not fits:
            break
        line = max(fits, key=lambda one: (one.item, one.value))
        left -= size(line)
        low, high = min(low, line.place), max(high, line.place)
    return [page[place] for place in range(low, high + 1)]


def _belongs(line: Line, last: Line, best: Line) -> bool:
    """Whether a neighbor is quoted, too: an item of the list that was begun, or a sentence that answers as well."""
    if line.item:
        return line.place > best.place and (last.item or leads_in(last.text))
    return line.value >= RUN * best.value


def leads_in(text: str) -> bool:
    """Whether a list may follow: the text ends with a colon, or in the middle of a sentence ("symptoms include")."""
    return not re.search(r"[.?!][)\]\"'”’]*$", text.rstrip())


def quoted(chosen: Sequence[Line], sources: Sequence[Source]) -> list[Sentence]:
    """The lines, in their order, as sentences of an answer, each citing its source."""
    found: list[Sentence] = []
    before: Line | None = None
    for line in chosen:
        between = "\n\n" if before else ""
        if before and (before.piece, before.place + 1) == (line.piece, line.place):
            between = layout(before, line, sources[line.piece].text)
        found.append(
            Sentence(
                text=line.text,
                citations=(sources[line.piece].n,),
                support=1.0,
                supported=True,
                quoted=True,
                before=between,
            )
        )
        before = line
    return found
