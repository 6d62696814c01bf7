"""Stand-ins for the weights, and small corpora, for tests that are about everything else."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence

import numpy as np

from index.corpus import QAPair
from index.readers import ReadReport
from index.sources import Corpus

_WORD = re.compile(r"\w+|[^\w\s]")

TOPICS = ("asthma", "gout", "anemia", "migraine", "eczema", "glaucoma", "scurvy", "rickets", "measles", "mumps")
"""Topics of `corpus`; row n is about topic n modulo 10, aspect n // 10."""


class FakeTokenizer:
    """A token is a word or a mark of punctuation; nothing is added at the ends."""

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Token ids: a word's hash."""
        return [int.from_bytes(hashlib.blake2b(w.encode(), digest_size=3).digest()) for w in _WORD.findall(text)]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(_WORD.findall(text)) for text in texts]


class FakeEmbedder:
    """A bag of hashed words: texts that share words are near each other, and the same text is always the same.

    `encoded` holds every text that was really embedded, in that order; `pause` (seconds a text) makes it slow.
    """

    precision = "fp32"

    def __init__(self, dimensions: int = 64, max_tokens: int = 64, name: str = "fake", pause: float = 0.0) -> None:
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self.fingerprint = f"{name} {dimensions}"
        self.pause = pause
        self.encoded: list[str] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words and marks of punctuation of each text, special tokens not counted."""
        return FakeTokenizer().count(texts)

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
        """(n, dimensions) float32, rows of length 1."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                vectors[row, int.from_bytes(digest[:4]) % self.dimensions] += 1.0 if digest[4] % 2 else -1.0
            if not vectors[row].any():
                vectors[row, 0] = 1.0
            self.encoded.append(text)
            if self.pause:
                time.sleep(self.pause)
            if progress is not None:
                progress(1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def pair(row: int, question: str = "", answer: str = "") -> QAPair:
    """Row `row` of `corpus`, or the same with another question or answer."""
    topic = TOPICS[row % len(TOPICS)]
    sentences = " ".join(f"Sentence {n} of page {row} says that {topic} has sign{row}x{n}." for n in range(12))
    return QAPair(
        id=f"fake/{row}",
        question=question or f"What are the signs, part {row // len(TOPICS)}, of {topic}?",
        answer=answer or sentences,
        focus=topic,
        synonyms=(f"{topic} disease",),
        source="NIDDK",
        url=f"https://example.org/{topic}/{row}",
        urls=(f"https://example.org/{topic}/{row}",),
    )


def corpus(pairs: int | Sequence[QAPair] = 30) -> Corpus:
    """A corpus of `pairs` made-up pairs, or of those given; its digest is that of its content."""
    rows = [pair(row) for row in range(pairs)] if isinstance(pairs, int) else list(pairs)
    digest = hashlib.sha256(repr(rows).encode("utf-8", "surrogatepass")).hexdigest()
    return Corpus(rows, digest, "fake", ReadReport())
