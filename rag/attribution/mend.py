"""A sentence that no source supports gives way to a quotation, not the whole answer.

mended(sentences, chosen)     ->   the sentences with the nearest of the chosen ones in place of each unsupported one
completed(sentences, answer)  ->   nothing that answers is left out
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz import fuzz

from rag.answer import Sentence
from rag.attribution.attribute import REPEAT, without_orphans

NEAR = 60.0
"""Likeness of words, in percent (rapidfuzz's token_set_ratio), from which a chosen sentence says what was meant. A
sentence near to none is left out."""


def mended(sentences: Sequence[Sentence], chosen: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """The sentences in their order; `chosen` are quoted ones, each used once and only if it is not said already."""
    kept = [sentence for sentence in sentences if sentence.supported]
    left = [one for one in chosen if not _said(one.text, kept)]
    found: list[Sentence] = []
    gap = False
    for sentence in sentences:
        if not sentence.supported:
            near = max(left, key=lambda one: fuzz.token_set_ratio(one.text, sentence.text), default=None)
            if near is None or fuzz.token_set_ratio(near.text, sentence.text) < NEAR:
                gap = gap or sentence.before.count("\n") > 1
                continue
            left.remove(near)
            sentence = near.model_copy(update={"before": sentence.before})
        if gap and "\n" not in sentence.before:
            sentence = sentence.model_copy(update={"before": "\n\n"})  # the paragraph that a sentence left out began
        gap = False
        found.append(sentence)
    return tuple(without_orphans(found))


def completed(sentences: Sequence[Sentence], answer: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """The sentences, where they say all of `answer`; else the answer, and after it what else they say.

    A draft leaves out now these, now those sentences of what it is shown: of 100 answers read, 11 were worse than the
    quotation for that, and 3 better.
    """
    if not sentences or all(_said(one.text, sentences) for one in answer):
        return tuple(sentences)
    rest = [one for one in sentences if not _said(one.text, answer)]
    if rest:
        rest[0] = rest[0].model_copy(update={"before": "\n\n"})
    return (*answer, *without_orphans(rest))


def _said(text: str, sentences: Sequence[Sentence]) -> bool:
    return any(text in one.text or fuzz.ratio(text, one.text) > REPEAT for one in sentences)
