"""What was asked and is in none of the sources found: said in one line.

    unsaid("symptoms of gout and is it hereditary", sentences, sources, pairs) -> ("whether it is inherited",)
    unsaid("symptoms of lupus type 9", sentences, sources, pairs)              -> ("what holds for “type 9” alone",)

Of aspects, only where a question asks for several things: whether the one thing that a question asks for is covered,
retrieval has decided before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from index.corpus import QAPair
from rag.answer import Sentence, Source
from rag.retrieval import designators
from rag.retrieval.aspects import ASPECTS, asked, fit, kind_of, mentions

FITS = 0.6
"""From here an answer of a question type speaks of an aspect (`aspects.fit`), whatever its sentences' words."""


def unsaid(
    question: str, sentences: Sequence[Sentence], sources: Sequence[Source], pairs: Mapping[int, QAPair]
) -> tuple[str, ...]:
    """The type of a condition that no page cited names, and the things asked for, in words, of which no source speaks.

    None where nothing is cited. `pairs`: each source's, by its number.
    """
    cited = {number for sentence in sentences for number in sentence.citations}
    if not cited:
        return ()
    pages = [designators.names(pairs[n].title, pairs[n].synonyms) for n in sorted(cited & set(pairs))]
    alone = tuple(f"what holds for “{said}” alone" for said in designators.alone(question, pages))
    aspects = asked(question)
    if len(aspects) < 2:
        return alone
    types = {kind_of(pair) for pair in pairs.values()}
    return alone + tuple(
        ASPECTS[name].means
        for name in aspects
        if not any(fit((name,), kind) >= FITS for kind in types)
        and not any(mentions((name,), source.text) for source in sources)
    )
