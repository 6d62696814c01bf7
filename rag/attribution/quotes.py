"""Answers in the sources' own words: the extractive mode, the fallback, and what to highlight in a source.

    extract("What are the symptoms of gout?", sources, max_words=120)  ->  quoted sentences with citations

`python -m pytest tests/rag/attribution/test_quotes.py` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from index.words import tokens
from rag.answer import Sentence, Source, Span
from rag.attribution.support import LIST_MARK, Evidence, read

Score = Callable[[Sequence[str]], Sequence[float]]
START_BONUS = 0.25
"""Added to the run that begins a passage: pages answer first and explain after."""


def extract(
    question: str, sources: Sequence[Source], max_words: int = 120, score: Score | None = None
) -> list[Sentence]:
    """At most `max_words` words of the sources, verbatim and cited, in the order of the text.

    One run of sentences from the first source that holds any: the run that shares most with the
    question, the passage's beginning preferred; then, while there is room, what follows it on the same page.
    A list keeps its lead-in. One sentence is always given, however long. `score` rates sentences against
    the question (higher is better) in place of shared words.
    """
    usable = [source for source in sources if read(source.text).sentences]
    if not usable or max_words < 1:
        return []
    first = usable[0]
    page = [first, *(s for s in usable[1:] if s.pair_id == first.pair_id and s.text != first.text)]
    result: list[Sentence] = []
    room = max_words
    for k, source in enumerate(page):
        low, high = _run(question, source, room, score, free=k == 0)
        if low == high:
            break
        text = read(source.text)
        for i in range(low, high):
            start, end = text.sentences[i]
            layout = source.text[text.sentences[i - 1][1] if i else 0 : start]
            before = "" if not result else "\n\n" if i == low else _layout(layout)
            mark = LIST_MARK.search(layout)
            result.append(
                Sentence(
                    text=source.text[start:end],
                    citations=(source.n,),
                    support=1.0,
                    supported=True,
                    quoted=True,
                    before=before + (mark.group() if mark and i > low else ""),
                )
            )
            room -= _length(source, i)
        if high < len(text.sentences):
            break
    return result


def _layout(gap: str) -> str:
    return "\n\n" if gap.count("\n") > 1 else "\n" if "\n" in gap else " "


def _length(source: Source, i: int) -> int:
    start, end = read(source.text).sentences[i]
    return len(source.text[start:end].split())


def _run(question: str, source: Source, room: int, score: Score | None, free: bool) -> tuple[int, int]:
    """First and past-last sentence of the run to quote; `free`: it may start anywhere and always has a sentence."""
    text = read(source.text)
    count = len(text.sentences)
    lengths = [_length(source, i) for i in range(count)]
    texts = [source.text[start:end] for start, end in text.sentences]
    values = list(score(texts)) if score else _shared(question, source)
    is_item = [bool(i) and bool(LIST_MARK.search(source.text[text.sentences[i - 1][1] : text.sentences[i][0]]))
               for i in range(count)]  # fmt: skip
    ends = list(accumulate(lengths, initial=0))
    totals = list(accumulate(values, initial=0.0))
    best, best_value = (0, 0), float("-inf")
    high = 0
    for low in range(count if free else 1):
        if is_item[low]:
            continue  # an item without its lead-in says nothing
        high = max(high, low)
        while high < count and ends[high + 1] - ends[low] <= room:
            high += 1
        stop = high
        if stop < count and stop > low + 1 and is_item[stop] and not is_item[stop - 1]:
            stop -= 1  # a lead-in whose list does not fit
        value = totals[stop] - totals[low] + (START_BONUS * (1 + max(values, default=0.0)) if low == 0 else 0.0)
        if stop == low:
            if not (free and low == 0):
                continue
            stop = low + 1
        if value > best_value + 1e-9:
            best, best_value = (low, stop), value
    return best


def _shared(question: str, source: Source) -> list[float]:
    """For each sentence the weighted share of the question's content words that it holds."""
    evidence = Evidence([source])
    wanted = {word.stem for word in tokens(question) if word.stem}
    weights = {s: evidence.weight(s) for s in sorted(wanted)}
    total = sum(weights.values()) or 1.0
    text = read(source.text)
    return [
        sum(weights[s] for s in sorted({w.stem for w in text.words[low:high]} & wanted)) / total
        for low, high in text.bounds
    ]


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
