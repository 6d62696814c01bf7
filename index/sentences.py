"""Where sentences end: spans of a cleaned text, fast enough to run over a whole corpus.

    spans("Asthma is common. See Fig. 2.")  ->  [(0, 17), (18, 29)]

Rules rather than pysbd 0.3.4, which agrees on nearly all of MedQuAD's prose but takes 12 ms an answer where
these take 0.13 ms, and misses a lost space ("vision problems.About one in ten").
"""

from __future__ import annotations

import re

ITEM_CHARACTERS = 240
"""A list item up to this long is one span; a longer one is a paragraph in disguise and is split."""

ITEM = re.compile(r"[ \t]*(?:[-*•·‣◦]|\d{1,2}[.)])[ \t]+(?=\S)")
"""What opens a list item, at the start of a line."""

# The dot of these never ends a sentence: what they introduce follows.
_INTRODUCES = frozenset(
    [
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "rev",
        "gen",
        "sen",
        "rep",
        "gov",
        "st",
        "vs",
        "v",
        "cf",
        "e.g",
        "eg",
        "i.e",
        "ie",
        "fig",
        "figs",
        "eq",
        "sec",
        "ch",
        "vol",
        "approx",
        "ca",
        "viz",
        "dept",
        "spp",
        "var",
        "subsp",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sept",
        "sep",
        "oct",
        "nov",
        "dec",
        "resp",
        "incl",
        "max",
        "min",
        "avg",
        "mt",
        "ft",
    ]
)
# Introduces a number ("No. 5"), or else is a word.
_BEFORE_NUMBER = frozenset(["no", "nos", "pp", "p", "art", "ref", "refs"])
# These may stand last in a sentence; then the next word is one that opens sentences.
_MAY_END = frozenset(
    [
        "u.s",
        "u.k",
        "u.n",
        "e.u",
        "a.m",
        "p.m",
        "m.d",
        "ph.d",
        "d.o",
        "r.n",
        "b.c",
        "a.d",
        "d.c",
        "p.a.d",
        "i.v",
        "jr",
        "sr",
        "inc",
        "ltd",
        "co",
        "corp",
        "al",
        "et.al",
        "bros",
    ]
)
_STARTERS = frozenset(
    [
        "the",
        "this",
        "that",
        "these",
        "those",
        "there",
        "they",
        "their",
        "it",
        "its",
        "in",
        "if",
        "is",
        "as",
        "at",
        "an",
        "a",
        "and",
        "are",
        "although",
        "after",
        "all",
        "also",
        "another",
        "because",
        "before",
        "both",
        "but",
        "by",
        "can",
        "children",
        "do",
        "does",
        "during",
        "each",
        "even",
        "every",
        "few",
        "for",
        "from",
        "has",
        "have",
        "he",
        "her",
        "his",
        "how",
        "however",
        "i",
        "less",
        "many",
        "may",
        "more",
        "most",
        "my",
        "no",
        "not",
        "of",
        "on",
        "once",
        "one",
        "only",
        "or",
        "other",
        "others",
        "our",
        "over",
        "people",
        "patients",
        "researchers",
        "she",
        "signs",
        "since",
        "some",
        "studies",
        "such",
        "symptoms",
        "talk",
        "then",
        "though",
        "through",
        "to",
        "treatment",
        "two",
        "under",
        "unlike",
        "until",
        "use",
        "we",
        "what",
        "when",
        "where",
        "whether",
        "which",
        "while",
        "who",
        "why",
        "with",
        "women",
        "men",
        "within",
        "without",
        "you",
        "your",
        "affected",
        "approximately",
        "about",
        "adults",
        "doctors",
        "health",
        "individuals",
        "mutations",
        "several",
        "usually",
    ]
)
# A letter after one of these is a name's end ("hepatitis B. It"), not an initial ("J. Smith").
_LETTERED = frozenset(
    [
        "vitamin",
        "vitamins",
        "hepatitis",
        "type",
        "group",
        "groups",
        "factor",
        "class",
        "stage",
        "phase",
        "grade",
        "influenza",
        "protein",
        "immunoglobulin",
        "medicare",
        "part",
        "subtype",
        "apolipoprotein",
        "hemoglobin",
        "chromosome",
        "plan",
        "step",
        "option",
        "haplogroup",
    ]
)
_WORD = re.compile(r"[^\s\"'“”‘’()\[\]]*$")
_NEXT = re.compile(r"[\"'“‘(\[]*([^\s\"'“”’()\[\],;:.!?]*)")
_END = re.compile(
    r"""(?P<mark>[.!?…]+)
        (?P<close>["'”’)\]]*)
        (?:(?P<gap>(?=\s))                                             # the usual end: white space follows
          |(?P<note>(?<=[a-z)][.)])\d{1,3}(?:[,–-]\d{1,3})*(?=\s+[A-Z(]|\s*$))  # a footnote's number, "diabetes.1"
          |(?P<glued>(?=[A-Z][a-z]*[\s,])))                            # a lost space, "genes.The"
    """,
    re.VERBOSE,
)


def spans(text: str) -> list[tuple[int, int]]:
    """Sentence spans of `text`, in order, without overlap, covering every character that is not white space.

    A line break always ends a sentence. A list item ("- item") is one span unless it is longer than
    `ITEM_CHARACTERS`. The text is expected clean: a paragraph or an item a line.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        first, last = _trim(text, start, end)
        if first < last:
            item = ITEM.match(line)
            if item and last - first <= ITEM_CHARACTERS:
                found.append((first, last))
            else:
                _split(text, first, last, start + item.end() if item else first, found)
        start = end
    return found


def _split(text: str, first: int, last: int, body: int, found: list[tuple[int, int]]) -> None:
    line = text[:last] if last < len(text) else text
    opened = first
    for match in _END.finditer(line, body):
        end = match.end()
        if end >= last or not _ends(line, opened if opened > first else body, match):
            continue
        found.append((opened, end))
        opened = end
        while text[opened].isspace():
            opened += 1
    found.append((opened, last))


def _ends(line: str, opened: int, match: re.Match[str]) -> bool:
    """Whether a sentence that began at `opened` ends at this mark."""
    mark = match.start()
    nearby = line[max(opened, mark - 40) : mark]
    before = _WORD.search(nearby)
    word = before.group().lower() if before else ""
    if match["note"]:
        return len(word) > 1 or bool(match["close"])
    if match["glued"] is not None:
        # "genes.The": a lower-case word of its own, then a capitalised one; not www.Nih.gov, not e.g.The.
        return (nearby[-2:].islower() and word.isalpha()) or bool(match["close"])
    following = _NEXT.match(line, _skip(line, match.end()))
    after = following.group(1) if following else ""
    if after[:1].islower() and not any(c.isupper() or c.isdigit() for c in after):
        return False
    if match["mark"] != "." or match["close"]:
        return True
    if word in _INTRODUCES:
        return False
    if word in _BEFORE_NUMBER:
        return not after[:1].isdigit()
    if mark - len(word) <= opened and (word.isdigit() or len(word) == 1) and len(word) <= 2:
        return False  # "1." or "A." that opens a sentence numbers it
    initial = len(word) == 1 and word.isalpha() and nearby[-1:].isupper()
    if initial:
        left = nearby[:-1].split()
        if left and left[-1].lower() in _LETTERED:
            return True
    if initial or word in _MAY_END or ("." in word and len(word) <= 5 and word.replace(".", "").isalpha()):
        return after.lower() in _STARTERS and after[:1].isupper()
    return True


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
