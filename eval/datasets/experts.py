"""MEDIQA-2021's expert summaries: questions of consumers, the answers found for each, and what experts made of them.

No command of its own; `medcite eval experts` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.errors import UserError
from index.clean import clean_answer
from index.corpus import QAPair
from index.embedder import EmbedderLike
from index.passages import Passage, cut
from index.sentences import spans
from rag.answer import Source
from rag.retrieval.hits import Hit
from rag.retrieval.reading import Piece

FILE = "answer-summaries-validation.jsonl"


@dataclass(frozen=True, slots=True)
class Expert:
    """A question, its answers in the order in which they were found, and the experts' two summaries of them."""

    question: str
    answers: tuple[str, ...]
    extractive: str
    abstractive: str


def read(folder: Path) -> list[Expert]:
    """The questions of MEDIQA-2021's folder. Raises UserError where the file is missing or not as it should be."""
    path = folder / FILE
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); --data takes MEDIQA-2021's folder") from None
    found: list[Expert] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            texts = [row[name] for name in ("question", "extractive", "abstractive")]
            answers = tuple(row["answers"])
            if not answers or not all(isinstance(text, str) and text.strip() for text in (*texts, *answers)):
                raise ValueError("an empty text")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: line {number}: {error}; a line has a question, answers, extractive and abstractive"
            ) from None
        found.append(Expert(texts[0], answers, texts[1], texts[2]))
    if not found:
        raise UserError(f"{path}: no questions in it; get MEDIQA-2021 again")
    return found


def as_hit(source: Source, row: int) -> Hit:
    """A source as retrieval would have found it, for a prompt: of no name, in row `row`."""
    pair = QAPair(id=source.pair_id, question="", answer=source.text)
    passage = Passage(source.passage_id, row, row, 0, len(source.text), source.text)
    return Hit(row, passage, pair, 0.0, 0.0, 0.0, 0.0)


def as_sources(one: Expert, embedder: EmbedderLike, max_tokens: int) -> tuple[list[Source], list[Piece]]:
    """The answers cleaned and cut as the index does it, one source a passage, in order; what retrieval knows is left
    out: every answer is taken to be on the question."""
    sources: list[Source] = []
    pieces: list[Piece] = []
    for row, text in enumerate(one.answers):
        pair = QAPair(id=str(row), question=one.question, answer=clean_answer(text))
        for passage in cut(row, pair, embedder.count_tokens, max_tokens):
            source = Source(
                n=len(sources) + 1,
                passage_id=passage.id,
                pair_id=pair.id,
                title="",
                question="",
                text="\n".join(filter(None, (passage.lead_in, passage.text))),
            )
            sources.append(source)
            pieces.append(Piece(source.text, "", passage.ordinal == 0))
    return sources, pieces


def leads(answers: Sequence[str], sentences: int) -> str:
    """The first sentences of each answer, joined."""
    return " ".join(text[start:end] for text in answers for start, end in spans(text)[:sentences])
