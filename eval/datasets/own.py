"""Which passages are of a question's topic, and MedQuAD's own questions asked again in other words.

The right topic: the page has the same normalized focus as the page that the question was taken from, or is that
very page. No command of its own; `eval/retrieval/own_questions.py` reports with it.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from index.corpus import QAPair
from index.splits import normalize


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the row of the pair it is about; `synonym` is the name that took the focus' place."""

    question: str
    row: int
    synonym: str = ""


def same_topic(pair: QAPair, other: QAPair) -> bool:
    """Whether two pairs share the normalized focus or the document, or are one pair."""
    if pair.id == other.id:
        return True
    if pair.document and (pair.collection, pair.document) == (other.collection, other.document):
        return True
    return bool(pair.focus) and normalize(pair.focus) == normalize(other.focus)


def own(pairs: Sequence[QAPair], rows: Iterable[int], count: int, seed: int = 0) -> list[Asked]:
    """`count` of the corpus' own questions, drawn among `rows`."""
    chosen = sorted(rows)
    random.Random(f"own {seed}").shuffle(chosen)
    return [Asked(pairs[row].question, row) for row in chosen[:count]]


def reworded(pairs: Sequence[QAPair], rows: Iterable[int], count: int, seed: int = 0) -> list[Asked]:
    """`count` questions among `rows`, one a page, with the focus replaced by one of the page's synonyms.

    The focus' normalized words stand nowhere in the new question. A synonym that names several topics is
    not used, nor one of a single character: such a question would not tell what it is about.
    """
    topics: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        for name in (pair.focus, *pair.synonyms):
            topics[normalize(name)].add(normalize(pair.focus))
    dice = random.Random(f"reworded {seed}")
    chosen = sorted(rows)
    dice.shuffle(chosen)
    found: list[Asked] = []
    pages: set[tuple[str, str]] = set()
    for row in chosen:
        pair, focus = pairs[row], normalize(pairs[row].focus)
        if not focus or (pair.collection, pair.document) in pages:
            continue
        plain = {name: normalize(name) for name in sorted(set(pair.synonyms))}
        usable = [
            name
            for name, one in plain.items()
            if len(one) > 1 and f" {focus} " not in f" {one} " and len(topics[one]) == 1
        ]
        if not usable:
            continue
        synonym = dice.choice(usable)
        question = synonym.join(re.split(re.escape(pair.focus), pair.question, flags=re.IGNORECASE))
        if question == pair.question or f" {focus} " in f" {normalize(question)} ":
            continue
        pages.add((pair.collection, pair.document))
        found.append(Asked(question, row, synonym))
        if len(found) == count:
            break
    return found
