"""Passages: pieces of one answer, cut at sentence ends to fit the embedder's window."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one answer: `text == pair.answer[start:end]`.

    `pair` is the row of its QAPair in the index, `ordinal` its place among the pair's passages.
    """

    id: str
    pair: int
    ordinal: int
    start: int
    end: int
    text: str
