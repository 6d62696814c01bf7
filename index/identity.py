"""What a corpus is, in words: the one place that says where answers come from.

    parts = store.read_manifest(folder)[0].parts
    purpose(parts)        # "Health questions answered from my-faq, every sentence with its source."
    attribution(parts)    # "Answers from my-faq."

No parts at all mean that it is not known yet; then nothing is claimed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from index.corpus import QAPair

Kind = Literal["medquad", "starter", "own"]

MEDQUAD_COLLECTIONS = ("keivalya/MedQuad-MedicalQnADataset", "lavita/MedQuAD")
"""The collections that the shipped column maps of MedQuAD's tables name."""
MEDQUAD_NAME = re.compile(r"medquad(-master|-main|-[0-9a-f]{7,40})?")
"""What an index that says no more calls a corpus that was read from MedQuAD's archive."""
SHOWN = 4
"""So many sources are named in a sentence; of more, the rest are counted."""

CREDITS: dict[Kind, tuple[str, str, str]] = {
    "medquad": ("MedQuAD", "MedQuAD (Ben Abacha & Demner-Fushman, 2019)", "CC BY 4.0"),
    "starter": ("starter", "medcite's starter corpus (demonstration text, not from NIH)", "Apache-2.0"),
}
"""Name, attribution and license of what is not the reader's own."""


@dataclass(frozen=True)
class Part:
    """One source of a corpus. `pairs` is None where an older index does not say; `license` is empty if not known."""

    name: str
    kind: Kind
    pairs: int | None = None
    attribution: str = ""
    license: str = ""


def part(kind: Kind, name: str, pairs: int | None = None) -> Part:
    """A part with the name, attribution and license of its kind; an own one is called `name`."""
    if kind in CREDITS:
        known, credit, license = CREDITS[kind]
        return Part(known, kind, pairs, credit, license)
    plain = " ".join("".join(mark if mark.isprintable() else " " for mark in name).split())
    return Part(plain[:80] or "corpus", kind, pairs, plain[:80] or "corpus")


def kind_of(pair: QAPair, xml: bool) -> Kind:
    """Whose a pair is. `xml`: it was read from MedQuAD's form, where `source` is not the reader's own word."""
    from index.corpus import INSTITUTES

    if pair.demonstration:
        return "starter"
    if (xml and pair.source in INSTITUTES) or pair.collection in MEDQUAD_COLLECTIONS:
        return "medquad"
    return "own"


def counted_parts(sources: Iterable[tuple[str, bool, Sequence[QAPair]]]) -> tuple[Part, ...]:
    """The parts of a corpus from its sources: name, whether it is XML in MedQuAD's form, and the pairs kept of it."""
    found: Counter[tuple[Kind, str]] = Counter()
    for name, xml, pairs in sources:
        for kind, count in Counter(kind_of(pair, xml) for pair in pairs).items():
            found[kind, name if kind == "own" else ""] += count
    return tuple(part(kind, name, count) for (kind, name), count in found.items())


def parsed(rows: Iterable[Mapping[str, Any]]) -> tuple[Part, ...]:
    """Parts as a manifest holds them. Raises TypeError, ValueError or KeyError for rows that are none."""
    found = []
    for row in rows:
        if row["kind"] not in ("medquad", "starter", "own"):
            raise ValueError(f"no kind of corpus: {row['kind']!r}")
        count = None if row.get("pairs") is None else int(row["pairs"])
        texts = (str(row.get(name, "")) for name in ("attribution", "license"))
        found.append(Part(str(row["name"]), row["kind"], count, *texts))
    return tuple(found)


def from_name(corpus_name: str, pairs: int | None = None) -> tuple[Part, ...]:
    """The parts that a corpus's short name (`medquad+my-faq`) tells of, for an index or adapter that says no more."""
    names = [name for name in corpus_name.split("+") if name]
    kinds: list[Kind] = [
        "starter" if name == "starter" else "medquad" if MEDQUAD_NAME.fullmatch(name) else "own" for name in names
    ]
    return tuple(part(kind, name, pairs if len(names) == 1 else None) for kind, name in zip(kinds, names, strict=True))


def named(parts: Sequence[Part]) -> str:
    """The sources' names: `MedQuAD and my-faq`."""
    return _listed([_name(one) for one in parts])


def counted(parts: Sequence[Part]) -> str:
    """The sources with their sizes: `MedQuAD (16,359 pairs) and my-faq (3 pairs)`."""
    return _listed([_name(one) + (f" ({pairs(one.pairs)})" if one.pairs is not None else "") for one in parts])


def pairs(count: int) -> str:
    """`1 pair`, `16,359 pairs`."""
    return "1 pair" if count == 1 else f"{count:,} pairs"


def purpose(parts: Sequence[Part]) -> str:
    """What the program does, in a sentence that names where its answers come from."""
    if not parts:
        return "Health questions answered, every sentence with its source."
    alone = len(parts) == 1
    texts = {
        "medquad": "NIH text" if alone else "NIH text (MedQuAD)",
        "starter": "demonstration text (not from NIH)",
    }
    return f"Health questions answered from {_listed([texts.get(p.kind, p.name) for p in parts])}, " + (
        "every sentence with its source."
    )


def attribution(parts: Sequence[Part]) -> str:
    """Whose the answers' texts are, in a sentence; empty where that is not known. A license is its own part's alone."""
    if not parts:
        return ""
    if len(parts) == 1:
        return f"Answers from {_credit(parts[0]) if parts[0].kind == 'medquad' else parts[0].attribution}."
    under = [f" {one.attribution} is under {one.license}." for one in parts if one.kind == "medquad"]
    return f"Answers from {named(parts)}.{''.join(under)}"


def licenses(parts: Sequence[Part]) -> list[str]:
    """A line for each source: its attribution and license, or that the license is not known."""
    return [_credit(one) if one.license else f"{one.name}: see the corpus for its license" for one in parts]


def _name(one: Part) -> str:
    return "medcite's starter corpus" if one.kind == "starter" else one.name


def _credit(one: Part) -> str:
    return f"{one.attribution or one.name}, {one.license}" if one.license else one.attribution or one.name


def _listed(names: Sequence[str]) -> str:
    if len(names) > SHOWN:
        return _joined([*names[: SHOWN - 1], f"{len(names) - SHOWN + 1} more"])
    return _joined(names)


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
