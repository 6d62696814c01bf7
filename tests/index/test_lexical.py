"""The lexical index by word: the columns are those that its scores are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from index import words
from index.lexical import Lexical

TEXTS = ["Gout hurts the toe.", "Mumps swells the cheeks.", "Gout, gout and mumps: crystals in a joint.", "the of"]


def test_scores_are_the_sum_of_the_words_columns(tmp_path: Path) -> None:
    built = Lexical.build(TEXTS)
    built.save(tmp_path)
    for lexical in (built, Lexical.open(tmp_path)):
        total = np.zeros(len(TEXTS), dtype=np.float32)
        for word in words.terms("gout crystals banana"):
            if (term := lexical.term(word)) is not None:
                rows, scores = lexical.postings(term)
                assert len(rows) == lexical.frequencies[term]
                assert (np.diff(rows) > 0).all()
                total[rows] += scores
        assert total.tolist() == lexical.scores("gout crystals banana").tolist()
        assert (total > 0).tolist() == [True, False, True, False]


def test_a_word_that_no_passage_has_has_no_column() -> None:
    lexical = Lexical.build(TEXTS)
    # bm25s keeps the empty word in its vocabulary, one past the last column.
    assert lexical.term("banana") is lexical.term("") is None
    assert lexical.scores("banana").tolist() == [0.0] * len(TEXTS)
    terms = {lexical.term(word) for text in TEXTS[:3] for word in words.terms(text)}
    assert None not in terms
    assert len(terms) == len(lexical.frequencies) - 1, "the passage without a word has a column of its own"
