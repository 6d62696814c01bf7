"""What a sentence is worth: learned from readers, told by the question that its page answers too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from index.linear import Linear
from rag.attribution.selection import BESIDE, READ, scored
from rag.attribution.worth import NAMES, features, shipped, worth
from rag.retrieval.reading import SAME, Piece, read
from tests.fakes import FakeEmbedder

encode = FakeEmbedder(dimensions=384).encode
QUESTION = "how long does croup last"
TEXT = "Croup causes a barking cough. Croup is worse at night and may last for three to five days. Croup is not flu."


def only(name: str) -> Linear:
    """A model by which one feature alone counts."""
    return Linear(NAMES, tuple(float(one == name) for one in NAMES), 0.0)


def test_a_sentence_that_does_not_name_its_topic_is_compared_behind_its_pages_question() -> None:
    plain = [Piece("It may last for three to five days.", "information", True)]
    asking = [Piece(plain[0].text, "information", True, asks="What is croup?")]
    alone, within = (NAMES.index(name) for name in ("alone", "within"))
    (bare,), (told,) = (
        features(read([QUESTION], pieces, encode), pieces, [QUESTION], encode) for pieces in (plain, asking)
    )
    assert bare[within] == pytest.approx(bare[alone])
    assert told[alone] == bare[alone]
    assert told[within] > bare[within]


def test_only_what_was_embedded_is_worth_anything_and_nothing_else_is_embedded() -> None:
    pieces = [Piece(TEXT, "information", True)]
    lines = read([QUESTION], pieces, encode, embedded=2)
    found = worth(lines, pieces, [QUESTION], encode)
    assert [chance > 0 for chance in found] == [line.cosine != 0 for line in lines]
    assert (found > 0).sum() == 2
    assert worth([], [], [QUESTION], encode).tolist() == []


def test_features_are_of_the_line_and_of_its_piece() -> None:
    pieces = [
        Piece("Gout hurts.", "treatment", False),
        Piece(TEXT, "information", True, page=0.5, question=0.7, worth=-0.2),
    ]
    lines = read([QUESTION], pieces, encode)
    values = features(lines, pieces, [QUESTION], encode)
    assert values.shape == (4, len(NAMES))
    row = dict(zip(NAMES, values[2], strict=True))
    assert row["page"] == pytest.approx(math.log(0.5))
    assert (row["question"], row["answer"], row["opening"]) == (0.7, -0.2, 0.5)
    assert row["length"] == pytest.approx(math.log1p(len(lines[2].text.split())))
    assert values[:, NAMES.index("alone_margin")].max() == values[:, NAMES.index("within_margin")].max() == 0
    assert values[0, NAMES.index("opening")] == 0  # a passage that does not open its answer


def test_scores_join_readers_neighbors_and_retrieval_and_headings_stay_out() -> None:
    pieces = [Piece(f"Croup\n{TEXT}", "information", True)]
    lines = scored([QUESTION], pieces, encode)
    assert lines[0].value == -math.inf
    plain = read([QUESTION], pieces, encode, 48)
    chances = worth(plain, pieces, [QUESTION], encode)
    middle = chances[2] + BESIDE * ((chances[1] + chances[3]) / 2 - chances[2])
    assert lines[2].value == pytest.approx(middle + READ * plain[2].value)
    first = chances[1] + BESIDE * (chances[2] - chances[1])  # the heading beside it says nothing
    assert lines[1].value == pytest.approx(first + READ * plain[1].value)


def test_the_very_question_of_a_page_puts_its_answer_first() -> None:
    pieces = [Piece(TEXT, "information", True), Piece("Gout hurts.", "information", True, question=SAME)]
    lines = scored([QUESTION], pieces, encode)
    assert max(lines, key=lambda line: line.value).piece == 1


def test_what_ships_prefers_what_readers_preferred() -> None:
    model = shipped()
    weights = dict(zip(model.names, model.weights, strict=True))
    assert weights["within"] > 0
    assert weights["points"] < 0
    unseen, before = model.fitted_on["unseen"], model.fitted_on["before"]
    assert unseen["best answers"] > before["best answers"]
    assert model.fitted_on["questions"] > 300


def test_a_models_own_feature_alone_decides() -> None:
    pieces = [Piece(TEXT, "information", True)]
    lines = read([QUESTION], pieces, encode)
    by_length = worth(lines, pieces, [QUESTION], encode, only("length"))
    assert np.argsort(by_length).tolist() == np.argsort([len(line.text.split()) for line in lines]).tolist()
