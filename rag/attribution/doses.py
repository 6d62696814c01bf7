"""Doses: a page that the question does not name shows none of its own, and a sentence none that no source holds.

    withhold("Rest. Adults take 100 mg twice a day.")  ->  ("Rest.\\n[…]", 1)
    unsourced_doses("Take 20 mg.", texts)              ->  the doses that no text holds

Retrieval can be wrong about a page, and a wrong page with a dose on it is harm. `rag.sources` withholds when it makes
the sources, so no quotation, citation or panel can bring the dose back.
`python -m pytest tests/rag/attribution/test_doses.py` runs it.
"""

from __future__ import annotations

from collections.abc import Sequence

from index.sentences import spans
from rag.attribution.quantities import Quantity, holds, quantities

LEFT_OUT = "[…]"
"""Stands for sentences that are not shown. It holds no word, so nothing can quote or cite it."""

_MEASURED = frozenset(("mmol", "meq", "mmhg"))
"""Units of what is measured in a body, not of what is given to it."""
_RARE = ("week", "month")
"""A rhythm of weeks or months without an amount is a check-up, not a way of taking something."""


def is_dose(quantity: Quantity) -> bool:
    """Whether a quantity can be an amount to take or a rhythm of taking it; a blood level (mg/dl, mmol) is none."""
    if not quantity.dose or quantity.unit in _MEASURED or quantity.per in ("dl", "l"):
        return False
    return quantity.unit.removeprefix("times/").removeprefix("every ") not in _RARE


def withhold(text: str) -> tuple[str, int]:
    """The text with LEFT_OUT, on a line of its own, for each run of sentences with a dose, and their count."""
    kept: list[str] = []
    end = count = 0
    out = False
    for start, stop in spans(text):
        had, out = out, any(is_dose(quantity) for quantity in quantities(text[start:stop]))
        gap = text[end:start]
        if out:
            kept.append("" if had else gap.rstrip(" ") + ("" if not kept or "\n" in gap else "\n") + LEFT_OUT)
        else:
            kept.append(("\n" if had and "\n" not in gap else gap) + text[start:stop])
        count += out
        end = stop
    return ("".join([*kept, text[end:]]), count) if count else (text, 0)


def unsourced_doses(text: str, source_texts: Sequence[str]) -> list[str]:
    """The doses in a text, as it writes them, that none of the sources holds.

    A dose is a number with a medical unit (mg, ml, IU, mmol, tablets, "times a day", "every 6 hours", ...).
    It is held where a source has the same value and unit, spelled any way; 1 g is 1000 mg.
    """
    found = [quantity for quantity in quantities(text) if quantity.dose]
    if not found:
        return []
    held = [quantity for source in source_texts for quantity in quantities(source)]
    return [text[q.start : q.end] for q in found if not holds(q, held)]
