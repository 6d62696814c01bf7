"""What to highlight in the sources of an answer: the spans that its sentences rest on."""

from __future__ import annotations

from collections.abc import Sequence

from index.words import tokens
from rag.answer import Sentence, Source, Span
from rag.attribution.support import Evidence


def highlights(sentences: Sequence[Sentence], sources: Sequence[Source]) -> tuple[Source, ...]:
    """The sources with `used` set and the spans of their text that support the answer, in order, not overlapping."""
    marked = []
    for source in sources:
        spans: list[tuple[int, int]] = []
        citing = [sentence for sentence in sentences if source.n in sentence.citations]
        evidence: Evidence | None = None
        for sentence in citing:
            at = source.text.find(sentence.text) if sentence.quoted and sentence.text else -1
            if at >= 0:
                spans.append((at, at + len(sentence.text)))
                continue
            evidence = evidence or Evidence([source])
            coverage = evidence.coverage(w.stem for w in tokens(sentence.text) if w.stem)
            if len(coverage):
                # A single sentence rather than a pair that adds nothing: the first of the best.
                unit = evidence.units[int(coverage.argmax())]
                spans.append((unit.start, unit.end))
        merged: list[Span] = []
        for start, end in sorted(spans):
            if merged and start <= merged[-1].end:
                merged[-1] = Span(start=merged[-1].start, end=max(end, merged[-1].end))
            else:
                merged.append(Span(start=start, end=end))
        marked.append(source.model_copy(update={"used": bool(citing), "highlights": tuple(merged)}))
    return tuple(marked)
