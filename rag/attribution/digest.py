"""The long form of quoting: all that the sources say to the question, in their order, as an expert would excerpt them.

    Digest.load().choose(["is there a cure for tinnitus"], sources, pieces, encode)   ->   quoted sentences

`rag/attribution/selection.py` quotes a few sentences for the chat. Here every sentence gets a score from its likeness
to the question, alone and with the sentences beside it, and from whether it speaks of the kind of thing that is asked
for; the best are quoted, up to a number of words that grows with the root of what there is to choose from.
`medcite eval calibrate digest` fits it and writes `digest.json`; docs/decisions/experts.md has the figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from configs import files
from configs.errors import UserError
from index.linear import Linear
from index.words import words
from rag.answer import Sentence, Source
from rag.attribution.details import Block, text_of
from rag.attribution.details import blocks as blocks_of
from rag.attribution.selection import quoted
from rag.retrieval import kinds
from rag.retrieval.hits import Hit
from rag.retrieval.kinds import Kinds
from rag.retrieval.reading import Encode, Line, Piece, read

SHIPPED = Path(__file__).with_name("digest.json")
SCHEMA = 2
NAMES = ("alone", "after", "around", "kind", "kind_here", "opening", "pointer")
"""What is known of a sentence. alone, after, around: the cosine of the question with the sentence, with it and the one
before, and with both neighbors; kind: the log chance that question and sentence are of one question type. These but
`kind` are in standard deviations from the mean of all sentences, and `kind_here` is `kind` so. opening: 1 for an
answer's first sentence, 1/2 for its second, and so on. pointer: whether it points to somewhere else."""
PASSAGES = 24
"""Passages retrieved for the long form."""
SURE = 0.5
"""Of the likeliest page's chance to be on the question: pages below are not quoted."""
MAX_WORDS = 400
"""Words quoted at most: of 50 excerpts by experts the longest has 397."""
LEAST = 1e-3
"""Chance of a common type below which all are as unlikely."""
_FOOTER = re.compile(r"NIH:")
_POINTER = re.compile(
    r"read about this|lea sobre|for more information|visit the|web ?site|e-mail|national (?:institute|library)"
    r"|information (?:center|about)|support group|resource|registry",
    re.IGNORECASE,
)


def on_topic(hits: Sequence[Hit]) -> list[Hit]:
    """The passages of pages as likely as SURE of the likeliest: answers in the order of the hits, each in its own."""
    limit = SURE * max((hit.page for hit in hits), default=0.0)
    first: dict[str, int] = {}
    for at, hit in enumerate(hits):
        first.setdefault(hit.pair.id, at)
    kept = [hit for hit in hits if hit.page >= limit]
    return sorted(kept, key=lambda hit: (first[hit.pair.id], hit.passage.ordinal))


def candidates(texts: Sequence[str], pieces: Sequence[Piece], encode: Encode, types: Kinds) -> Candidates:
    """What may be quoted, each once, with what is known of it: sentences, and lists whole with their lead-in.

    `texts`: the question and, for a long message, its parts, of which the better counts.
    """
    every = blocks_of(read(texts, pieces, encode, 0))
    blocks: list[Block] = []
    windows: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    for at, block in enumerate(every):
        text = text_of(block)
        said = " ".join(words(text.lower()))
        if said in seen or _FOOTER.match(text) or all(line.points or line.value == -np.inf for line in block):
            continue
        seen.add(said)
        before = [text_of(one) for one in every[max(at - 1, 0) : at] if one[0].piece == block[0].piece]
        behind = [text_of(one) for one in every[at + 1 : at + 2] if one[0].piece == block[0].piece]
        blocks.append(block)
        windows.append((text, " ".join([*before, text]), " ".join([*before, text, *behind])))
    if not blocks:
        return Candidates([], np.zeros((0, len(NAMES))))
    asked = encode(list(texts))
    distinct = list(dict.fromkeys(text for row in windows for text in row))
    places = {text: at for at, text in enumerate(distinct)}
    vectors = encode(distinct)[[[places[text] for text in row] for row in windows]]
    cosines = (vectors @ asked.T).max(axis=2)
    chances = types(vectors.reshape(-1, vectors.shape[-1])).reshape(*vectors.shape[:2], -1).mean(axis=1)
    kind = np.log(np.maximum(chances @ types(asked[:1])[0], LEAST))
    opening = [1 / (1 + block[0].place) if pieces[block[0].piece].opens else 0.0 for block in blocks]
    pointer = [float(bool(_POINTER.search(text_of(block)))) for block in blocks]
    return Candidates(blocks, np.column_stack([_standard(cosines), kind, _standard(kind), opening, pointer]))


@dataclass(frozen=True)
class Candidates:
    """What may be quoted, in the order of its sources, and its features (n, len(NAMES))."""

    blocks: list[Block]
    values: np.ndarray

    @property
    def sizes(self) -> list[int]:
        """The words of each block."""
        return [len(text_of(block).split()) for block in self.blocks]

    def best(self, worth: np.ndarray, max_words: float) -> list[Line]:
        """The blocks of the highest `worth` (n,) up to `max_words` words, by half a block more; at least one."""
        chosen: list[Line] = []
        sizes, size = self.sizes, 0
        for at in np.argsort(-worth, kind="stable").tolist():
            if chosen and size + sizes[at] / 2 > max_words:
                break
            chosen += self.blocks[at]
            size += sizes[at]
        return sorted(chosen, key=lambda line: (line.piece, line.place))

    def room(self, per_root: float) -> float:
        """How many words are quoted: `per_root` times the root of the words of all blocks, at most MAX_WORDS."""
        return min(MAX_WORDS, per_root * sum(self.sizes) ** 0.5)


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-6)


@dataclass(frozen=True)
class Digest:
    """The fitted models, and how many words are quoted per root of the words there are (`Candidates.room`)."""

    kinds: Kinds
    order: Linear
    per_root: float
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def choose(
        self, texts: Sequence[str], sources: Sequence[Source], pieces: Sequence[Piece], encode: Encode
    ) -> list[Sentence]:
        """The sentences that answer, verbatim and cited, in the order of the sources; none where there is none."""
        found = candidates(texts, pieces, encode, self.kinds)
        chosen = found.best(self.order.probability(found.values), found.room(self.per_root))
        return quoted(chosen, sources)

    def save(self, path: Path) -> None:
        """Write the model as JSON, the kinds aside. Raises UserError where it cannot be written."""
        data = {
            "schema": SCHEMA,
            "fitted_on": self.fitted_on,
            "order": dict(zip(self.order.names, self.order.weights, strict=True)) | {"bias": self.order.intercept},
            "per_root": self.per_root,
        }
        with files.said(path):
            files.write_json(path, data)

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Digest:
        """Read a model. Raises UserError if it is missing, damaged or of other features."""
        again = "run `medcite eval calibrate digest`"
        try:
            data = json.loads(path.read_text("utf-8"))
            order = dict(data["order"])
            bias = float(order.pop("bias"))
            if data["schema"] != SCHEMA or tuple(order) != NAMES:
                raise UserError(f"{path}: made for other features; {again}")
            linear = Linear(NAMES, tuple(map(float, order.values())), bias)
            return cls(kinds.shipped(), linear, float(data["per_root"]), dict(data["fitted_on"]))
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}; {again}") from None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise UserError(f"{path}: damaged; {again}") from None
