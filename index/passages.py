"""Passages: pieces of one answer, cut at sentence ends to fit the embedder's window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from index.corpus import QAPair
from index.sentences import spans

CountTokens = Callable[[Sequence[str]], list[int]]
"""Texts to their numbers of embedder tokens, special tokens not counted."""

SPECIAL_TOKENS = 2
"""What the embedder puts around a text ([CLS] and [SEP])."""
MAX_LEAD_IN = 48
"""Tokens; a longer sentence before a list is not repeated before the list's later pieces."""

# Costs of a cut, in units of the squared relative misfit of a passage's size: chosen by reading what they give.
_PER_PASSAGE = 0.15
_AT_SENTENCE, _IN_LIST, _AFTER_LEAD_IN = 0.25, 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one answer: `text == pair.answer[start:end]`.

    `pair` is the row of its QAPair in the index, `ordinal` its place among the pair's passages. `lead_in` is the
    sentence that opens a list, where this piece continues that list ("Symptoms include:").
    """

    id: str
    pair: int
    ordinal: int
    start: int
    end: int
    text: str
    lead_in: str = ""


def headings(questions: Sequence[str], count_tokens: CountTokens, max_tokens: int) -> list[str]:
    """Questions as they stand before their passages: one that takes over half the window keeps its opening words.

    Dialogue corpora ask in hundreds of words; whole, such a question would push its answer out of the window.
    """
    limit = (max_tokens - SPECIAL_TOKENS) // 2
    counts = count_tokens(questions)
    return [
        question if count <= limit else _opening(question, limit, count_tokens)
        for question, count in zip(questions, counts, strict=True)
    ]


def _opening(text: str, limit: int, count_tokens: CountTokens) -> str:
    pieces = _pieces(text, 0, len(text), limit, count_tokens)
    return text[pieces[0][0] : pieces[0][1]] if pieces else ""


def embedding_text(heading: str, passage: Passage) -> str:
    """What is embedded for a passage: its question's heading, the lead-in of a continued list, its text."""
    return "\n".join(part for part in (heading, passage.lead_in, passage.text) if part)


@dataclass(slots=True)
class _Unit:
    start: int
    end: int
    tokens: int
    item: bool
    paragraph: bool  # a paragraph ends here
    lead_in: int  # the unit that opens this item's list, or -1


def cut(row: int, pair: QAPair, count_tokens: CountTokens, max_tokens: int) -> list[Passage]:
    """Cut one answer into passages, each with its question within `max_tokens` embedder tokens.

    In order, not overlapping, covering every character that is not white space. Cuts fall at sentence ends, at
    paragraph ends where that costs little, and keep a list with its lead-in where both fit; a sentence longer than
    the window is cut at white space, or inside a word where there is none. Sizes are balanced: no tiny tail.
    """
    return cut_many(row, [pair], count_tokens, max_tokens)


def cut_many(first: int, pairs: Sequence[QAPair], count_tokens: CountTokens, max_tokens: int) -> list[Passage]:
    """`cut` of pairs in a row, the first of them at row `first`; their tokens are counted in one call."""
    found: list[Passage] = []
    sentences = [spans(pair.answer) for pair in pairs]
    texts = (
        [pair.question, *(pair.answer[start:end] for start, end in own)]
        for pair, own in zip(pairs, sentences, strict=True)
    )
    counts = count_tokens(list(chain.from_iterable(texts)))
    at = 0
    for row, (pair, own) in enumerate(zip(pairs, sentences, strict=True), first):
        found += _cut(row, pair, own, counts[at : at + 1 + len(own)], count_tokens, max_tokens)
        at += 1 + len(own)
    return found


def _cut(
    row: int,
    pair: QAPair,
    sentences: list[tuple[int, int]],
    counts: list[int],
    count_tokens: CountTokens,
    max_tokens: int,
) -> list[Passage]:
    """The passages of a pair whose question and sentences have `counts` tokens."""
    if not sentences:
        return []
    room = max_tokens - SPECIAL_TOKENS
    window = room - counts[0]
    if counts[0] > room // 2:
        window = room - count_tokens(headings([pair.question], count_tokens, max_tokens))[0]
    units = _units(pair.answer, sentences, counts[1:], window, count_tokens)
    return [
        _passage(row, pair, ordinal, units, first, last, window)
        for ordinal, (first, last) in enumerate(_pack(units, window))
    ]


