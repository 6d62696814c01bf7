"""The lexical index by word: the columns are those that its scores are made of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from index import words
from index.lexical import Lexical

ROOT = Path(__file__).parent.parent.parent
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


def test_the_files_are_the_same_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from index.lexical import Lexical; from tests.fakes import corpus;"
        "Lexical.build([pair.answer for pair in corpus(30).pairs]).save(Path(sys.argv[1]))"
    )
    for seed in "12":
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / seed)], env=env, cwd=tmp_path, check=True)
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "2").iterdir())
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in files)
