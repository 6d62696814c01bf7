"""Citations as ALCE judges them (Gao et al. 2023, arXiv:2305.14627), by any checker of `eval/checker/checker.py`.

    judgements = judge([Cited(claims, sources)], checker)

Recall, of a sentence: its cited sources, joined, support it. Precision, of a citation: the source supports the
sentence alone, or the others do not without it; 0 where the sentence's recall is 0. And which numbers of an answer
stand in none of the sources cited for them. `python -m eval citations` says how far the checker can be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
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


@dataclass(frozen=True)
class Cited:
    """An answer's sentences and the sources it was given, by the number that the reader sees."""

    claims: tuple[Claim, ...]
    sources: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class SentenceJudgement:
    """`supported`: recall 1. `good`: for each distinct citation, in order, whether it counts for precision.

    `invented`: the sentence's numbers, as written, that none of its cited sources holds.
    """

    supported: bool
    good: tuple[bool, ...]
    invented: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerJudgement:
    """What the checker says of one answer, sentence by sentence, and its sums."""

    judged: tuple[SentenceJudgement, ...]

    @property
    def sentences(self) -> int:
        return len(self.judged)

    @property
    def supported(self) -> int:
        return sum(item.supported for item in self.judged)

    @property
    def unsupported(self) -> int:
        return self.sentences - self.supported

    @property
    def citations(self) -> int:
        return sum(len(item.good) for item in self.judged)

    @property
    def good_citations(self) -> int:
        return sum(sum(item.good) for item in self.judged)

    @property
    def invented(self) -> tuple[str, ...]:
        return tuple(number for item in self.judged for number in item.invented)

    @property
    def recall(self) -> float | None:
        """Supported sentences among all, 0..1; None for an answer with no sentence."""
        return self.supported / self.sentences if self.judged else None

    @property
    def precision(self) -> float | None:
        """Good citations among all, 0..1; None for an answer that cites nothing."""
        return self.good_citations / self.citations if self.citations else None


def judge(answers: Sequence[Cited], checker: Checker) -> list[AnswerJudgement]:
    """A judgement for each answer, in order; every pair of all answers goes to the checker once, in one batch.

    A sentence without words is left out. One without citation, or with a number that no source has, is not
    supported; a citation given twice counts once.
    """
    wanted: dict[tuple[str, str], bool] = {}
    for answer in answers:
        for claim in _spoken(answer.claims):
            for numbered in _needed(_numbers_of(claim), answer.sources):
                wanted[_joined(numbered, answer.sources), claim.text] = False
    pairs = list(wanted)
    wanted = dict(zip(pairs, checker.supports_all(pairs), strict=True))

    def holds(numbered: Sequence[int], claim: Claim, sources: Mapping[int, str]) -> bool:
        return wanted[_joined(numbered, sources), claim.text]

    def sentence(claim: Claim, sources: Mapping[int, str]) -> SentenceJudgement:
        cited = _numbers_of(claim)
        fair = bool(_needed(cited, sources)) and holds(cited, claim, sources)
        good = [
            fair
            and (
                len(cited) == 1
                or holds((n,), claim, sources)
                or not holds([other for other in cited if other != n], claim, sources)
            )
            for n in cited
        ]
        held = [text for n in cited if (text := sources.get(n)) is not None]
        return SentenceJudgement(fair, tuple(good), tuple(invented(claim.text, held)))

    return [
        AnswerJudgement(tuple(sentence(claim, answer.sources) for claim in _spoken(answer.claims)))
        for answer in answers
    ]


def _spoken(claims: Iterable[Claim]) -> list[Claim]:
    return [claim for claim in claims if re.search(r"\w", claim.text)]


def _numbers_of(claim: Claim) -> tuple[int, ...]:
    return tuple(dict.fromkeys(claim.citations))


def _needed(cited: tuple[int, ...], sources: Mapping[int, str]) -> list[tuple[int, ...]]:
    """The sets of sources that a sentence is checked against: all, each alone, and all but each."""
    if not cited or any(n not in sources for n in cited):
        return []
    alone = [(n,) for n in cited]
    rest = [tuple(other for other in cited if other != n) for n in cited] if len(cited) > 1 else []
    return list(dict.fromkeys([cited, *alone, *rest]))


def _joined(numbered: Sequence[int], sources: Mapping[int, str]) -> str:
    return "\n\n".join(sources[n] for n in numbered)
