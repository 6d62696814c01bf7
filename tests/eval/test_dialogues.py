"""The dialogues are whole, and what is made of their turns is judged by page and aspect."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from configs.errors import UserError
from configs.schema import IndexSettings, Passages, Retriever
from eval.dialogues import Dialogue, Turn, dialogues, figures, measure
from index.build import build
from index.corpus import QAPair
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes


def test_there_are_180_of_nine_kinds_and_no_first_turn_inherits() -> None:
    parts = {part: dialogues(part) for part in ("train", "validation", "test")}
    assert {part: len(found) for part, found in parts.items()} == {"train": 60, "validation": 40, "test": 80}
    every = [one for found in parts.values() for one in found]
    assert len({one.id for one in every}) == 180
    assert len(Counter(one.kind for one in every)) == 9
    assert not any(one.turns[0].inherits for one in every)
    assert all(2 <= len(one.turns) <= 5 for one in every)


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text('{"part": "test"}')
    with pytest.raises(UserError, match="cannot be read as dialogues"):
        dialogues("test", file)


def test_a_turn_is_right_by_its_page_and_what_it_asks_for(tmp_path: Path) -> None:
    topics = fakes.TOPICS[:3]
    pairs = [
        QAPair(id=f"{topic}-{kind}", question=f"What are the {kind} of {topic}?", focus=topic, question_type=kind,
               answer=f"The {kind} of {topic} are known. They are described here at length for {topic}.", url=topic)
        for topic in topics for kind in ("symptoms", "treatment")
    ]  # fmt: skip
    embedder = fakes.FakeEmbedder(dimensions=256, max_tokens=128)
    index = build(fakes.corpus(pairs), tmp_path, Passages(max_tokens=64), embedder, IndexSettings())
    retriever = HybridRetriever.create(index, embedder, Retriever())
    first, second, _ = topics
    turns = (
        Turn(f"symptoms of {first}", f"symptoms of {first}", first, False),
        Turn("how is it treated?", f"how is {first} treated?", first, True),
        Turn(f"and {second}?", f"how is {second} treated?", second, False),
        Turn("thanks", "", "", False),
        Turn(f"symptoms of {second}", f"symptoms of {first}", first, False),
    )
    rows = measure(retriever, [Dialogue("d", "aspect", turns)])
    assert [row.right for row in rows] == [True, True, True, False]
    found = figures(rows)
    assert found["right"]["n"] == 3
    assert found["no question, none made"]["share"] == 1