def _passage(row: int, pair: QAPair, ordinal: int, units: list[_Unit], first: int, last: int, window: int) -> Passage:
    start, end = units[first].start, units[last].end
    opener = units[first].lead_in
    lead_in = ""
    if opener >= 0 and units[opener].tokens + sum(unit.tokens for unit in units[first : last + 1]) <= window:
        lead_in = pair.answer[units[opener].start : units[opener].end]
    return Passage(f"{pair.id}@{ordinal}", row, ordinal, start, end, pair.answer[start:end], lead_in)


def _units(
    text: str, sentences: list[tuple[int, int]], counts: list[int], window: int, count_tokens: CountTokens
) -> list[_Unit]:
    """Sentences, the ones past the window cut up, with what the packing needs to know."""
    units: list[_Unit] = []
    opener = -1
    for n, (start, end) in enumerate(sentences):
        item = text.startswith(("- ", "-\t", "• ", "* "), start)
        following = sentences[n + 1][0] if n + 1 < len(sentences) else len(text)
        paragraph = "\n\n" in text[end:following] or n + 1 == len(sentences)
        # A second sentence of an item is on the item's own line.
        continued = bool(units) and units[-1].item and "\n" not in text[units[-1].end : start]
        if not item and not continued:
            opener = len(units) if counts[n] <= min(MAX_LEAD_IN, window // 3) else -1
        pieces = [(start, end, counts[n])]
        if counts[n] > window:
            pieces = _pieces(text, start, end, window, count_tokens)
            opener = opener if item or continued else -1
        listed = item or continued
        units += [_Unit(a, b, tokens, listed, False, opener if listed else -1) for a, b, tokens in pieces]
        units[-1].paragraph = paragraph
    return units


def _pieces(text: str, start: int, end: int, window: int, count_tokens: CountTokens) -> list[tuple[int, int, int]]:
    """A sentence longer than the window, cut at white space, or inside words that are themselves too long."""
    words: list[tuple[int, int]] = []
    at = start
    for word in text[start:end].split():
        a = text.index(word, at)
        at = a + len(word)
        # A token holds at least one character, so pieces of `window` characters always fit.
        words += [(b, min(b + window, at)) for b in range(a, at, window)] if len(word) > window else [(a, at)]
    counts = count_tokens([text[a:b] for a, b in words])
    pieces: list[tuple[int, int, int]] = []
    total = 0
    for (a, b), tokens in zip(words, counts, strict=True):
        if pieces and total + tokens <= window:
            total += tokens
            pieces[-1] = (pieces[-1][0], b, total)
        else:
            total = tokens
            pieces.append((a, b, total))
    return pieces


def _pack(units: list[_Unit], window: int) -> list[tuple[int, int]]:
    """Group units into passages of at most `window` tokens with the least cost (dynamic programming)."""
    total = sum(unit.tokens for unit in units)
    if total <= window:
        return [(0, len(units) - 1)]
    target = total / -(-total // window)
    best: list[tuple[float, int]] = [(0.0, 0)]
    for last in range(len(units)):
        options: list[tuple[float, int]] = []
        size = 0
        for first in range(last, -1, -1):
            size += units[first].tokens
            opener = units[first].lead_in
            whole = size + (units[opener].tokens if 0 <= opener < first else 0)
            if whole > window and first < last:
                if size > window:
                    break
                continue
            misfit = (whole - target) / target
            options.append((best[first][0] + misfit * misfit + _PER_PASSAGE, first))
        cost, first = min(options)
        best.append((cost + (_cut_cost(units, last) if last + 1 < len(units) else 0.0), first))
    groups: list[tuple[int, int]] = []
    end = len(units)
    while end:
        first = best[end][1]
        groups.append((first, end - 1))
        end = first
    return groups[::-1]


def _cut_cost(units: list[_Unit], last: int) -> float:
    """What a cut behind `last` costs: nothing at a paragraph's end, most between a list and its lead-in."""
    following = units[last + 1]
    if following.item and following.lead_in == last:
        return _AFTER_LEAD_IN
    if units[last].item and following.item:
        return _IN_LIST
    return 0.0 if units[last].paragraph else _AT_SENTENCE
