"""The words of a corpus."""

from __future__ import annotations

from pathlib import Path

from index.corpus import QAPair
from index.vocabulary import Vocabulary, words

PAIRS = [
    QAPair("1", "What is Alzheimer’s Disease?", "It is a disease.", focus="Alzheimer’s Disease", synonyms=("AD",)),
    QAPair("2", "What is gout?", "Gout is 1 disease.", focus="Gout"),
]


def test_words_names_and_which_follow_each_other() -> None:
    found = Vocabulary.of(PAIRS)
    assert found.counts["disease"] == 4
    assert found.counts["gout"] == 3
    assert found.names == {"alzheimer's", "disease", "ad", "gout"}
    assert found.phrases == {("alzheimer's", "disease")}
    assert "1" not in found.counts
    assert words("Möbius-like 2x") == ["mobius", "like", "x"]


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = Vocabulary.of(PAIRS)
    found.save(tmp_path / "v.json")
    again = Vocabulary.load(tmp_path / "v.json")
    assert (dict(again.counts), again.names, again.phrases) == (dict(found.counts), found.names, found.phrases)
