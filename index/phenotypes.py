"""GARD's tables of signs and symptoms, which MedQuAD has as one run of words, as lists.

    laid_out(text, told)   ->   "... signs and symptoms for Jensen syndrome, ...:\\n- Dementia (90%)\\n- Deafness"

2,243 of MedQuAD's 16,359 answers hold such a table of the Human Phenotype Ontology, most of them nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TABLE = re.compile(
    r"(?P<lead>The Human Phenotype Ontology provides the following list of signs and symptoms for .{1,200}?)\."
    r" If the information is available, the table below includes how often the symptom is seen in people with this"
    r" condition\. You can use the MedlinePlus Medical Dictionary to look up the definitions for these medical terms\."
    r"\s+Signs and Symptoms Approximate number of patients \(when available\)\s+(?P<cells>.{1,20000}?)"
    r"\s+The Human Phenotype Ontology \(HPO\) has collected information on how often a sign or symptom occurs"
    r".{1,1200}?In these cases, the sign or symptom may be rare or common\.[^\S\n]*",
    re.DOTALL,
)
_CELLS = re.compile(r"(?P<sign>\S.*?) (?P<share>-|\d+(?:\.\d+)?%|\d+/\d+|\d+ of \d+)(?: |$)")
"""A sign with the share of patients who have it; "-" where that is not known."""


def laid_out(text: str, told: Callable[[str], None]) -> str:
    """The text with each table as a list under its lead-in, without the note on how to read the table.

    `told` is given the beginning of each table. One that is not whole stays as it is.
    """
    if "Approximate number of patients" not in text:
        return text

    def listed(match: re.Match[str]) -> str:
        cells = " ".join(match["cells"].split())
        rows = list(_CELLS.finditer(cells))
        if not rows or rows[-1].end() != len(cells):
            return match.group()
        told(cells)
        signs = (row["sign"] if row["share"] == "-" else f"{row['sign']} ({row['share']})" for row in rows)
        before = "" if match.start() == 0 or match.string[match.start() - 1] == "\n" else "\n\n"
        behind = "\n\n" if match.end() < len(match.string) and match.string[match.end()] != "\n" else ""
        lead = " ".join(match["lead"].split())
        return (
            "\n- ".join([f"{before}{lead}, with the approximate number of patients (when available):", *signs]) + behind
        )

    return re.sub(r" +\n", "\n", _TABLE.sub(listed, text))
