"""Words keep their places, spellings of one word share a stem, and there is one way to take a text apart."""

from __future__ import annotations

import re
from pathlib import Path

import bm25s
import pytest
import Stemmer
from hypothesis import given
from hypothesis import strategies as st

from index.words import Joined, fold, stem, terms, tokens, words

ROOT = Path(__file__).parents[2]


def test_british_and_american_spellings_share_a_stem() -> None:
    for one, other in (("tumour", "tumor"), ("anaemia", "anemia"), ("haemophilia", "hemophilia"), ("oedema", "edema")):
        assert stem(one, folded=True) == stem(other, folded=True)
        assert stem(one) != stem(other), "search does not fold"


def test_tokens_know_their_places() -> None:
    text = "Take 10mg of “Drug‑X”, don’t wait."
    for word in tokens(text):
        assert text[word.start : word.end].lower().replace("’", "'") == word.text
    assert [word.text for word in tokens(text)] == ["take", "10", "mg", "of", "drug", "x", "don't", "wait"]


@pytest.mark.parametrize(
    ("joined", "found"),
    [
        ("", ["Break", "bone", "Meniere", "s", "a", "b", "22q11", "2"]),
        ("_", ["Break", "bone", "Meniere", "s", "a_b", "22q11", "2"]),
        ("_'", ["Break", "bone", "Meniere's", "a_b", "22q11", "2"]),
    ],
)
def test_what_joins_a_word(joined: Joined, found: list[str]) -> None:
    assert words("Break-bone: Ménière's (a_b), 22q11.2!", joined) == found


def test_accents_do_not_part_words() -> None:
    assert fold("Sjögren, Løken, 日本 한국, naïve") == "Sjogren, Loken, 日本 한국, naive"
    assert terms("Behçet's") == terms("Behcet's")
    assert [word.text for word in tokens("Sjögren’s")] == ["sjogren's"]


@given(st.text(st.sampled_from("aBé1_ .,-'İßThe\n²") | st.characters(), max_size=60))
def test_search_terms_are_those_with_which_bm25s_builds_an_index(text: str) -> None:
    for said in (text, f"The {text} of Diseases, THE children's 10mg a_b"):
        found = bm25s.tokenize([fold(said)], stopwords="en", stemmer=Stemmer.Stemmer("english"), return_ids=False,
                               show_progress=False)  # fmt: skip
        assert terms(said) == list(found[0])


def test_no_other_module_has_a_stemmer_or_words_of_its_own() -> None:
    own = re.compile(
        r"import Stemmer|re\.(?:compile|findall|finditer)\(\s*r?[\"'](?:\\w\+|\[\^\\W_\]\+|\[\\w'\]\+)[\"'|]"
    )
    holders = {
        path.relative_to(ROOT).as_posix()
        for room in ("index", "rag", "app")
        for path in (ROOT / room).rglob("*.py")
        if own.search(path.read_text("utf-8"))
    }
    # The splits compare whole questions, and what is in which split must not follow what search changes.
    assert holders == {"index/words.py", "index/splits.py"}
