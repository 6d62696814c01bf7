"""Retrieved passages as the reader sees them, and what a generator is shown of them.

source(1, hit, said)                            ->  Source(n=1, title="Gout", text=...)
evidence(retriever, hits, texts, said).shown()  ->  [(hit, "The sentences that answer ..."), ...]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from langchain_core.messages import BaseMessage

from configs.schema import Prompt as Settings
from index import repairs
from rag import prompt
from rag.answer import Sentence, Source
from rag.attribution.details import detailed
from rag.attribution.doses import withhold
from rag.attribution.selection import answering, quoted, scored, shown
from rag.retrieval.hits import Hit, Retrieval
from rag.retrieval.names import Said, names_it
from rag.retrieval.reading import Line, Piece


class Reader(Protocol):
    """What reads passages: `rag.retrieval.hybrid.HybridRetriever`."""

    def piece(self, hit: Hit) -> Piece: ...
    def word_weights(self, question: str) -> Mapping[str, float]: ...
    def encode(self, texts: list[str]) -> np.ndarray: ...


def source(n: int, hit: Hit, said: Said) -> Source:
    """A retrieved passage as the reader sees it, under number `n`; without doses where the question does not name it.

    `said` are the question's words.
    """
    lead_in = hit.passage.lead_in
    text = f"{lead_in}\n{hit.passage.text}" if lead_in else hit.passage.text
    text, left_out = (text, 0) if names_it(said, hit.pair) else withhold(text)
    return page(n, hit, text, left_out)


def page(n: int, hit: Hit, text: str = "", left_out: int = 0) -> Source:
    """A retrieved page by its name and address, with what is shown of its passage."""
    return Source(
        n=n,
        passage_id=hit.passage.id,
        pair_id=hit.pair.id,
        title=hit.pair.title,
        question=hit.pair.question,
        text=text,
        doses_left_out=left_out,
        repairs=repairs.within(hit.pair.repairs, text),
        institute=hit.pair.institute,
        url=hit.pair.url,
        urls=hit.pair.urls,
        score=hit.score,
        demonstration=hit.pair.demonstration,
    )


def pieces_of(reader: Reader, hits: Sequence[Hit], sources: Sequence[Source]) -> list[Piece]:
    """The sources' texts to read: what the reader sees, without reference marks and without doses left out."""
    return [replace(reader.piece(hit), text=one.text) for one, hit in zip(sources, hits, strict=True)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hits in the order in which they are read, each with its text, all their sentences, those that answer (`core`),
    and those with their details (`chosen`)."""

    hits: list[Hit]
    pieces: list[Piece]
    lines: list[Line]
    core: list[Line]
    chosen: list[Line]

    def quoted(self, sources: Sequence[Source]) -> list[Sentence]:
        """The chosen sentences, each citing its source among `sources`, which hold every hit."""
        return self._cited(self.chosen, sources)

    def answer(self, sources: Sequence[Source]) -> list[Sentence]:
        """The chosen sentences without their details; `sources` as in `quoted`."""
        return self._cited(self.core, sources)

    def _cited(self, lines: Sequence[Line], sources: Sequence[Source]) -> list[Sentence]:
        by_passage = {one.passage_id: one for one in sources}
        return quoted(lines, [by_passage[hit.passage.id] for hit in self.hits])

    def shown(self) -> list[tuple[Hit, str]]:
        """What a generator is shown: hits and sentences of them, without those of which nothing is."""
        texts = shown(self.lines, self.chosen, self.pieces)
        return [(self.hits[at], text) for at, text in texts.items()]


def evidence(reader: Reader, hits: Sequence[Hit], texts: Sequence[str], said: Said) -> Evidence:
    """The sentences of the hits that answer `texts`, a question as it was searched and its parts, with details."""
    ordered = prompt.arrange(hits)
    pieces = pieces_of(reader, ordered, [source(n, hit, said) for n, hit in enumerate(ordered, 1)])
    lines = scored(texts, pieces, reader.encode, reader.word_weights(texts[0]))
    core = answering(lines, pieces)
    return Evidence(ordered, pieces, lines, core, detailed(lines, pieces, core))


def prompted(
    reader: Reader, question: str, found: Retrieval, count: Callable[[Sequence[BaseMessage]], int], settings: Settings
) -> prompt.Prompt:
    """The prompt for `question` over what retrieval found for it, in `settings.max_tokens` as `count` counts them."""
    hits = found.hits[: settings.sources]
    read = evidence(reader, hits, found.texts or (question,), Said.of(question))
    return prompt.build(question, read.shown(), count, settings)
