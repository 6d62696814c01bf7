"""A finished draft as the reader sees it: checked against its sources, mended and completed by them.

checked(draft, sources, read, settings, question)   ->   sentences; none where the sources are to be quoted instead
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from configs.schema import Answering
from rag import prompt
from rag.answer import Sentence, Source
from rag.attribution.attribute import attribute
from rag.attribution.doses import unsourced_doses
from rag.attribution.draft import unmarked
from rag.attribution.mend import completed, mended
from rag.attribution.references import without_marks
from rag.retrieval.hits import Hit
from rag.retrieval.names import Said
from rag.sources import Evidence, source


def numbered(built: prompt.Prompt, hits: Sequence[Hit], said: Said) -> tuple[Source, ...]:
    """The hits as the reader's sources: those in the prompt under its numbers, and then the others.

    The prompt holds sentences of a source; the reader gets the whole passage under the same number.
    """
    rows = {hit.row for hit in built.sources}
    ordered = (*built.sources, *(hit for hit in hits if hit.row not in rows))
    return tuple(source(n, hit, said) for n, hit in enumerate(ordered, 1))


def checked(
    draft: str, sources: Sequence[Source], read: Evidence, settings: Answering, question: str
) -> tuple[Sentence, ...]:
    """The sentences of a whole draft with their citations; `sources` hold every hit of `read`.

    What no source supports gives way to a chosen sentence or is left out. Where the draft left out a sentence that
    answers, those that answer stand first, and what else it wrote after them.
    Empty where less than `settings.fallback_below` of the draft, by words, is supported.
    """
    sentences = tuple(attribute(draft, sources, settings, question=question, complete=True))
    if not sentences or supported_share(sentences) < settings.fallback_below:
        return ()
    if not all(sentence.supported for sentence in sentences):
        sentences = mended(sentences, read.quoted(sources))
    return completed(sentences, read.answer(sources))


def supported_share(sentences: Sequence[Sentence]) -> float:
    """Share of the words that stand in supported sentences; -1 where there is none at all."""
    words = [(len(sentence.text.split()), sentence.supported) for sentence in sentences]
    held = sum(count for count, supported in words if supported)
    return held / sum(count for count, _ in words) if held else -1.0


# A number whose unit may still be on its way: at most the start of one word stands behind it.
_OPEN_NUMBER = re.compile(r"\d[\d.,/–-]*\s*\S*\s*$")


def showable(tail: str, texts: list[str]) -> str:
    """The unfinished sentence as far as it may be shown: no number of a source that the model wrote, and a dose only
    once a source is known to hold it."""
    settled = without_marks(unmarked(_OPEN_NUMBER.sub("", tail)))
    return "" if unsourced_doses(settled, texts) else settled
