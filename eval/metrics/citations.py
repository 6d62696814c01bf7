"""Citations as ALCE judges them (Gao et al. 2023, arXiv:2305.14627), by any checker of `eval/checker/checker.py`.

    judgements = judge([Cited(claims, sources)], checker)

Recall, of a sentence: its cited sources, joined, support it. Precision, of a citation: the source supports the
sentence alone, or the others do not without it; 0 where the sentence's recall is 0. And which numbers of an answer
stand in none of the sources cited for them. `python -m eval citations` says how far the checker can be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.checker.numbers import invented

if TYPE_CHECKING:
    from eval.checker.checker import Checker


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer without citation marks, and the source numbers that it cites."""

    text: str
    citations: tuple[int, ...] = ()

    @property
    def cited(self) -> tuple[int, ...]:
        """The citations, each once."""
        return tuple(dict.fromkeys(self.citations))


@dataclass(frozen=True)
class Cited:
    """An answer's sentences and the sources it was given, by the number that the reader sees."""

    claims: tuple[Claim, ...]
    sources: Mapping[int, str]

    @property
    def spoken(self) -> list[Claim]:
        """The sentences that have words."""
        return [claim for claim in self.claims if re.search(r"\w", claim.text)]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the checker says of a sentence. `supported`: recall 1.

    `good`: for each distinct citation, in order, whether it counts for precision. `invented`: the sentence's numbers,
    as written, that none of its cited sources holds.
    """

    supported: bool
    good: tuple[bool, ...]
    invented: tuple[str, ...]


def judge(answers: Sequence[Cited], checker: Checker) -> list[list[Judgement]]:
    """Each answer's sentences judged, in order; every pair of all answers goes to the checker once, in one batch.

    A sentence without words is left out. One without citation, or with a number that no source has, is not
    supported; a citation given twice counts once.
    """
    pairs = list(
        dict.fromkeys(
            (_joined(numbers, answer.sources), claim.text)
            for answer in answers
            for claim in answer.spoken
            for numbers in _checked(claim.cited, answer.sources)
        )
    )
    held = dict(zip(pairs, checker.supports_all(pairs), strict=True))
    return [[_judged(claim, answer.sources, held) for claim in answer.spoken] for answer in answers]


def _judged(claim: Claim, sources: Mapping[int, str], held: Mapping[tuple[str, str], bool]) -> Judgement:
    cited = claim.cited

    def holds(numbers: Sequence[int]) -> bool:
        return held[_joined(numbers, sources), claim.text]

    fair = bool(_checked(cited, sources)) and holds(cited)
    good = tuple(fair and (holds([n]) or not holds([other for other in cited if other != n])) for n in cited)
    texts = [sources[n] for n in cited if n in sources]
    return Judgement(fair, good, tuple(invented(claim.text, texts)))


def _checked(cited: tuple[int, ...], sources: Mapping[int, str]) -> list[tuple[int, ...]]:
    """The sets of sources that a sentence is checked against: all, each alone, and all but each."""
    if not cited or any(n not in sources for n in cited):
        return []
    alone = [(n,) for n in cited]
    rest = [tuple(other for other in cited if other != n) for n in cited] if len(cited) > 1 else []
    return [cited, *alone, *rest]


def _joined(numbers: Sequence[int], sources: Mapping[int, str]) -> str:
    return "\n\n".join(sources[n] for n in numbers)
