"""Numbers of a text with their units, and whether a source holds the same.

A sentence may follow its source word for word and give another number, which similarity alone does not show.
`python -m pytest tests/rag/attribution/test_quantities.py` runs it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from index.words import Token, flatten, tokens
from rag.attribution.references import references
from rag.attribution.units import DOSE, PARTS, PER, PERIODS, SCALE, SMALL, TENS, TIMES, UNITS, VULGAR

_ROMAN = {"ii": 2.0, "iii": 3.0, "iv": 4.0, "vi": 6.0, "vii": 7.0, "viii": 8.0}
_SAME_AS_BARE = frozenset({"", "year", "degree"})
_NUMERALS = frozenset((*SMALL, *TENS, *SCALE, *TIMES))
_RANGE = re.compile(r"\s*(?:-|to|or|and|,|, or|, and|/|x|by)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in its canonical unit (`""`: none) and, for a rate, what it is `per`; `text[start:end]` says it."""

    value: float
    unit: str
    per: str
    start: int
    end: int

    @property
    def dose(self) -> bool:
        """Whether it is an amount or a rhythm of taking something."""
        return self.unit in DOSE or self.unit.startswith("times/") or self.unit.startswith("every ")


def _value(words: Sequence[Token], i: int, text: str) -> tuple[float, int, str] | None:
    """The number that starts at word `i`: its value, the word after it, and a unit it implies."""
    word = words[i].text
    if word in TIMES:
        return TIMES[word], i + 1, "times"
    if word in VULGAR:
        return VULGAR[word] * 100, i + 1, "percent"
    if word in ("half", "quarter") and not (i and words[i - 1].text in SMALL):
        return 100 / PARTS[word], i + 1, "percent"
    if word[0].isdigit() and word[-1].isdigit():
        try:
            value, i = float(word.replace(",", "")), i + 1
        except ValueError:
            return None
    elif word in TENS:
        value, i = float(TENS[word]), i + 1
        if i < len(words) and 0 < SMALL.get(words[i].text, 0) < 10 and words[i].start - words[i - 1].end == 1:
            value, i = value + SMALL[words[i].text], i + 1
    elif word in SMALL:
        value, i = float(SMALL[word]), i + 1
    else:
        return None
    if i < len(words) and words[i].text in PARTS and value < PARTS[words[i].text]:
        return 100 * value / PARTS[words[i].text], i + 1, "percent"
    while i < len(words) and words[i].text in SCALE and words[i].start - words[i - 1].end <= 1:
        value, i = value * SCALE[words[i].text], i + 1
    return value, i, ""


def quantities(text: str, words: Sequence[Token] | None = None) -> list[Quantity]:
    """Every number of a text, digits or words, with its unit; in a range the unit belongs to both ends.

    A bare "one" is a pronoun more often than a number and is left out; so is a number inside a name (GLB1). A number
    that only refers to something ("[5]", "Figure 3", "(Smith, 2009)": `rag/attribution/references.py`) has what it
    refers to for its unit, so that it is held by its like and is no evidence for anything else.
    """
    words = tokens(text) if words is None else words
    marks = references(text)
    starts = [mark.start for mark in marks]
    text = flatten(text)
    found: list[Quantity] = []
    i = 0
    while i < len(words):
        got = _value(words, i, text)
        if got is None:
            if words[i].text in _ROMAN and i and words[i - 1].text in ("type", "stage", "grade", "class", "phase"):
                found.append(Quantity(_ROMAN[words[i].text], "", "", words[i].start, words[i].end))
            i += 1
            continue
        at = bisect_right(starts, words[i].start) - 1
        if at >= 0 and words[i].start < marks[at].end:
            value = float(words[i].text.replace(",", "")) if words[i].text[0].isdigit() else got[0]
            found.append(Quantity(value, f"#{marks[at].kind}", "", words[i].start, words[i].end))
            i += 1
            continue
        value, after, unit = got
        start, end, per, factor = words[i].start, words[after - 1].end, "", 1.0
        if unit != "percent":
            tail = re.match(r"\s*%|\s*°", text[end : end + 4])
            if tail:
                unit = "percent" if "%" in tail.group() else "degree"
                end += tail.end()
            elif after < len(words) and words[after].start - end <= 2 and "." not in text[end : words[after].start]:
                nxt = words[after].text
                if nxt == "per" and after + 1 < len(words) and words[after + 1].text == "cent":
                    unit, end, after = "percent", words[after + 1].end, after + 2
                elif nxt == "international" and after + 1 < len(words) and words[after + 1].text in ("unit", "units"):
                    unit, end, after = "iu", words[after + 1].end, after + 2
                elif nxt == "mm" and after + 1 < len(words) and words[after + 1].text == "hg":
                    unit, end, after = "mmhg", words[after + 1].end, after + 2
                elif nxt in ("times", "time"):
                    unit, end, after = "times", words[after].end, after + 1
                elif nxt in UNITS and unit == "":
                    (unit, factor), end, after = UNITS[nxt], words[after].end, after + 1
        if unit == "times":
            j = after + (after < len(words) and words[after].text in ("a", "an", "per", "each", "every", "in"))
            if j < len(words) and words[j].text in PERIODS and words[j].start - end <= 12:
                unit, end, after = "times/" + PERIODS[words[j].text], words[j].end, j + 1
        elif unit in DOSE and after < len(words):
            glue = text[end : words[after].start].strip()
            j = after + (words[after].text in ("a", "per", "each", "every") and glue == "")
            if j < len(words) and (glue == "/" or j > after or words[j].text in ("daily", "weekly", "monthly")):
                name = words[j].text
                per = PER.get(name.removesuffix("s"), PERIODS.get(name, ""))
                if per:
                    end, after = words[j].end, j + 1
        elif unit in ("hour", "day", "week", "month") and i and words[i - 1].text == "every":
            unit, start = "every " + unit, words[i - 1].start
        if not (unit == "" and words[i].text == "one" and after == i + 1):
            found.append(Quantity(value * factor, unit, per, start, end))
        i = max(after, i + 1)
    for k in range(len(found) - 2, -1, -1):
        left, right = found[k], found[k + 1]
        if (
            left.unit == ""
            and right.unit
            and not right.unit.startswith("#")
            and _RANGE.fullmatch(text[left.end : right.start])
        ):
            factor = next((f for w, (u, f) in UNITS.items() if u == right.unit and _ends(text, right, w)), 1.0)
            found[k] = Quantity(left.value * factor, right.unit, right.per, left.start, right.end)
    return found


def _ends(text: str, quantity: Quantity, unit: str) -> bool:
    return re.search(rf"(?<![^\W\d_]){re.escape(unit)}(?!\w)", text[quantity.start : quantity.end].lower()) is not None


def holds(wanted: Quantity, held: Iterable[Quantity]) -> bool:
    """Whether one of the quantities says the same: equal value and unit, and the rate where one is claimed."""
    return any(
        abs(wanted.value - other.value) <= 1e-6 * max(abs(wanted.value), 1e-9)
        and (wanted.unit == other.unit or (wanted.unit in _SAME_AS_BARE and other.unit in _SAME_AS_BARE))
        and (not wanted.per or wanted.per == other.per)
        for other in held
    )


def has_content(words: Iterable[Token]) -> bool:
    """Whether one of the words is neither a function word nor a number: only such words can be supported."""
    return any(
        word.stem and not re.fullmatch(r"[\d.,]+", word.text) and word.text not in _NUMERALS and word.text not in VULGAR
        for word in words
    )
