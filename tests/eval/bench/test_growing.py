"""The table that the growing index is timed on: the same for the same size, no two rows alike, read whole."""

from __future__ import annotations

import re
from pathlib import Path

from configs.schema import Cleaning
from eval.bench.growing import rows, write_table
from index.sources import load_corpus


def test_rows_are_the_same_again_and_no_two_are_alike() -> None:
    first = list(rows(500))
    assert first == list(rows(500))
    assert len({question for question, _ in first}) == len({answer for _, answer in first}) == 500
    assert not any(re.search(r"[{}]", text) for row in first for text in row)
    assert all(20 <= len(answer.split()) <= 220 for _, answer in first)


def test_every_row_is_read(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", 300)
    corpus = load_corpus([str(tmp_path / "table.csv")], Cleaning())
    assert [pair.question for pair in corpus.pairs] == [question for question, _ in rows(300)]
