"""What a sentence is worth as an answer: the chance that a reader of the question wants it, learned from readers.

    worth(lines, pieces, texts, encode)   ->   chances (n,) in 0..1 of the lines that were embedded, else 0

Readers labeled sentences of MedQuAD for people's questions: those that answer, those that belong beside them, and those
beside the question (`eval/datasets/questions/README.md`); `medcite eval calibrate sentences` fits the model. Each
sentence is compared with the question alone and behind the question that its page answers, which says what "it" is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from index.linear import Linear
from rag.retrieval import aspects as of
from rag.retrieval.reading import Encode, Line, Piece

SHIPPED = Path(__file__).with_name("sentences.json")
NAMES = (
    "alone", "alone_margin", "within", "within_margin", "kind", "kind_margin", "said", "words", "near", "type", "page",
    "answer", "question", "item", "opening", "points", "length",
)  # fmt: skip
"""What is known of a sentence. alone, within: the cosine of the question with it, and with it behind its answer's own
question; kind: how surely it is of the kind that is asked for; *_margin: less the best of all. said, words, near,
points: of `Line`. type: how surely its answer's type answers what is asked; page: the log chance that its page is
the right one; answer: `Piece.worth`; question: the likeness of its answer's own question. item: of a list. opening: 1
for an answer's first sentence, 1/2 for its second, and so on. length: the log of its words."""
ASKED = 40
"""Words of a page's question before a sentence: the embedder cuts a text off, and the sentence would be lost."""
LEAST_PAGE = 1e-3
"""Chance of a page below which all are as unlikely."""


def worth(
    lines: Sequence[Line],
    pieces: Sequence[Piece],
    texts: Sequence[str],
    encode: Encode,
    model: Linear | None = None,
) -> np.ndarray:
    """Chances (n,) of the lines that `read` embedded, 0 of the others; `model` is of NAMES (default: what ships)."""
    known = [at for at, line in enumerate(lines) if embedded(line)]
    found = np.zeros(len(lines))
    if known:
        found[known] = (model or shipped()).probability(features([lines[at] for at in known], pieces, texts, encode))
    return found


def embedded(line: Line) -> bool:
    """Whether a line says something and has a cosine."""
    return line.cosine != 0 and line.value > -math.inf


def features(lines: Sequence[Line], pieces: Sequence[Piece], texts: Sequence[str], encode: Encode) -> np.ndarray:
    """(n, len(NAMES)) of lines that were embedded, one at least; `texts` and `encode` as `read` takes them."""
    asked = encode(list(texts))
    asks = {at: " ".join(pieces[at].asks.split()[:ASKED]) for at in {line.piece for line in lines}}
    within = encode([f"{asks[line.piece]} {line.text}".strip() for line in lines])
    aspects = of.asked(texts[0])
    cosines = np.column_stack([[line.cosine for line in lines], (within @ asked.T).max(axis=1)])
    kind = np.array([line.kind for line in lines])
    rows = []
    for line in lines:
        piece = pieces[line.piece]
        rows.append(
            (
                line.said,
                line.words,
                line.near,
                of.fit(aspects, piece.kind),
                math.log(max(piece.page, LEAST_PAGE)),
                piece.worth,
                piece.question,
                line.item,
                1 / (1 + line.place) if piece.opens else 0.0,
                line.points,
                math.log1p(len(line.text.split())),
            )
        )
    margins = cosines - cosines.max(axis=0)
    return np.column_stack(
        [
            cosines[:, 0],
            margins[:, 0],
            cosines[:, 1],
            margins[:, 1],
            kind,
            kind - kind.max(),
            np.array(rows, dtype=float),
        ]
    )


@cache
def shipped() -> Linear:
    """The model that ships, read once."""
    return Linear.load(SHIPPED, "sentences", NAMES)
