"""What was asked, beside something else, and is in none of the sources found: said in one line.

    unsaid("symptoms of gout and is it hereditary", sentences, sources, {1: "symptoms"}) -> ("whether it is inherited",)

Only of a question that asks for several things: whether the one thing that a question asks for is covered, retrieval
has decided before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.answer import Sentence, Source
from rag.retrieval.aspects import ASPECTS, asked, fit, mentions

FITS = 0.6
"""From here an answer of a question type speaks of an aspect (`aspects.fit`), whatever its sentences' words."""


def unsaid(
    question: str, sentences: Sequence[Sentence], sources: Sequence[Source], kinds: Mapping[int, str]
) -> tuple[str, ...]:
    """The things asked for, in words, of which no source speaks; none where the question asks for one thing, or
    nothing is cited.

    `kinds`: the question type of each source's answer, by the source's number.
    """
    aspects = asked(question)
    if len(aspects) < 2 or not any(sentence.citations for sentence in sentences):
        return ()
    types = set(kinds.values())
    return tuple(
        ASPECTS[name].means
        for name in aspects
        if not any(fit((name,), kind) >= FITS for kind in types)
        and not any(mentions((name,), source.text) for source in sources)
    )
