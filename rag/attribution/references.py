"""Numbers that refer to something and count nothing: reference marks, cited years, figures, tables, pages.

    references("mild [4,5] until the age of 5")  ->  the mark [4,5], which says nothing about an age
    without_marks("mild [4,5] in children.")     ->  "mild in children."

`rag/attribution/quantities.py` compares such a number with its like alone. `Source` and `Sentence` hold no
square-bracketed number of a text's own, so that an `[n]` behind a sentence is always medcite's.
`python -m pytest tests/rag/attribution/test_references.py` runs it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from index.words import Token, flatten, listed, tokens
from rag.attribution.units import SCALE, SMALL, TENS, UNITS

ROUNDS = 4
"""Marks inside marks that are taken out one by one; past that, every square bracket becomes a round one."""

_SEPARATOR = r"(?:\s*(?:,\s*and|,|;|&|-|–|—|and)\s*)"
_LIST = rf"\d+(?:{_SEPARATOR}\d+)*"
_NOUN = r"(?:sources?|passages?|documents?|docs?|refs?|references?|citations?)"
_OPEN, _CLOSE = r"[\[【［]", r"[\]】］]"
_SQUARE = re.compile(
    rf"(?<!{_OPEN}){_OPEN}+\s*\^?(?:{_NOUN}\.?\s*:?\s*)?#?\s*(?P<list>{_LIST})\s*{_CLOSE}+", re.IGNORECASE
)
_ROUND = re.compile(rf"\(\s*(?P<list>[1-9]\d{{0,2}}(?:{_SEPARATOR}[1-9]\d{{0,2}})*)\s*\)")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_YEAR = r"(?:1[6-9]|20)\d\d"
# A symbol of measure says by itself that the number is an amount; "tablets" may only follow a reference.
_SYMBOLS = (
    "mg mgs mcg µg ug ng g gm gms kg kgs ml mls cc cl dl l iu mmol mmols mol meq mmhg mm cm kcal tsp tbsp".split()
)
_SYMBOL = re.compile(rf"\s*-?\s*(?:[%°]|per\s?cent|mm\s?hg|(?:{'|'.join(_SYMBOLS)})(?![^\W_]))", re.IGNORECASE)
_WORDS = "|".join([*map(re.escape, UNITS), *SCALE, "times?", "international"])
_COUNTED = rf"\s*-?\s*(?:[%°]|per\s?cent|(?:{_WORDS})(?![^\W_]))"
_UNIT = re.compile(_COUNTED, re.IGNORECASE)
_WORD_BEFORE = re.compile(r"([^\W_]+)\s*$")
_CALLS = frozenset(
    listed(
        """
