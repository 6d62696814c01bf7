"""Training examples: what each kind learns, what it may see, and that every completion ends."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from configs.errors import UserError
from configs.recipes import Data
from configs.schema import Passages, Retriever
from finetune import data
from finetune.corpus import PassagesOfPairs
from index.build import build
from index.corpus import QAPair
from index.splits import Splits, make
from index.store import Index
from rag.generators.template import Template
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes
from tests.rag.generators import tiny

KINDS = Data(closed=0.4, grounded=0.6, max_tokens=3000, max_prompt_tokens=2400, max_answer_tokens=600)


@pytest.fixture(scope="module")
def template() -> Template:
    return Template(tiny.tokenizer(), "tiny")


@pytest.fixture(scope="module")
def corpus() -> list[QAPair]:
    def asked(row: int) -> str:
        topic = fakes.TOPICS[row % len(fakes.TOPICS)]
        return f"How is {topic} with {topic}a and {topic}b and {topic}c in case{row}?"

    return [fakes.pair(row, question=asked(row)) for row in range(60)]


@pytest.fixture(scope="module")
def splits(corpus: list[QAPair]) -> Splits:
    return make(corpus, "digest")


@pytest.fixture(scope="module")
def retriever(corpus: list[QAPair], splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> PassagesOfPairs:
    """Over the train split alone, as `finetune.corpus` builds it."""
    from configs.schema import IndexSettings

    part = replace(fakes.corpus(1), pairs=[corpus[row] for row in splits.rows(corpus, "train")])
    embedder = fakes.FakeEmbedder(dimensions=256, max_tokens=128)
    index: Index = build(part, tmp_path_factory.mktemp("index"), Passages(max_tokens=64), embedder, IndexSettings())
    return PassagesOfPairs(HybridRetriever.create(index, embedder, Retriever()))


@pytest.fixture(scope="module")
def made(
    corpus: list[QAPair], splits: Splits, template: Template, retriever: PassagesOfPairs
) -> tuple[list[data.Example], data.Report]:
    return data.make(corpus, splits, "train", KINDS, template, retriever)


def test_the_kinds_stand_in_the_recipes_proportions(made: tuple[list[data.Example], data.Report]) -> None:
    examples, report = made
    total = len(examples) + sum(report.dropped.values())
    assert report.made["closed"] == round(0.4 * total)
    assert sum(report.made.values()) == len(examples)
    assert report.tokens["closed"] == sum(one.tokens for one in examples if one.kind == "closed")


def test_every_completion_ends_with_the_end_token_and_only_there(
    made: tuple[list[data.Example], data.Report], template: Template
) -> None:
    end = template.tokenizer.eos_token_id
    for example in made[0]:
        assert example.completion_ids[-1] == end
        assert end not in example.completion_ids[:-1]
        assert template.tokenizer.decode(example.completion_ids[:-1]) == example.completion
        assert example.prompt_ids == template.tokenizer(example.prompt, add_special_tokens=False)["input_ids"]


def test_a_grounded_answer_is_its_sources_words_with_their_numbers(
    made: tuple[list[data.Example], data.Report], corpus: list[QAPair]
) -> None:
    grounded = [one for one in made[0] if one.kind == "grounded"]
    assert grounded
    for example in grounded:
        shown = {int(n) for n in re.findall(r"^\[(\d)\]", example.prompt, re.M)}
        cited = {int(n) for n in re.findall(r"\[(\d)\]", example.completion)}
        assert cited
        assert cited <= shown
        for sentence in re.split(r" \[\d\]\s*", example.completion):
            assert sentence in example.prompt
            assert any(sentence in pair.answer for pair in corpus)


def test_no_heading_tells_what_its_page_asks(
    made: tuple[list[data.Example], data.Report], corpus: list[QAPair]
) -> None:
    grounded = [one for one in made[0] if one.kind != "closed"]
    names = {pair.focus for pair in corpus} | {""}
    for example in grounded:
        headings = re.findall(r"^\[\d\] ?(.*)$", example.prompt, re.M)
        assert headings
        assert {heading.split(" (")[0] for heading in headings} <= names | {"(continued)"}


def test_prompts_show_pairs_of_the_train_split_alone(
    made: tuple[list[data.Example], data.Report], corpus: list[QAPair], splits: Splits
) -> None:
    others = [pair for pair in corpus if splits.split_of[pair.id] != "train"]
    assert others
    for example in made[0]:
        assert splits.split_of[example.pair] == "train"
        for pair in others:
            assert pair.answer[:60] not in example.prompt + example.completion


def test_a_long_answer_ends_at_a_sentence_within_the_budget(
    corpus: list[QAPair], splits: Splits, template: Template
) -> None:
    settings = Data(max_tokens=600, max_answer_tokens=200)
    examples, report = data.make(corpus, splits, "train", settings, template, None)
    assert report.trimmed["closed"] == len(examples) > 0
    answers = {pair.id: pair.answer for pair in corpus}
    for example in examples:
        assert len(example.completion_ids) <= 200
        assert answers[example.pair].startswith(example.completion)
        assert example.completion.endswith(".")
    longer, _ = data.make(corpus, splits, "train", Data(max_tokens=900, max_answer_tokens=400), template, None)
    assert len(longer[0].completion) > len(examples[0].completion)


def test_what_cannot_be_made_is_counted_with_its_reason(
    corpus: list[QAPair], splits: Splits, template: Template
) -> None:
    examples, report = data.make(corpus, splits, "train", Data(max_tokens=64, max_answer_tokens=16), template, None)
    assert not examples
    assert list(report.dropped) == ["closed: not one sentence of the answer fits"]
    assert any("dropped" in line for line in report.lines())


def test_the_same_seed_gives_the_same_examples_and_another_others(
    corpus: list[QAPair], splits: Splits, template: Template, retriever: PassagesOfPairs,
    made: tuple[list[data.Example], data.Report],
) -> None:  # fmt: skip
    again, _ = data.make(corpus, splits, "train", KINDS, template, retriever)
    assert again == made[0]
    other, _ = data.make(corpus, splits, "train", KINDS, template, retriever, seed=1)
    assert [one.pair for one in other] != [one.pair for one in made[0]]


def test_control_tokens_in_an_answer_are_not_learnt_as_such(template: Template) -> None:
    pairs = [fakes.pair(row, answer=f"Rest helps, says page {row}. <|im_end|> And more of {row}.") for row in range(30)]
    splits = make(pairs, "digest")
    examples, _ = data.make(pairs, splits, "train", Data(), template, None)
    end = template.tokenizer.eos_token_id
    assert examples
    assert all(example.completion_ids.count(end) == 1 for example in examples)


def test_pairs_are_drawn_from_every_source_in_turn() -> None:
    pairs = [replace(fakes.pair(row), source="A" if row % 5 else "B") for row in range(60)]
    rows = data._in_turns(range(60), pairs)
    assert sorted(rows) == list(range(60))
    assert [pairs[row].source for row in rows[:24]].count("B") == 12


def test_peoples_own_questions_of_the_split_are_examples_too(
    tmp_path: Path, corpus: list[QAPair], splits: Splits, template: Template, retriever: PassagesOfPairs
) -> None:
    train, test = (corpus[splits.rows(corpus, part)[0]] for part in ("train", "test"))
    rows = [
        {"question": f"is there help for {train.focus or train.question}", "pairs": [train.id], "part": "train"},
        {"question": "asked of a page that was kept apart", "pairs": [test.id], "part": "train"},
        {"question": "asked for choosing", "pairs": [train.id], "part": "validation"},
        {"question": "of no part", "pairs": [train.id]},
    ]
    file = tmp_path / "asked.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = KINDS.model_copy(update={"questions": str(file)})
    plain, _ = data.make(corpus, splits, "train", KINDS, template, retriever)
    more, _ = data.make(corpus, splits, "train", settings, template, retriever)
    added = more[len(plain) :]
    assert more[: len(plain)] == plain
    assert [one.pair for one in added] == [train.id, train.id]
    assert str(rows[0]["question"]) in added[0].prompt
    assert "of no part" in added[1].prompt


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "line 1"), ('{"question": "q"}', "line 1"), ('{"question": "q", "pairs": []}\n7', "line 2")],
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        data.asked_by_people(str(file), "train", {})
    with pytest.raises(UserError, match="cannot be read"):
        data.asked_by_people(str(tmp_path / "none.jsonl"), "train", {})
