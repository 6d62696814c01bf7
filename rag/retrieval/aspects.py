"""What is asked about a topic: its symptoms, its treatment, how long it lasts, whether it is inherited.

    asked("how long does shingles last")               ->  ("duration",)
    fit(("duration",), "outlook")                      ->  0.6
    mentions(("duration",), "It lasts 3 to 5 weeks.")  ->  1

The aspects are those that people ask for; a page's answers have MedQuAD's question types, or, in another corpus, the
aspects that their own questions ask for. `aspects.toml` says which types answer which aspect, and how surely; the
shares were set by reading answers, and the re-ranker (`rag/retrieval/reranker.py`) learns what they are worth.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from index.corpus import QAPair


@dataclass(frozen=True, slots=True)
class Aspect:
    """Words by which a question asks for it, the question types that answer it (0..1), words of a text on it, the
    aspects whose words only ask for it, words that ask for it by its name, and the aspect as the chat says it."""

    asks: re.Pattern[str]
    types: dict[str, float]
    cue: re.Pattern[str]
    implies: frozenset[str]
    named: re.Pattern[str] | None
    means: str


DEFINITION = "definition"
"""What is asked by a name alone, or by "what is"."""
TABLE = Path(__file__).with_name("aspects.toml")


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _read() -> dict[str, Aspect]:
    return {
        name: Aspect(
            _pattern("|".join(row["asks"]) or "(?!)"),
            row["types"],
            _pattern(row["cue"]),
            frozenset(row.get("implies", ())),
            _pattern(row["named"]) if "named" in row else None,
            row["means"],
        )
        for name, row in tomllib.loads(TABLE.read_text("utf-8")).items()
    }


ASPECTS = _read()
_CAUSE_OF = re.compile(r"\b(?:what|which)\b.{0,12}\bcaus", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.?!])\s+")
_ASKS = re.compile(
    r"^(?:what|how|why|when|where|which|who|is|are|can|could|should|does|do|did|will|would|any)\b|\b(?:would like|want"
    r"|need|please|tell me|wondering|advise|looking for|curious|information|info|help me)\b",
    re.IGNORECASE,
)


def asking(text: str) -> str:
    """The sentences of a message that ask: those with a question mark, else those that ask without; else the whole."""
    sentences = [one.strip() for one in _SENTENCE.split(text) if one.strip()]
    if len(sentences) < 2:
        return text
    asked_for = [one for one in sentences if one.endswith("?")] or [one for one in sentences if _ASKS.search(one)]
    return " ".join(asked_for) or text


@lru_cache(maxsize=65_536)
def asked(text: str) -> tuple[str, ...]:
    """The aspects that a question or message asks for, in the order of ASPECTS; never empty."""
    text = asking(text)
    found = [name for name, aspect in ASPECTS.items() if aspect.asks.search(text)]
    dropped: set[str] = set()
    for name in found:
        for other in ASPECTS[name].implies & set(found):
            by_name = ASPECTS[other].named
            if not (by_name and by_name.search(text)):
                dropped.add(other)
    if {"complications", "causes"} <= set(found):
        dropped.add("complications" if _CAUSE_OF.search(text) else "causes")
    return tuple(name for name in found if name not in dropped) or (DEFINITION,)


def fit(aspects: Sequence[str], kind: str) -> float:
    """How surely an answer of question type `kind` answers one of the aspects, in 0..1."""
    return max((ASPECTS[name].types.get(kind, 0.0) for name in aspects), default=0.0)


def kind_of(pair: QAPair) -> str:
    """A pair's question type: the corpus's own word, else the type that best answers what its question asks for."""
    if pair.question_type:
        return pair.question_type
    types = ASPECTS[asked(pair.question)[0]].types
    return max(types, key=lambda kind: types[kind])


def mentions(aspects: Sequence[str], text: str) -> int:
    """How often a text says something that belongs to one of the aspects."""
    return max(len(ASPECTS[name].cue.findall(text)) for name in aspects)


TYPED = re.compile("|".join(f"(?:{aspect.asks.pattern})" for aspect in ASPECTS.values()), re.IGNORECASE)
"""Words of a question that say what is asked, not what about."""
