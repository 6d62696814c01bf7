"""The words that a corpus is written in, and its topics' names: what spelling is corrected against.

vocabulary = Vocabulary.of(pairs)
vocabulary.counts["gout"], "gout" in vocabulary.names
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from index.corpus import QAPair
from index.words import fold

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
"""A word with its apostrophe: "Alzheimer's"."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How often each word stands in a corpus, the words of its topics' names, and which of these follow each other.

    All in lower case, without accents, with plain apostrophes.
    """

    counts: Mapping[str, int]
    names: frozenset[str]
    phrases: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, pairs: Iterable[QAPair]) -> Vocabulary:
        """The vocabulary of a corpus: 2.5 s for MedQuAD on one core."""
        counts: Counter[str] = Counter()
        names: set[str] = set()
        phrases: set[tuple[str, str]] = set()
        for pair in pairs:
            for name in (pair.focus, *pair.synonyms):
                own = words(name)
                names.update(own)
                counts.update(own)
                phrases.update(itertools.pairwise(own))
            counts.update(words(pair.question))
            counts.update(words(pair.answer))
        return cls(counts, frozenset(names), frozenset(phrases))

    def save(self, path: Path) -> None:
        """Write it as JSON, in the same order for the same corpus."""
        data = {
            "counts": dict(sorted(self.counts.items())),
            "names": sorted(self.names),
            "phrases": sorted(self.phrases),
        }
        path.write_text(json.dumps(data, ensure_ascii=False), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what `save` wrote. Raises OSError or ValueError."""
        data = json.loads(path.read_text("utf-8"))
        return cls(data["counts"], frozenset(data["names"]), frozenset((one, other) for one, other in data["phrases"]))


def words(text: str) -> list[str]:
    """The words of a text, in lower case, without accents, with plain apostrophes."""
    if text.isascii():  # the same, in half of the time
        return WORD.findall(text.lower())
    return [word.lower().replace("’", "'") for word in WORD.findall(fold(text))]
