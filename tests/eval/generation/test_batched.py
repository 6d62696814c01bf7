"""Generation in batches: each prompt once, the same text as one at a time, and a killed run goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage

from configs import load
from configs.errors import UserError
from eval.generation.batched import Batched, local
from eval.generation.identity import generator_identity
from eval.generation.rows import BatchDecoder
from rag.generators.transformers import TransformersChat
from tests.rag.generators import tiny


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> TransformersChat:
    folder = tmp_path_factory.mktemp("tiny")
    section = tiny.save(folder / "model", spread=0.05)
    adapter = tiny.save_adapter(folder / "model", folder / "adapter")
    return TransformersChat.load(section.model_copy(update={"adapter": str(adapter)}), folder)


ASKED: list[list[BaseMessage]] = [[HumanMessage("What is gout? " * n)] for n in (1, 9, 2, 5, 3)]


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        BatchDecoder, "_allocate", lambda self, prompts, room, real=BatchDecoder._allocate: real(self, 2, room)
    )


def ask(batched: Batched, **given: Any) -> list[str]:
    return ["".join(str(chunk.content) for chunk in batched.stream(one, max_new_tokens=9, **given)) for one in ASKED]


def test_batches_give_the_text_of_one_at_a_time(chat: TransformersChat, tmp_path: Path) -> None:
    batched = Batched(chat, tmp_path / "drafts.jsonl", "")
    assert ask(batched) == [""] * 5
    for adapter in (True, False):
        texts = batched.settle(lambda adapter=adapter: ask(batched, adapter=adapter))  # type: ignore[misc]
        alone = [
            "".join(str(chunk.content) for chunk in chat.stream(one, max_new_tokens=9, adapter=adapter))
            for one in ASKED
        ]
        assert texts == alone
        assert any(texts)
    assert len(batched.drafts) == 10


def test_usage_and_the_reason_of_the_end_are_those_of_the_generator(chat: TransformersChat, tmp_path: Path) -> None:
    batched = Batched(chat, tmp_path / "drafts.jsonl", "")
    batched.settle(lambda: ask(batched))
    theirs = list(chat.stream(ASKED[1], max_new_tokens=9))[-1]
    ours = list(batched.stream(ASKED[1], max_new_tokens=9))[-1]
    assert ours.usage_metadata == theirs.usage_metadata
    assert ours.response_metadata["finish_reason"] == theirs.response_metadata["finish_reason"]


def test_a_killed_run_generates_only_what_is_missing(
    chat: TransformersChat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "drafts.jsonl"
    first = Batched(chat, cache, "")
    texts = first.settle(lambda: ask(first))
    lines = cache.read_text().splitlines()
    assert len(lines) == 5
    cache.write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])  # killed while it wrote the fourth
    again = Batched(chat, cache, "")
    made: list[int] = []
    real = again._generate
    monkeypatch.setattr(again, "_generate", lambda prompts, *given: made.append(len(prompts)) or real(prompts, *given))
    assert again.settle(lambda: ask(again)) == texts
    assert sum(made) == 2
    # What the drafts took is known whoever made them, and is not counted twice.
    spent = [json.loads(line)["seconds"] for line in lines[:3]]
    assert again.cost == pytest.approx(sum(spent) + again.filled, abs=0.01)
    assert again.filled < again.cost
    third = Batched(chat, cache, "")
    third.settle(lambda: ask(third))
    assert (third.filled, third.cost) == (0.0, pytest.approx(again.cost))
    whole = [line for line in cache.read_text().splitlines() if line.endswith("}")]
    cache.write_text("".join(json.dumps(json.loads(line) | {"seconds": None}) + "\n" for line in whole))
    unknown = Batched(chat, cache, "")
    unknown.settle(lambda: ask(unknown))
    assert unknown.cost is None
    whole = Batched(chat, cache, "")
    assert whole.settle(lambda: ask(whole)) == texts
    other = Batched(chat, cache, "another adapter")
    assert ask(other) == [""] * 5


def test_a_full_disk_is_a_line_and_what_was_written_stays(
    chat: TransformersChat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from eval.run import full_disk_said

    cache = tmp_path / "drafts.jsonl"
    written = 0

    def full(_: int) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    first = Batched(chat, cache, "")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="disk is full; free some space and run the same command"), full_disk_said():
            first.settle(lambda: ask(first))
    again = Batched(chat, cache, "")
    assert len(again.drafts) >= 2
    kept = dict(again.drafts)
    assert any(again.settle(lambda: ask(again)))
    assert again.drafts.items() >= kept.items()
    assert len(again.drafts) == 5


@pytest.mark.weights
def test_drafts_are_those_of_transformers_whatever_answers_people(weights: None, model_cache: Path) -> None:
    section = load("embedded", [])[0].generator
    assert section.backend == "llamacpp"
    chat = local(section, model_cache)
    assert type(chat) is TransformersChat
    assert chat.section == section.model_copy(update={"backend": "transformers"})

    def identity(*changes: str) -> str:
        return generator_identity(load("embedded", [f"generator.{change}" for change in changes])[0], model_cache)

    for change in ("backend=transformers", "slots=3", "threads=1", "prompt_lookup=0"):
        assert identity(change) == identity(), change
    assert identity("precision=fp32") != identity()
