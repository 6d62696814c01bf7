"""What was asked, beside something else, and is not in the answer: said in one line.

    unsaid("what causes gout and is it hereditary", sentences, {1: "causes"})   ->  ("whether it is inherited",)

Only of a question that asks for several things: whether the one thing that a question asks for is covered, retrieval
has decided before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.answer import Sentence
from rag.retrieval.aspects import ASPECTS, asked, fit, mentions

FITS = 0.6
"""From here an answer of a question type speaks of an aspect (`aspects.fit`), whatever its sentences' words."""


def unsaid(question: str, sentences: Sequence[Sentence], kinds: Mapping[int, str]) -> tuple[str, ...]:
    """The things asked for, in words, of which no cited sentence speaks; none where the question asks for one thing.

    `kinds`: the question type of each source's answer, by the source's number.
    """
    aspects = asked(question)
    cited = [sentence for sentence in sentences if sentence.citations]
    if len(aspects) < 2 or not cited:
        return ()
    types = {kinds.get(n, "") for sentence in cited for n in sentence.citations}
    return tuple(
        ASPECTS[name].means
        for name in aspects
        if not any(fit((name,), kind) >= FITS for kind in types)
        and not any(mentions((name,), sentence.text) for sentence in cited)
    )
