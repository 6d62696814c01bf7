"""What is quoted beside the sentences that answer: more of the same answer, as far as an answer has words.

    detailed(lines, pieces, answering(lines, pieces))   ->   those lines, and what experts would take beside them

Where 100 answers were read, a quarter said only a part of what was asked, and had room for more. What a sentence is
worth beside the others is fitted on what experts took of answers to 50 questions (`medcite eval calibrate digest`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from index.linear import Linear
from rag.attribution.selection import MAX_WORDS, REPEAT, placed, size, words_of
from rag.retrieval.reading import SAME, Line, Piece

SHIPPED = Path(__file__).with_name("details.json")
Block = tuple[Line, ...]
"""Lines that are quoted together or not at all."""
NAMES = ("alone", "after", "around", "kind", "opening")
"""What is known of a block. alone, after, around: the cosine of the question with it, and its mean with the one before,
and with both neighbors, in standard deviations from the mean of all; kind: how surely it is of the kind that is asked
for; opening: 1 for an answer's first sentence, 1/2 for its second, and so on."""
LEAST = 0.3
"""Chance to be taken by an expert, below which nothing is added. People's covered train and validation questions (284
answered): 67 words with nothing added, 57 of them from right answers; 89 and 76 at .3, 96 and 83 at .2. Experts'
abstractive summaries, ROUGE-1, cross-validated: .370, .379, .377."""
SURE = 0.8
"""Of the best sentence's page's chance to be the right one: less likely pages add nothing. At .5 the share of words
from right answers falls from .857 to .772 where nothing else holds pages back."""
NEARLY = 0.5
"""Of the best sentence's value: down to here another answer adds something; at .3 the share of words from right
answers is .849 for .854."""
FEWEST = 5
"""Words of a sentence that is added alone: shorter ones are headings with a stop ("Genetics.")."""


def detailed(
    lines: Sequence[Line],
    pieces: Sequence[Piece],
    chosen: Sequence[Line],
    max_words: int = MAX_WORDS,
    order: Linear | None = None,
) -> list[Line]:
    """The chosen lines, and after them those beside them, the best one's source first, each source in its order.

    Nothing is put before the first chosen line of the best one's source: the answer comes first. Nothing is added to
    the answer of the corpus's very own question. `order` is the model of NAMES (default: the one that ships).
    """
    best = max(chosen, key=lambda line: line.value, default=None)
    if best is None or best.value == -math.inf or pieces[best.piece].question >= SAME:
        return list(chosen)
    found = blocks(lines)
    worth = (order or shipped()).probability(features(found, pieces))
    kept, added = list(chosen), list[Line]()
    said = set().union(*map(words_of, kept))
    room = max_words - sum(map(size, kept))
    first = min(line.place for line in kept if line.piece == best.piece)
    own = pieces[best.piece]
    for at in np.argsort(-worth, kind="stable").tolist():
        if worth[at] < LEAST or room <= 0:
            break
        block = [line for line in found[at] if line not in kept]
        if not block or all(line.points or line.value == -math.inf for line in block):
            continue
        piece, needed = pieces[block[0].piece], sum(map(size, block))
        same = bool(own.kind) and (piece.names, piece.kind) == (own.names, own.kind)
        if (
            piece.page < SURE * own.page
            or (block[0].piece == best.piece and block[0].place < first)
            or (not same and max(line.value for line in block) < NEARLY * best.value)
            or (len(block) == 1 and not block[0].item and needed < FEWEST)
        ):
            continue
        words = set().union(*map(words_of, block))
        if needed <= room and len(words & said) <= REPEAT * len(words):
            kept += block
            added += block
            said |= words
            room -= needed
    result = list(chosen)
    runs: list[list[Line]] = []
    for line in sorted(added, key=lambda line: (line.piece != best.piece, line.piece, line.place)):
        if runs and (runs[-1][-1].piece, runs[-1][-1].place + 1) == (line.piece, line.place):
            runs[-1].append(line)
        else:
            runs.append([line])
    for run in runs:
        result = placed(result, run)
    return result


def blocks(lines: Sequence[Line]) -> list[Block]:
    """Each sentence alone, but a list in one with the sentence before it, which leads in."""
    found: list[Block] = []
    for line in lines:
        if line.item and found and found[-1][0].piece == line.piece:
            found[-1] = (*found[-1], line)
        else:
            found.append((line,))
    return found


def text_of(block: Sequence[Line]) -> str:
    """The lines as one text."""
    return " ".join(line.text for line in block)


def features(found: Sequence[Block], pieces: Sequence[Piece]) -> np.ndarray:
    """(n, len(NAMES)) of blocks in the order of their pieces, of which one at least says something."""
    alone = np.array([max(line.cosine for line in block) for block in found])
    piece = np.array([block[0].piece for block in found])
    before = np.where(np.append(False, piece[1:] == piece[:-1]), np.append(0.0, alone[:-1]), alone)
    behind = np.where(np.append(piece[1:] == piece[:-1], False), np.append(alone[1:], 0.0), alone)
    cosines = np.column_stack([alone, (alone + before) / 2, (alone + before + behind) / 3])
    said = [at for at, block in enumerate(found) if any(line.value > -math.inf for line in block)]
    middle, width = cosines[said].mean(axis=0), np.maximum(cosines[said].std(axis=0), 1e-6)
    kind = [max(line.kind for line in block) for block in found]
    opening = [1 / (1 + block[0].place) if pieces[block[0].piece].opens else 0.0 for block in found]
    return np.column_stack([(cosines - middle) / width, kind, opening])


@cache
def shipped() -> Linear:
    """The model that ships, read once."""
    return Linear.load(SHIPPED, "digest", NAMES)
