"""What retrieval finds: ranked passages, how sure it is, and the nearest topics."""

from __future__ import annotations

from dataclasses import dataclass

from index.corpus import QAPair
from index.passages import Passage


@dataclass(frozen=True, slots=True)
class Hit:
    """One retrieved passage. Cosines lie in -1..1, `lexical` is a raw BM25 score, `score` the fused rank score;
    `page` is the chance, in 0..1, that the page is on what was asked, `worth`, at most 0, what its answer counts beside
    its sentences."""

    row: int
    passage: Passage
    pair: QAPair
    score: float
    question_cosine: float
    passage_cosine: float
    lexical: float
    page: float = 1.0
    worth: float = 0.0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """`hits` best first; `confidence` in 0..1, the calibrated chance that they cover the question."""

    hits: tuple[Hit, ...]
    confidence: float
    nearest: tuple[str, ...]
    nearest_questions: tuple[str, ...] = ()
    """The question that asks for each of the nearest topics."""
    texts: tuple[str, ...] = ()
    """The question as it was searched, and the sentences of a long message."""
    changes: tuple[tuple[str, str], ...] = ()
    """Words of the question that were searched as others, as (typed, read): spelling, and lay names."""
