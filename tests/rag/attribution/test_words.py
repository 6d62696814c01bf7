"""Words keep their places, and spellings of one word share a stem."""

from __future__ import annotations

from rag.attribution.words import stem, tokens


def test_british_and_american_spellings_share_a_stem() -> None:
    for one, other in (("tumour", "tumor"), ("anaemia", "anemia"), ("haemophilia", "hemophilia"), ("oedema", "edema")):
        assert stem(one) == stem(other)


def test_tokens_know_their_places() -> None:
    text = "Take 10mg of “Drug‑X”, don’t wait."
    for word in tokens(text):
        assert text[word.start : word.end].lower().replace("’", "'") == word.text
    assert [word.text for word in tokens(text)] == ["take", "10", "mg", "of", "drug", "x", "don't", "wait"]
