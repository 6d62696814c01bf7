"""The model's draft as it was written: its sentences, the layout before each, and the numbers it cites by.

    pieces_of("[1] Rest helps. Drink water [2].", {1, 2}, texts)  ->  two pieces with the hints (1,) and (2,)

`python -m pytest tests/rag/attribution/test_draft.py` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz

from index.sentences import LIST_MARK, spans
from index.words import Token, plain
from rag.attribution.references import references, without_marks, words_of

MAX_DRAFT = 20_000
"""Characters of a draft that are read: more than any model here can write, and a bound on the time taken."""
MAX_SENTENCES = 300
"""Sentences of a draft that are read, for the same reason."""
LOOP_PERIOD, LOOP_COPIES, LOOP_WORDS = 40, 3, 12
"""A loop: at most so many words, said so many times in a row or more, and so many words in all at least. Of what the
fine-tuned 135M model wrote from memory to eight questions, three ran to the limit of 512 tokens in loops."""

_N = r"\d{1,3}"
_MANY = rf"{_N}(?:\s*(?:,\s*and|,|;|&|-|–|and)\s*(?:sources?\s*)?{_N})*"
_WORD = r"(?:sources?|passages?|documents?|docs?|refs?|references?|citations?|s)"
_MARK = re.compile(
    rf"\[\[?\^?\s*(?:{_WORD}\.?\s*:?\s*#?)?({_MANY})\s*\]?\]"
    rf"|【\s*(?:{_WORD}\s*)?({_MANY})[^】\n]{{0,20}}】"
    rf"|\((?:see\s+)?{_WORD}\.?\s*:?\s*#?({_MANY})\)"
    rf"|<sup>\s*\[?({_MANY})\]?\s*</sup>"
    rf"|(?<=\S)\s*\(({_MANY})\)(?=\s*(?:[.!?](?!\w)|$|\n))"
    rf"|(?<=[.!?])\s*\(({_MANY})\)"
    rf"|\[\s*({_MANY})(?=\s*[.!?](?:\s|$))"
    r"|([¹²³⁴⁵⁶⁷⁸⁹]+)(?=[\s.,;]|$)",
    re.IGNORECASE,
)
_SUPERSCRIPT = str.maketrans("¹²³⁴⁵⁶⁷⁸⁹", "123456789")
_SPECIAL = re.compile(r"<\|[\w ]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>", re.IGNORECASE)
_DANGLING = re.compile(r"\s*[\[【(][^\]】)\w]*(?:source\s*)?[\d,\s]{0,8}$", re.IGNORECASE)
_OPENING = re.compile(
    r"""(?:(?:answer|response|assistant)\s*:\s*
    |(?:according\s+to|based\s+(?:up)?on|as\s+(?:stated|mentioned|described|per)\s*(?:in|by)?)\s*
      (?:(?:the|these|this|your|provided|given|above|following)\s+){0,3}
      (?:sources?|passages?|texts?|context|documents?|articles?|information)?
      (?:\s+(?:provided|given|above|you\s+provided))?\s*,\s*
    |(?:(?:sure|certainly|of\s+course|okay|yes)[!,.]?\s+)?(?:here\s+(?:is|are)|here's|below\s+(?:is|are))\b
      [^.:!?\n]{0,80}:\s*
    |(?:the\s+)?(?:provided\s+|given\s+)?(?:sources?|passages?|text|context|documents?)\s+
      (?:says?|states?|mentions?|indicates?|explains?)\s+that\s+)""",
    re.IGNORECASE | re.VERBOSE,
)
_FILLER = re.compile(
    r"""(?:sure|certainly|of\s+course|absolutely|great\s+question|good\s+question|okay|ok|thanks?(?:\s+you)?|hello|hi)
      (?:\s+(?:thing|there|for\s+(?:asking|your\s+question)))?\s*[!.,]?\s*$
    |(?:(?:sure|certainly|of\s+course|absolutely|okay|ok|yes)\s*[!,.]\s*)?
      (?:here\s+(?:is|are|'s)|here's|below\s+(?:is|are))\s+(?:a|an|the|some|my|your|what)\b(?=.*
      \b(?:answer|summary|information|response|overview|explanation|list|details|steps|points|facts|know|found)\b)
    |.{0,20}\bI\s+hope\s+(?:this|that|it|you)\b
    |.{0,40}\bas\s+an?\s+(?:AI|artificial|language\s+model|large\s+language|virtual|helpful)\b
    |.{0,30}\bI(?:'m|\s+am)\s+(?:an?\s+(?:AI|assistant|language)|not\s+a\s+(?:doctor|medical)|sorry|happy\s+to|glad\s+to|here\s+to)
    |(?:please\s+)?(?:let\s+me\s+know|feel\s+free\s+to|don't\s+hesitate)\b
    |(?:if\s+you\s+have\s+(?:any|other|more)\s+(?:other\s+|further\s+|more\s+)?questions)\b
    |(?:the\s+)?(?:question|user|instructions?|system|sources?|references?)\s*:?\s*$
    |(?:is\s+there\s+anything\s+else|do\s+you\s+have\s+any\s+(?:other|more|further))\b
    |(?:you\s+are\s+a\s+(?:helpful|medical)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_ENDS = re.compile(r"[.!?:;…][\"'”’)\]*]*$")


@dataclass(slots=True)
class Piece:
    """A sentence of the draft: its words, the layout and list mark before it, and the numbers the model wrote."""

    text: str
    before: str
    mark: str
    hints: tuple[int, ...]
    words: tuple[Token, ...] = field(default=())


def unmarked(draft: str) -> str:
    """A piece of a draft without the numbers that the model cites by: none of them is known to be right."""
    return _MARK.sub("", _DANGLING.sub("", _SPECIAL.sub("", draft)))


def _marks(text: str, held: Sequence[str]) -> list[tuple[int, int, str]]:
    """Start, end and numbers of each mark in a draft.

    The prompt shows a passage's own "[3]" as "(3)", and the model copies it: a "(3)" that no source has is a mark too.
    """
    found = [(*match.span(), next(g for g in match.groups() if g)) for match in _MARK.finditer(text)]
    if not held:
        return found
    taken = {start for start, _, _ in found}
    for item in references(text):
        said = text[item.start : item.end]
        opens = not text[: item.start].rpartition("\n")[2].strip()
        if said.startswith("(") and item.kind == "reference" and not opens and item.start not in taken:
            overlaps = any(start < item.end and item.start < end for start, end, _ in found)
            if not overlaps and not any(said in source for source in held):
                found.append((item.start, item.end, said))
    return sorted(found)


def pieces_of(draft: str, numbers: set[int], held: Sequence[str]) -> list[Piece]:
    """The draft without marks, special tokens and emphasis, cut into sentences with their hints."""
    text = _SPECIAL.sub("", draft[:MAX_DRAFT])
    text = re.sub(r"\*\*|__|`+|^#{1,6}[ \t]+|^>[ \t]+", "", text, flags=re.MULTILINE)
    text = _DANGLING.sub("", text)
    clean: list[str] = []
    hints: list[tuple[int, list[int]]] = []
    at = length = 0
    for start, end, written in _marks(text, held):
        part = text[at:start]
        opens = not part.strip() or part.endswith("\n") if part else at == 0
        part = part if opens else part.rstrip(" \t")
        clean.append(part)
        length += len(part)
        at = end
        if opens:
            at += len(text[at:]) - len(text[at:].lstrip(" \t:"))
        found = _numbers(written)
        # A mark at the start of a line belongs to what follows, any other to what it follows.
        hints.append((length if opens else length - 1, [n for n in found if n in numbers]))
    clean.append(text[at:])
    text = "".join(clean)
    pieces: list[Piece] = []
    end = 0
    for start, stop in spans(text):
        mark = LIST_MARK.match(text, start, stop)
        begin = mark.end() if mark else start
        layout = text[end:start]
        before = "\n\n" if layout.count("\n") > 1 else "\n" if "\n" in layout else " " if pieces else ""
        end = stop
        said = tuple(dict.fromkeys(n for place, found in hints if start <= place < stop for n in found))
        body = re.sub(r"\s+([.,;:!?])(?=\s|$)", r"\1", " ".join(text[begin:stop].split()))
        opening = _OPENING.match(body)
        if opening and opening.end() < len(body):
            body = body[opening.end() :]
            body = body[:1].upper() + body[1:]
        body = without_marks(body)
        words = words_of(body)
        if words:
            pieces.append(Piece(body, before, mark.group() if mark else "", said, words))
        elif pieces and said:
            pieces[-1].hints = tuple(dict.fromkeys((*pieces[-1].hints, *said)))
    return pieces[:MAX_SENTENCES]


def _numbers(written: str) -> list[int]:
    written = written.translate(_SUPERSCRIPT)
    found: list[int] = []
    for part in re.finditer(rf"({_N})(?:\s*[-–]\s*({_N}))?", written):
        low, high = int(part[1]), int(part[2] or part[1])
        found += range(low, min(high, low + 9) + 1)
    return found


def wider(one: str, other: str) -> str:
    """The wider of two layouts, list marks left out."""
    breaks = max(one.count("\n"), other.count("\n"))
    return "\n" * min(breaks, 2) or (" " if " " in (one[:1], other[:1]) else "")


def is_noise(piece: Piece, asked: Sequence[Token]) -> bool:
    """Chat filler, an echo of the question, or one phrase over and over."""
    if _FILLER.match(piece.text):
        return True
    words = [word.text for word in piece.words]
    if len(words) > 20 and len(set(words)) < 0.35 * len(words):
        return True
    content = {word.stem for word in piece.words if word.stem}
    wanted = {word.stem for word in asked if word.stem}
    if not wanted or not content <= wanted:
        return False
    echo = piece.text.endswith("?") or not _ENDS.search(piece.text)
    return echo or fuzz.ratio(plain(piece.words), plain(asked)) >= 95


def is_cut(piece: Piece, pieces: Sequence[Piece]) -> bool:
    """Whether the last sentence stops in the middle, judged by its punctuation and that of its list."""
    if _ENDS.search(piece.text):
        return False
    if not piece.mark:
        return True
    others = [other for other in pieces[:-1] if other.mark]
    return bool(others) and all(_ENDS.search(other.text) for other in others)


def unlooped(draft: str) -> str:
    """The draft up to the end of the first copy of what it then says again and again, and on to the end of the sentence
    that the copy ends in; the draft itself if it does not.

    Only words behind which white space stands are looked at, so that it is the same however the draft came in.
    """
    found = [(match.group(), match.end()) for match in re.finditer(r"\S+(?=\s)", draft[:MAX_DRAFT])]
    said = [word for word, _ in found]
    for at in range(LOOP_WORDS, len(said) + 1):
        for period in range(1, min(LOOP_PERIOD, at // LOOP_COPIES) + 1):
            if said[at - 1] != said[at - 1 - period]:
                continue
            begun = at - period * max(LOOP_COPIES, -(-LOOP_WORDS // period))
            if begun >= 0 and said[begun : at - period] == said[begun + period : at]:
                last = begun + period - 1
                ends = (place for place in range(last, last + period) if re.search(r"[.!?][\])\"”]*$", said[place]))
                return draft[: found[next(ends, last)][1]]
    return draft
