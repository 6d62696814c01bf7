"""Counting tokens by words gives what counting texts gives, or is left."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest

from index import tokens
from index.tokens import TokenCounts

TEXTS = [f"Sign {n}: a dull-ache (mild), {n * 7}% of people's days; naïve café {n}?" for n in range(40)]


def by_words(texts: Sequence[str]) -> list[int]:
    """What a WordPiece tokenizer does: parts first, then pieces of three letters."""
    return [sum(-(-len(part) // 3) for part in re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def by_characters(texts: Sequence[str]) -> list[int]:
    """A tokenizer whose tokens reach over blanks."""
    return [-(-len(text) // 3) for text in texts]


@pytest.mark.parametrize("count", [by_words, by_characters])
def test_counts_are_the_tokenizers(count: tokens.CountTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CHECKED", 4)
    counts = TokenCounts(count)
    for at in range(0, len(TEXTS), 4):
        assert counts(TEXTS[at : at + 4]) == count(TEXTS[at : at + 4])
    assert counts([]) == []


def test_words_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CHECKED", 1)
    asked: list[str] = []

    def count(texts: Sequence[str]) -> list[int]:
        asked.extend(texts)
        return by_words(texts)

    counts = TokenCounts(count)
    counts(["gout gout hurts."])
    del asked[:]
    assert counts(["hurts gout. gout"]) == [-(-5 // 3) + 2 * 2 + 1]
    assert asked == []
    assert counts(["café gout"]) == by_words(["café gout"])
    assert asked == ["café gout"], "what is not ASCII is counted whole"


@pytest.mark.weights
def test_the_real_tokenizers_counts_add_up(weights: None) -> None:
    from configs import load
    from index.embedder import Embedder

    embedder = Embedder(load("embedded")[0].embedder)
    chance = random.Random(0)
    marks = "".join(map(chr, range(32, 127))) + "\n"
    texts = ["".join(chance.choices(marks, k=chance.randint(0, 200))) for _ in range(500)]
    texts += ["x" * 150, " ".join(["[CLS]", "[SEP]", "[UNK]", "[MASK]"]), "a\tb", "\x07bell", "中文 text"]
    counts = TokenCounts(embedder.count_tokens)
    counts._checked = tokens.CHECKED
    assert counts(texts) == embedder.count_tokens(texts)
