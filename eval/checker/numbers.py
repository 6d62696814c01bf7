"""The numbers of a claim and of its premise, as the citation checker reads them; it shares no code with `rag`.

invented("Take 20 mg.", sources)  ->  the numbers that none of the sources holds
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache


def source_text(title: str, question: str, text: str) -> str:
    """A source as the checker was fitted on and should be given it: the page's title and question, then the text.

    ALCE puts the title before each passage too; a passage often says "it" of what only the title names.
    """
    return "\n".join(part for part in (title, question if question != title else "", text) if part)


@dataclass(frozen=True, slots=True)
class Number:
    """A number in its canonical unit (empty: none); `text` as it is written; `digits`: not spelled out."""

    value: float
    unit: str
    text: str
    digits: bool


_WORDS = dict(
    zip(
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
        " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety".split(),
        [*range(2, 21), *range(30, 100, 10)],
        strict=True,
    )
)
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_TIMES = "second minute hour day week month year".split()
_TABLE = """
mg 0.001 mcg µg ug microgram micrograms
mg 1 mg milligram milligrams
mg 1e3 g gram grams
mg 1e6 kg kilogram kilograms
ml 1 ml cc milliliter milliliters millilitre millilitres
ml 100 dl deciliter deciliters decilitre decilitres
ml 1e3 l liter liters litre litres
mm 1 mm millimeter millimeters millimetre millimetres
mm 10 cm centimeter centimeters centimetre centimetres
mm 1e3 m meter meters metre metres
iu 1 iu unit units
mmol 1 mmol
meq 1 meq
mmhg 1 mmhg
% 1 % percent percentage
tablet 1 pill pills
ounce 1 oz
pound 1 lb lbs
inch 1 inch inches
foot 1 foot feet
degree 1 °
"""
_COUNTED = [*_TIMES, *"tablet capsule drop dose teaspoon tablespoon calorie ounce pound degree".split()]
_ROWS = [line.split() for line in _TABLE.strip().splitlines()] + [[unit, "1", unit, f"{unit}s"] for unit in _COUNTED]
_UNITS = {word: (unit, float(factor)) for unit, factor, *words in _ROWS for word in words}
_LOOSE = frozenset({"", "degree", *_TIMES})
"""Units that a text often leaves out where another says them ("aged 65", "65 years"); amounts are not among them."""
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_NUMBER = re.compile(
    rf"""(?<![^\W_])(?P<value>(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+|(?:{"|".join(_WORDS)})\b)
    (?:[\s-](?P<scale>{"|".join(_SCALES)})\b)?
    (?:(?:st|nd|rd|th|'?s)(?![^\W_])
      |[\s-]?(?P<unit>mm\s+Hg|per\s+cent|{_UNIT})(?![^\W_])(?:(?:\s?/\s?|\s+per\s+)(?P<per>kg|kilogram|dl|ml|l|m2)\b)?
      |(?![^\W_]))""",
    re.IGNORECASE | re.VERBOSE,
)
_RANGE = re.compile(r"\s*(?:-|to|or|and|,|, or|, and)\s*", re.IGNORECASE)
_POINTER = re.compile(
    rf"""\[\^?\s*(?:refs?\.?\s*)?\d+(?:\s*(?:,|;|-|and)\s*\d+)*\s*\](?!\s*(?:mg|mcg|g|ml|%))
    |(?<![^\W_])\((?:\d{{1,2}})(?:\s*[,;]\s*\d{{1,2}}(?!\d))*\)(?!\s*(?:%|(?:{_UNIT})(?![^\W_])))
    |\b(?:figures?|figs?\.?|tables?|sections?|chapters?|volume|vol\.|pages?|pp?\.|references?|refs?\.?)\s
      \d+(?:\.\d+)*(?:\s*(?:,|-|and|to)\s*\d+)*(?!\d)(?!\s*(?:{_UNIT}|times)(?![^\W_]))
    |(?-i:[(\[](?:[A-Z][\w'.-]*|and|&|et|al\.?)(?:,?\s(?:[A-Z][\w'.-]*|and|&|et|al\.?))*,?\s(?:19|20)\d\d[a-z]?[)\]])
    |\bet\ al\.,?\s\(?(?:19|20)\d\d\)?
    |(?-i:(?<=[a-z]{{3}}\.))\d{{1,2}}(?=\s|$)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Numbers of a citation, a figure, a table, a page or a footnote: they count nothing."""
_MONTH = re.compile(r"[(\[](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|In|Since|Until)")
_POINTS = "reference"
"""The unit of such a number: only its like holds it."""
_FLAT = {ord(c): "-" for c in "‐‑‒–—−"} | {ord("μ"): "µ"} | {ord(c): " " for c in "\u00a0\u2009\u202f"}
_FLAT |= {ord(c): "'" for c in "‘’"}


@lru_cache(maxsize=4096)
def numbers(text: str) -> tuple[Number, ...]:
    """The numbers of a text in order, with their units; in "5 to 10 mg" both are milligrams.

    Spelled-out ones from two to ninety count too ("one" is a pronoun more often), digits inside a name (GLB1) do not.
    One that only refers to something ("[5]", "Table 2", "(Smith et al., 2009)") has the unit `reference`.
    """
    flat = text.translate(_FLAT)
    pointers = [found.span() for found in _POINTER.finditer(flat) if not _MONTH.match(found.group())]
    found: list[Number] = []
    places: list[tuple[int, int]] = []
    factors: list[float] = []
    for match in _NUMBER.finditer(flat):
        said = match["value"].lower()
        value = float(_WORDS[said]) if said in _WORDS else float(said.replace(",", ""))
        value *= _SCALES[match["scale"].lower()] if match["scale"] else 1
        unit, factor = "", 1.0
        if match["unit"]:
            word = re.sub(r"\s+", "", match["unit"].lower())
            unit, factor = _UNITS[word]
            unit += "/" + match["per"].lower().replace("kilogram", "kg") if match["per"] else ""
        if any(start <= match.start("value") < end for start, end in pointers):
            unit, factor = _POINTS, 1.0
        found.append(Number(value * factor, unit, text[match.start() : match.end()], said not in _WORDS))
        places.append(match.span())
        factors.append(factor)
    for i in range(len(found) - 2, -1, -1):
        left, right = found[i], found[i + 1]
        between = flat[places[i][1] : places[i + 1][0]]
        if not left.unit and right.unit not in ("", _POINTS) and _RANGE.fullmatch(between):
            factors[i] = factors[i + 1]
            found[i] = Number(left.value * factors[i], right.unit, left.text, left.digits)
    return tuple(found)


def among(wanted: Number, held: Iterable[Number]) -> bool:
    """Whether one of the numbers has the same value, and the unit, where the wanted one names a unit."""
    return any(
        abs(wanted.value - other.value) <= 1e-6 * max(1.0, abs(wanted.value))
        and (
            wanted.unit == other.unit
            or (not wanted.unit and other.unit != _POINTS)
            or (wanted.unit in _LOOSE and other.unit == "")
        )
        for other in held
    )


def invented(text: str, held: Sequence[str]) -> list[str]:
    """The numbers written in digits, as written with their unit, that none of the texts holds."""
    known = [number for source in held for number in numbers(source)]
    return [number.text for number in numbers(text) if number.digits and not among(number, known)]