of to than about for every each least most up within in by with from take takes taking give gives given use using
after before until over under between and or the a an is are was were only first next per as at
"""
    )
)
"""Words that a number follows; behind one of them a bracketed number may count something."""
_ENDS = frozenset(".,:;!?)\"'”’%")

_LABELS = {
    "figure": "fig figs figure figures", "table": "table tables", "section": "section sections",
    "chapter": "chapter chapters", "appendix": "appendix appendices", "box": "box boxes", "page": "page pages p pp",
    "reference": "ref refs reference references citation citations footnote footnotes endnote endnotes",
    "volume": "volume volumes vol vols", "equation": "equation equations eq eqs",
}  # fmt: skip
_LABEL = {word: kind for kind, words in _LABELS.items() for word in words.split()}
_DOTTED = frozenset(listed("p pp eq eqs"))
_LABEL_BEFORE = re.compile(
    rf"(?<!\w)(?P<label>{'|'.join(sorted(_LABEL, key=len, reverse=True))})(?P<gap>\.?\s?(?:nos?\.\s?)?#?)$",
    re.IGNORECASE,
)
_NUMBERED = re.compile(rf"\d+(?:\.\d+)*(?:{_SEPARATOR}\d+(?:\.\d+)*)*(?![\d.,]*\d)(?!{_COUNTED})", re.IGNORECASE)
_MONTHS = listed("January February March April May June July August September October November December")
_MONTHS += listed("Jan Feb Mar Apr Jun Jul Aug Sept Sep Oct Nov Dec Spring Summer Autumn Fall Winter")
_MONTHS += listed("In Since Born Until From Before After About Circa Year Years")
_AUTHORS = (
    rf"(?!(?:{'|'.join(_MONTHS)})\b)[A-Z][\w'’.-]*"
    r"(?:,?\s+(?:[A-Z][\w'’.-]*|and|&|et|al\.?|de|van|von|der|den|la))*"
)
_SEGMENT = rf"(?:(?:see|e\.g\.|cf\.),?\s+)?{_AUTHORS},?\s+{_YEAR}[a-z]?(?:,\s*{_YEAR}[a-z]?)*(?::\s?\d+(?:[-–]\d+)?)?"
_CITED = re.compile(rf"[\[(]{_SEGMENT}(?:;\s*{_SEGMENT})*[\])]")
_ET_AL = re.compile(rf"\bet al\.?,?\s*\(?{_YEAR}\)?", re.IGNORECASE)
_LISTED = re.compile(
    rf"\b{_YEAR}(?:\s+[A-Z][a-z]{{2,8}}\.?(?:\s\d{{1,2}})?)?;\s?\d+(?:\s?\(\d+\))?:\s?e?\d+(?:[-–]\d+)?"
    r"|\b(?:PMID|PMCID|ISBN|ISSN)\s?:?\s*\d[\d-]*|\b(?:doi|DOI)\s?:\s*\S+"
)
_YEARS = re.compile(_YEAR)
_DIGITS = re.compile(r"\d+")
_GLUED = re.compile(
    r"(?<!approx\.)(?:(?<=[a-z]{3}\.)|(?<=[a-z]\)\.)|(?<=[a-z]\.[\"”’\])])|(?<=[a-z]{4},))"
    rf"(?P<list>[1-9]\d?(?:[,–-]\d{{1,2}})*)(?=\s|$)(?!{_COUNTED})"
)
_RAISED = re.compile(rf"(?<=[^\W\d_])\^\{{?{_LIST}\}}?\^?|(?<![\d>])<sup>\s*\[?{_LIST}\]?\s*</sup>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reference:
    """Characters `start:end` of a text; `kind` is what they refer to: reference, citation, figure, table, page, ..."""

    start: int
    end: int
    kind: str


@lru_cache(maxsize=512)
def references(text: str) -> tuple[Reference, ...]:
    """The places of a text whose numbers count nothing, in order and apart.

    A bracketed number with a unit behind it counts ("[10] mg", "two (2) tablets"), and so does one that repeats the
    word before it ("five (5)"), one with a comma for thousands ("(2,300)") and one inside a name ("[18]F", "8(9)-ene").
    """
    digits = [match.start() for match in _DIGITS.finditer(text)]
    if not digits:
        return ()
    text = flatten(text)
    # Patterns are tried only where a character of theirs is: this runs on every passage that is compared.
    found = [
        Reference(match.start(), match.end(), "reference")
        for pattern, opens in ((_SQUARE, "[【［"), (_ROUND, "("))
        if any(bracket in text for bracket in opens)
        for match in pattern.finditer(text)
        if not _counts(text, match)
    ]
    if "^" in text or "<" in text:
        found += [Reference(*match.span(), "reference") for match in _RAISED.finditer(text)]
    if _YEARS.search(text):
        found += [Reference(*match.span(), "citation") for match in (*_CITED.finditer(text), *_ET_AL.finditer(text))]
    if ":" in text or "I" in text:
        found += [Reference(*match.span(), "citation") for match in _LISTED.finditer(text)]
    for start in digits:
        if glued := _GLUED.match(text, start):
            found.append(Reference(*glued.span(), "reference"))
        elif named := _named(text, start):
            found.append(named)
    apart: list[Reference] = []
    for item in sorted(found, key=lambda item: (item.start, -item.end)):
        if not apart or item.start >= apart[-1].end:
            apart.append(item)
    return tuple(apart)


def _named(text: str, number: int) -> Reference | None:
    """What the number that starts there is the number of: "Figure 3", "pages 3 and 4"; None if of nothing."""
    found = _LABEL_BEFORE.search(text[max(0, number - 20) : number])
    if not found:
        return None
    label, gap = found["label"].lower(), found["gap"]
    # "p 5" and "eq 5" are no abbreviations; FIG4 is a gene; a tidal volume is an amount.
    if "." not in gap and (not gap or label in _DOTTED or (found["label"] == "volume")):
        return None
    numbers = _NUMBERED.match(text, number)
    return Reference(number - len(found.group()), numbers.end(), _LABEL[label]) if numbers else None


def _counts(text: str, match: re.Match[str]) -> bool:
    """Whether a number in brackets is an amount, or part of a name, and no reference."""
    after = text[match.end() : match.end() + 24]
    if _SYMBOL.match(after) or _THOUSANDS.fullmatch(match["list"]):
        return True
    before = text[max(0, match.start() - 24) : match.start()]
    found = _WORD_BEFORE.search(before)
    word = found[1].lower() if found else ""
    value = float(word) if word.isdecimal() else SMALL.get(word, TENS.get(word))
    if _UNIT.match(after) and (not before.strip() or value is not None or word in _CALLS):
        return True
    if value is not None and match["list"].isdecimal() and value == int(match["list"]):
        return True
    if match.group().startswith("("):
        # "aged (40-60)", "t(15;17)", "(888) 998-6325".
        named = before[-1:].isalnum() and len(word) < 4
        called = len(match["list"]) == 3 and re.match(r"\s*-?\s*[\dA-Z]", after)
        if named or called or re.search(r"[-–—]", match["list"]):
            return True
    if re.match(r"-\w", after):  # "[2,3]-b", "8(9)-cholestenol"
        return True
    if not after[:1].isalpha():
        return False
    # "[18]F-FDG" is a name; "pattern.[1]The" has lost a space.
    glued = before[-1:].isalnum() and re.match("[A-Z][a-z]", after)
    return not (glued or before[-1:] in _ENDS)


def without_marks(text: str) -> str:
    """The text without reference marks in square brackets; what may be more than a mark gets round ones.

    No bracketed number is left, whatever stands around it, and doing it twice changes nothing more. Only a mark
    behind a word or the end of a phrase is taken out, so that no amount is lost.
    """
    if not any(bracket in text for bracket in "[【［"):
        return text
    for _ in range(ROUNDS):
        changed = _once(text)
        if changed == text:
            return text
        text = changed
    return re.sub(_OPEN, "(", re.sub(_CLOSE, ")", text)) if _SQUARE.search(text) else text


def _once(text: str) -> str:
    parts: list[str] = []
    tail, at, gone = "", 0, False  # the last of what is kept, where the next piece starts, whether a mark just went
    for match in _SQUARE.finditer(text):
        piece = text[at : match.start()]
        if gone and piece.strip(" \t") == ",":  # "[5], [6]"
            piece = ""
        tail = (tail + piece)[-40:]
        gone = not _counts(text, match) and _is_mark(match, tail)
        if gone:
            parts.append(piece.rstrip(" \t"))
            tail = tail.rstrip(" \t")
            if tail and text[match.end() : match.end() + 1].isalnum():
                parts.append(" ")
        else:
            rounded = re.sub(_OPEN + "+", "(", re.sub(_CLOSE + "+", ")", match.group()))
            parts += [piece, rounded]
            tail += rounded
        at = match.end()
    return "".join([*parts, text[at:]])


def _is_mark(match: re.Match[str], before: str) -> bool:
    """Whether a bracketed number can only be a reference mark: it closes a word or a phrase."""
    kept, after = before.rstrip(" \t"), match.string[match.end() : match.end() + 24]
    spaced = kept != before
    if (
        not kept
        or _UNIT.match(after)
        or any(len(n) > 5 or n.startswith("0") for n in re.findall(r"\d+", match["list"]))
    ):
        return False
    if spaced and re.fullmatch(_YEAR, match["list"]):
        return False
    if not kept[-1].isalnum():
        return kept[-1] in _ENDS and not (spaced and kept[-1] in ",:;")
    word = _WORD_BEFORE.search(kept)
    last = word[1].lower() if word else ""
    if last.isdecimal() and re.search(r"[-–—]", match["list"]):  # "a median of 3 [2-4]"
        return False
    # "of [5] people"; but "as it is given [3]."
    return not (last in _CALLS and re.match(r"\s*\w", after))


def words_of(text: str) -> tuple[Token, ...]:
    """`index.words.tokens`, the numbers of references without a stem: they are no content to compare."""
    found, marks = tokens(text), references(text)
    if not marks:
        return found
    result, at = list(found), 0
    for i, word in enumerate(found):
        while at < len(marks) and marks[at].end <= word.start:
            at += 1
        if at < len(marks) and marks[at].start <= word.start and word.text[0].isdigit():
            result[i] = replace(word, stem="")
    return tuple(result)
