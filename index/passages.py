"""Passages: pieces of one answer, cut at sentence ends to fit the embedder's window.

    cut(0, pair, embedder.count_tokens, 256)  ->  [Passage, ...]

What is embedded of a passage is `embedded_text`: the pair's question, then, for a piece that begins inside a
list, the sentence that introduces the list, then the passage. The cuts are the cheapest way (dynamic
programming) to cover the answer: few pieces, at paragraph ends rather than inside paragraphs or lists, no
crumbs, and never between a list and its lead-in if there is another way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from index.corpus import QAPair
from index.sentences import ITEM, spans

CountTokens = Callable[[Sequence[str]], list[int]]
"""Texts to their lengths in tokens, each with the special tokens that the model adds."""

BATCH = 512
"""Answers whose sentences are counted together; the tokenizer is much faster on many texts at once."""

# What a cut costs, in units of one more passage.
_PASSAGE, _PARAGRAPH, _SENTENCE, _ITEM, _LEAD, _WORD = 1.0, 0.0, 0.4, 0.3, 3.0, 2.0
_CRUMB = 1.0
_CRUMB_SHARE = 0.25
"""A passage that fills less than this share of the window costs up to `_CRUMB` more."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one answer: `text == pair.answer[start:end]`.

    `pair` is the row of its QAPair in the index, `ordinal` its place among the pair's passages. `lead_in` is the
    sentence that introduces the list that this piece continues, empty where the piece holds it or has no list.
    """

    id: str
    pair: int
    ordinal: int
    start: int
    end: int
    text: str
    lead_in: str = ""


@dataclass(slots=True)
class _Unit:
    """A sentence, a list item, or a piece of one too long for the window."""

    start: int
    end: int
    tokens: int
    cost: float
    """Of a cut just before it."""
    lead: int = -1
    """The unit that introduces the list that this item belongs to."""


def embedded_text(question: str, passage: Passage) -> str:
    """What the embedder reads of a passage; `question` comes from `headings`."""
    return "\n".join(part for part in (question, passage.lead_in, passage.text) if part)


def headings(questions: Sequence[str], count_tokens: CountTokens, max_tokens: int) -> list[str]:
    """Questions as they stand before their passages: one that fills over half the window keeps its opening words."""
    special = count_tokens([""])[0]
    limit = (max_tokens - special) // 2
    counts = count_tokens(questions)
    return [
        question if count - special <= limit else _opening(question, count_tokens, limit + special)
        for question, count in zip(questions, counts, strict=True)
    ]


def cut(pair_row: int, pair: QAPair, count_tokens: CountTokens, max_tokens: int) -> list[Passage]:
    """The passages of one answer, in order, without overlap, covering all of it but white space.

    `embedded_text` of each is at most `max_tokens` tokens, special tokens included.
    """
    return [passage for _, passage in _cut_batch([(pair_row, pair)], count_tokens, max_tokens)]


def cut_all(pairs: Iterable[QAPair], count_tokens: CountTokens, max_tokens: int) -> Iterator[tuple[str, Passage]]:
    """Every pair's passages in order, each with its heading; rows are the pairs' places in `pairs`."""
    rows = enumerate(pairs)
    while batch := list(islice(rows, BATCH)):
        yield from _cut_batch(batch, count_tokens, max_tokens)


def _cut_batch(
    batch: list[tuple[int, QAPair]], count_tokens: CountTokens, max_tokens: int
) -> Iterator[tuple[str, Passage]]:
    special = count_tokens([""])[0]
    heads = headings([pair.question for _, pair in batch], count_tokens, max_tokens)
    head_tokens = [count - special for count in count_tokens(heads)]
    sentences = [spans(pair.answer) for _, pair in batch]
    flat = [pair.answer[a:b] for (_, pair), found in zip(batch, sentences, strict=True) for a, b in found]
    counts = iter(count_tokens(flat))
    cuts: list[list[Passage]] = []
    for (row, pair), found, head in zip(batch, sentences, head_tokens, strict=True):
        sized = [(a, b, next(counts) - special) for a, b in found]
        cuts.append(_pack(row, pair, sized, max_tokens - special - head, count_tokens))

    # A whole may have more tokens than its parts together, with some tokenizers: measure it, and cut finer.
    texts = [embedded_text(head, p) for head, passages in zip(heads, cuts, strict=True) for p in passages]
    lengths = iter(count_tokens(texts))
    for i, ((row, pair), passages) in enumerate(zip(batch, cuts, strict=True)):
        over = max((next(lengths) for _ in passages), default=0) - max_tokens
        budget = max_tokens - special - head_tokens[i]
        while over > 0 and budget > 1:
            budget = max(1, budget - over)
            sized = [
                (a, b, n - special)
                for (a, b), n in zip(sentences[i], _counts(pair, sentences[i], count_tokens), strict=True)
            ]
            passages = _pack(row, pair, sized, budget, count_tokens)
            over = max(count_tokens([embedded_text(heads[i], p) for p in passages])) - max_tokens
        for passage in passages:
            yield heads[i], passage


def _counts(pair: QAPair, found: list[tuple[int, int]], count_tokens: CountTokens) -> list[int]:
    return count_tokens([pair.answer[a:b] for a, b in found])


def _pack(
    row: int, pair: QAPair, sized: list[tuple[int, int, int]], budget: int, count_tokens: CountTokens
) -> list[Passage]:
    units = _units(pair.answer, sized, budget, count_tokens)
    passages = []
    for ordinal, (first, last) in enumerate(_cheapest(units, budget)):
        start, end = units[first].start, units[last - 1].end
        lead = units[first].lead
        lead_in = ""
        if lead >= 0 and sum(unit.tokens for unit in units[first:last]) + units[lead].tokens <= budget:
            lead_in = pair.answer[units[lead].start : units[lead].end]
        text = pair.answer[start:end]
        passages.append(Passage(f"{pair.id}#{ordinal}", row, ordinal, start, end, text, lead_in))
    return passages


def _units(text: str, sized: list[tuple[int, int, int]], budget: int, count_tokens: CountTokens) -> list[_Unit]:
    units: list[_Unit] = []
    lead = -1
    previous_end = 0
    for start, end, tokens in sized:
        gap = text[previous_end:start]
        item = _is_item(text, start)
        if item and lead < 0 and units:
            lead = len(units) - 1
        elif not item and "\n" in gap:
            lead = -1
        if lead >= 0 and lead == len(units) - 1:
            cost = _LEAD
        elif lead >= 0:
            cost = _ITEM if item else _SENTENCE
        else:
            cost = _PARAGRAPH if "\n" in gap else _SENTENCE
        if units and "\n" in gap and _is_heading(text[units[-1].start : units[-1].end]):
            cost = _LEAD
        for i, (a, b, n) in enumerate(_pieces(text, start, end, tokens, budget, count_tokens)):
            units.append(_Unit(a, b, n, cost if i == 0 else _WORD, lead))
        previous_end = end
    for unit in units:
        if unit.lead >= 0 and units[unit.lead].tokens > budget // 3:
            unit.lead = -1
    return units


def _cheapest(units: list[_Unit], budget: int) -> list[tuple[int, int]]:
    """Cut points of least cost: `[(first unit, one past the last), ...]`."""
    total = len(units)
    if sum(unit.tokens for unit in units) <= budget:
        return [(0, total)] if total else []
    crumb = budget * _CRUMB_SHARE
    best = [0.0] + [float("inf")] * total
    back = [0] * (total + 1)
    for end in range(1, total + 1):
        tokens = 0
        for first in range(end - 1, -1, -1):
            tokens += units[first].tokens
            if tokens > budget and first < end - 1:
                break
            cost = best[first] + _PASSAGE + (units[first].cost if first else 0.0)
            if tokens < crumb:
                cost += _CRUMB * (1 - tokens / crumb)
            if cost < best[end]:
                best[end], back[end] = cost, first
    cuts = []
    end = total
    while end:
        cuts.append((back[end], end))
        end = back[end]
    return cuts[::-1]


def _pieces(
    text: str, start: int, end: int, tokens: int, budget: int, count_tokens: CountTokens
) -> list[tuple[int, int, int]]:
    """A sentence as pieces that fit the window: itself, or runs of words, or, of one endless word, its halves."""
    if tokens <= budget:
        return [(start, end, tokens)]
    special = count_tokens([""])[0]
    words = [(start + m.start(), start + m.end()) for m in re.finditer(r"\S+", text[start:end])]
    counts = [count - special for count in count_tokens([text[a:b] for a, b in words])]
    pieces: list[tuple[int, int, int]] = []
    for (a, b), count in zip(words, counts, strict=True):
        if count > budget and b - a > 1:
            pieces += _halves(text, a, b, budget, count_tokens, special)
        elif pieces and pieces[-1][2] + count <= budget:
            pieces[-1] = (pieces[-1][0], b, pieces[-1][2] + count)
        else:
            pieces.append((a, b, count))
    return pieces


def _halves(
    text: str, start: int, end: int, budget: int, count_tokens: CountTokens, special: int
) -> list[tuple[int, int, int]]:
    count = count_tokens([text[start:end]])[0] - special
    if count <= budget or end - start <= 1:
        return [(start, end, count)]
    middle = (start + end) // 2
    return _halves(text, start, middle, budget, count_tokens, special) + _halves(
        text, middle, end, budget, count_tokens, special
    )


def _opening(text: str, count_tokens: CountTokens, limit: int) -> str:
    """The longest run of opening words of at most `limit` tokens, special tokens included."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens([text[: ends[middle - 1]]])[0] <= limit:
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]] if low else ""


def _is_item(text: str, start: int) -> bool:
    line = text.rfind("\n", 0, start) + 1
    return not text[line:start].strip() and ITEM.match(text, line) is not None


def _is_heading(text: str) -> bool:
    """A short line that no full stop ends introduces what follows it."""
    return len(text) <= 80 and text[-1:] not in '.!?…"”)' and not ITEM.match(text)
