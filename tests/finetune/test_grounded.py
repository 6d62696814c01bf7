"""Grounded examples: what is learned is in the prompt, from answers to what is asked, with the right numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from langchain_core.messages import BaseMessage

from configs.recipes import Data
from configs.schema import IndexSettings, Passages, Prompt, Retriever
from finetune.corpus import PassagesOfPairs
from finetune.grounded import Grounded, Maker
from index.build import build
from index.corpus import QAPair
from index.splits import make
from rag import prompt
from rag.retrieval.hybrid import HybridRetriever
from rag.retrieval.reading import Line
from tests import fakes

TEXTS = {
    "information": "{x} is a disease of the joints. Many people have {x}.",
    "symptoms": "Symptoms of {x} include:\n- pain in the toe\n- a swollen knee\n\nThe pain of {x} starts at night.",
    "treatment": "{x} is treated with rest and medicines. Ice on the joint helps against the pain of {x}.",
}


def count(messages: Sequence[BaseMessage]) -> int:
    return sum(len(str(message.content).split()) for message in messages)


@pytest.fixture(scope="module")
def pairs() -> list[QAPair]:
    return [
        QAPair(
            id=f"{name}-{kind}", question=f"What are the {kind} of {name}?", answer=text.format(x=name), focus=name,
            question_type=kind, source="NIDDK", document=name,
        )
        for name in fakes.TOPICS[:6]
        for kind, text in TEXTS.items()
    ]  # fmt: skip


@pytest.fixture(scope="module")
def maker(pairs: list[QAPair], tmp_path_factory: pytest.TempPathFactory) -> Maker:
    embedder = fakes.FakeEmbedder(dimensions=256, max_tokens=128)
    index = build(fakes.corpus(pairs), tmp_path_factory.mktemp("i"), Passages(max_tokens=64), embedder, IndexSettings())
    retriever = PassagesOfPairs(HybridRetriever.create(index, embedder, Retriever()))
    return Maker(pairs, make(pairs, "digest"), retriever, 5, Data())


def examples(maker: Maker, pairs: list[QAPair]) -> list[tuple[QAPair, Grounded]]:
    made = [(pair, maker.example(pair, random.Random(n))) for n in range(6) for pair in pairs]
    return [(pair, one) for pair, one in made if one is not None]


def test_what_is_learned_is_shown_under_its_number(maker: Maker, pairs: list[QAPair]) -> None:
    seen = 0
    for _, one in examples(maker, pairs):
        built = prompt.build(one.question, one.shown, count, Prompt(max_tokens=2000))
        for unit in one.units(built):
            text, _, number = unit.strip().lstrip("- ").partition(" [")
            if number:
                assert text in built.shown[int(number.rstrip("]")) - 1]
                seen += 1
    assert seen > 60


def test_it_is_learned_from_answers_to_what_is_asked(maker: Maker, pairs: list[QAPair]) -> None:
    by_id = {pair.id: pair for pair in pairs}
    for pair, one in examples(maker, pairs):
        rows = {hit.row: hit.pair for hit, _ in one.shown}
        for row, _, _ in one.target:
            learned = by_id[rows[row].id]
            assert learned.focus == pair.focus
            assert learned.id == pair.id or " and " in one.question, "another type only where two things are asked"


def test_some_prompts_have_fewer_sources_and_some_another_order(maker: Maker, pairs: list[QAPair]) -> None:
    made = [one for _, one in examples(maker, pairs)]
    counts = {len(one.shown) for one in made}
    assert len(counts) > 2
    assert 1 in counts
    assert len({one.question for one in made}) > len(pairs)


def test_a_list_is_numbered_once_at_its_end_and_a_line_without_room_is_left_out(maker: Maker) -> None:
    hit = maker.retriever.retrieve(f"symptoms of {fakes.TOPICS[0]}").hits[0]
    other = replace(hit, row=hit.row + 1)
    lines = [Line(0, at, 0, 0, text, item, 1.0) for at, (text, item) in enumerate(
        [("Symptoms include:", False), ("pain", True), ("swelling", True), ("They come at night.", False)]
    )]  # fmt: skip
    between = ["", "\n- ", "\n- ", "\n\n"]
    target = [(hit.row, line, before) for line, before in zip(lines, between, strict=True)]
    target.append((other.row, Line(1, 0, 0, 0, "Not shown.", False, 1.0), ""))
    text = "Symptoms include:\n- pain\n- swelling\nThey come at night."
    built = prompt.build("q?", [(other, "Other words."), (hit, text)], count, Prompt(max_tokens=2000))
    assert "".join(Grounded("q?", [], target).units(built)) == (
        "Symptoms include:\n- pain\n- swelling [2]\n\nThey come at night. [2]"
    )


def test_a_passage_that_says_nothing_gives_no_example(maker: Maker, pairs: list[QAPair]) -> None:
    class Empty:
        def __getattr__(self, name: str) -> object:
            return getattr(maker.retriever, name)

        def retrieve(self, question: str, k: int | None = None) -> object:
            return replace(maker.retriever.retrieve(question, k), hits=())

    empty = Maker(pairs, maker.splits, Empty(), 5, Data())  # type: ignore[arg-type]
    assert empty.example(pairs[0], random.Random(0)) is None


def test_an_ablation_shows_one_source_or_questions_as_headings(maker: Maker, pairs: list[QAPair]) -> None:
    def shown(**settings: object) -> list[Grounded]:
        other = Maker(pairs, maker.splits, maker.retriever, 5, Data(**settings))  # type: ignore[arg-type]
        return [one for _, one in examples(other, pairs)]

    assert {len({hit.row for hit, _ in one.shown}) for one in shown(sources=1)} == {1}
    headed = shown(headings="question")
    assert all(hit.pair.focus == hit.pair.question for one in headed for hit, _ in one.shown)
    assert not any(hit.pair.focus == hit.pair.question for one in shown() for hit, _ in one.shown)
    plain, mixed = shown(shuffled=0), shown(shuffled=1)
    assert [one.question for one in plain] == [one.question for one in mixed]
    assert [one.shown for one in plain] != [one.shown for one in mixed]


def test_somebodys_question_is_answered_from_its_own_pairs(maker: Maker, pairs: list[QAPair]) -> None:
    treatment = next(pair for pair in pairs if pair.id == f"{fakes.TOPICS[0]}-treatment")
    made = maker.real(f"my knee hurts, could ice help with {fakes.TOPICS[0]}", [treatment], random.Random(0))
    assert made is not None
    rows = {hit.row: hit.pair.id for hit, _ in made.shown}
    assert {rows[row] for row, _, _ in made.target} == {treatment.id}


def test_the_share_of_peoples_forms_is_the_recipes(maker: Maker, pairs: list[QAPair]) -> None:
    own = {pair.question for pair in pairs}
    for share, least, most in ((0.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.5, 0.3, 0.7)):
        other = Maker(pairs, maker.splits, maker.retriever, 5, Data(forms=share))
        asked = [one.question in own for _, one in examples(other, pairs)]
        assert least <= sum(asked) / len(asked) <= most
