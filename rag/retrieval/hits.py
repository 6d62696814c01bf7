"""What retrieval finds: ranked passages, how sure it is, and the nearest topics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from index.corpus import QAPair
from index.passages import Passage


@dataclass(frozen=True, slots=True)
class Hit:
    """One retrieved passage. Cosines lie in -1..1, `lexical` is a raw BM25 score, `score` the fused rank score."""

    row: int
    passage: Passage
    pair: QAPair
    score: float
    question_cosine: float
    passage_cosine: float
    lexical: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """`hits` best first; `confidence` in 0..1, the calibrated chance that they cover the question."""

    hits: tuple[Hit, ...]
    confidence: float
    nearest: tuple[str, ...]
    nearest_questions: tuple[str, ...] = ()
    """The question that asks for each of the nearest topics."""
    named: frozenset[int] = frozenset()
    """Pairs (rows) that a name found in the question, the longest at each place, is a name of."""
    changes: tuple[tuple[str, str], ...] = ()
    """Words of the question that were searched as others, as (typed, read): spelling, and lay names."""

    def names_one_of(self, hits: Iterable[Hit]) -> bool:
        """Whether a whole name, focus or synonym, of one of these hits' pages stands in the question."""
        return any(hit.passage.pair in self.named for hit in hits)
