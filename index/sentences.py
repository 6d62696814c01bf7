"""Where sentences begin and end, for cutting passages and for attribution.

Rules rather than a library: every caller needs exact character spans of the untouched text, on every
answer of a corpus and on every few tokens of a stream (pysbd was measured; see docs/decisions/passages.md).
"""

from __future__ import annotations

import re

ABBREVIATIONS = frozenset(
    "al approx appt ave ca cf co corp dept dr ed e.g eq esp est etc ext fig figs ft gen gov hon i.e inc jr lab ltd"
    " max med min mr mrs ms mt no nos op oz p.o pp ph.d prof pt ref rev sec sgt spp sp sq sr st subsp tab tel u.k"
    " u.s univ var viz vol vols vs".split()
)
STARTERS = frozenset(
    "A After Although An And As At Because Before But By During Each For From He However If In It Its Many More Most"
    " No Not Of On One Other Our Over People She Since So Some Such That The Their Then There These They This Those"
    " Though To Under Until We What When Where Which While Who With You Your".split()
)
LETTERED = frozenset("vitamin vitamins type types hepatitis group factor class grade stage chromosome".split())

# A sentence may end at . ! ? with closing quotes or brackets and a footnote's digits behind it.
_END = re.compile(r"(?<![.!?])[.!?]+[\"'”’)\]]{0,3}(?:(?<=[a-z.)\]][.])\d{1,2}(?:,\d{1,2})*)?(?=\s+[\"'“‘(\[]{0,3}\w)")
# Some pages lost the space: "in two genes.The first".
_JOINED = re.compile(r"(?<=[a-z)]{2})[.!?](?=[A-Z][a-z])")
_LINE = re.compile(r"[^\n]+")
_NEXT_WORD = re.compile(r"\s*[\"'“‘(\[]{0,3}(\w+)")

LIST_MARK = re.compile(r"[-*•–·]\s+|\(?\d{1,2}[.)]\s+(?!\d)")
"""What stands before an item of a list."""


def spans(text: str) -> list[tuple[int, int]]:
    """Sentences of `text` as (start, end) characters, in order, not overlapping, without outer white space.

    Every character that is not white space lies in exactly one span. A line break always ends a sentence,
    so list items ("- item") and headings are sentences of their own.
    """
    found: list[tuple[int, int]] = []
    for line in _LINE.finditer(text):
        start = line.start()
        for end in _ends(text, line.start(), line.end()):
            _add(found, text, start, end)
            start = end
        _add(found, text, start, line.end())
    return found


def _ends(text: str, start: int, stop: int) -> list[int]:
    line = text[start:stop]
    ends = [match.end() for match in _END.finditer(line) if _real(line, match)]
    ends += [match.end() for match in _JOINED.finditer(line)]
    return [start + end for end in sorted(set(ends))]


def _real(line: str, match: re.Match[str]) -> bool:
    """Whether a full stop ends a sentence, and not an abbreviation, an initial or a list number."""
    if not match.group().startswith(".") or match.group().startswith(".."):
        following = _NEXT_WORD.match(line, match.end())
        # "Really?" he asked; "..." inside a sentence goes on in lower case.
        return following is None or not following.group(1)[0].islower()
    before = line[max(0, match.start() - 40) : match.start()]
    following = _NEXT_WORD.match(line, match.end())
    word = "" if not before or before[-1].isspace() else before.split()[-1].lstrip("(\"'“[")
    after = following.group(1) if following else ""
    if after[:1].islower():
        return False
    if not word:
        return False
    if word.lower() in ABBREVIATIONS:
        # "etc." and "U.S." also end sentences.
        return after in STARTERS and word.lower() in {"etc", "u.s", "u.k", "al", "inc", "jr", "sr"}
    if len(word) == 1 and word.isupper():
        head = line[max(0, match.start() - 40) : match.start() - 1].rstrip()
        return after in STARTERS or head.rsplit(" ", 1)[-1].lower() in LETTERED
    # "1. Wash your hands": a number that opens the line is a list mark.
    return not (word.isdigit() and len(word) < 3 and line[: match.start()].strip("-* \t") == word)


def _add(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        found.append((start, end))


def sentences_of(text: str) -> list[tuple[int, int]]:
    """Sentence spans of a text with their list marks left out; spans that hold no word are left out too."""
    found = []
    for start, end in spans(text):
        mark = LIST_MARK.match(text, start, end)
        start = mark.end() if mark else start
        if start < end:
            found.append((start, end))
    return found
