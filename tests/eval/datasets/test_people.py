"""The questions of people, and those made in their forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import UserError
from eval.datasets.people import page_of, people
from finetune.forms import made
from index.corpus import QAPair

PAIRS = [
    QAPair(
        f"X/{topic}-{kind}", f"What is the {kind} of {name}?", f"{name} has {kind} number {topic}.",
        document=str(topic), question_type=kind, focus=name, synonyms=(f"{name} synonym",), source="X",
    )
    for topic, name in enumerate(("Gouty Arthritis", "Measles", "Glaucoma"))
    for kind in ("information", "symptoms", "treatment", "inheritance")
]  # fmt: skip


def test_both_parts_are_there_and_apart() -> None:
    validation, test = people("validation"), people("test")
    assert min(len(validation), len(test)) >= 150
    assert not {one.topic for one in validation} & {one.topic for one in test}
    assert not {page for one in validation for page in one.pages} & {page for one in test for page in one.pages}
    for one in (*validation, *test):
        assert one.covered == bool(one.pairs), one.id
        assert {page_of(pair) for pair in one.pairs} <= one.pages, one.id


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "people.jsonl").write_text('{"part": "test"}\n')
    with pytest.raises(UserError, match="cannot be read as questions"):
        people("test", tmp_path / "people.jsonl")


def test_made_questions_are_the_same_again_and_of_every_kind() -> None:
    found = made(PAIRS, range(len(PAIRS)), 300, seed=0)
    assert found == made(PAIRS, range(len(PAIRS)), 300, seed=0)
    assert found != made(PAIRS, range(len(PAIRS)), 300, seed=1)
    assert {one.kind for one in found} == {"covered", "masked", "off"}
    assert {PAIRS[one.row].question_type for one in found} == {"information", "symptoms", "treatment", "inheritance"}
    hidden = [one for one in found if one.hidden]
    assert all(one.hidden.endswith("synonym") for one in hidden)
    assert len({one.question for one in found}) > 200


def test_no_topic_no_question() -> None:
    assert made([QAPair("1", "What?", "Text.")], [0], 5, seed=0) == []
