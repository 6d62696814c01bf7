"""Stand-ins for the weights, for tests that are about everything else."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence

import numpy as np

_WORD = re.compile(r"\w+|[^\w\s]")


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

    `encoded` counts the texts that were really embedded; `pause` (seconds a text) makes it slow.
    """

    def __init__(self, dimensions: int = 64, max_tokens: int = 64, name: str = "fake", pause: float = 0.0) -> None:
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self.fingerprint = f"{name}-{dimensions}:fp32"
        self.encoded = 0
        self.pause = pause

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words and punctuation, and two special tokens, as in BERT."""
        return [len(_WORD.findall(text)) + 2 for text in texts]

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
        """(n, dimensions) float32, rows of length 1."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
                vectors[row, int.from_bytes(digest[:4]) % self.dimensions] += 1.0 if digest[4] % 2 else -1.0
            if not vectors[row].any():
                vectors[row, 0] = 1.0
            if self.pause:
                time.sleep(self.pause)
            if progress is not None:
                progress(1)
        self.encoded += len(texts)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
