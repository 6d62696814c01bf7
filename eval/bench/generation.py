"""How fast answers are written, against transformers' own greedy `generate` on the same prompts in the same run.

`run`: a cited answer, as the chat writes it. `evaluation`: many at once, as `python -m eval` does. The ways take turns,
so that a busy machine slows all alike.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import HumanMessage

from configs import schema
from configs.errors import UserError
from eval.bench.machine import another_program, seconds

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from configs.schema import Profile
    from rag.generators.chat import LocalChat
    from rag.generators.transformers import TransformersChat

TOKENS = 128
"""Of an answer; every one gets so many, the end of text is held off."""
MANY = 64
"""Tokens that each of many answers has at most."""
ROUNDS = 2
ROWS = 48
"""Of a batch of `generate`."""


def run(profile: Profile, folder: Path, n: int) -> dict[str, Any]:
    """Times to the first token and to TOKENS of them, plain `generate`'s time, and their ratio.

    The first token's time is the generator's alone. `natural` is ours where the model may end when it likes, `beside`
    ours with another program on a core. `bare_tokens_a_second` is what the backend writes with neither prompt, adapter
    nor speculation (llama-bench's tg128), and `of_bare` our rate after the first token over it.
    """
    from eval.metrics.shares import milliseconds
    from rag.generators.base import create

    chat, messages = _prompts(profile, folder, n)
    alone = profile.generator.model_copy(update={"adapter": None, "prompt_lookup": 0})
    bare = cast("LocalChat", create(alone, folder.parent / "models"))
    _streamed(chat, messages[0], 4, 4)
    ours, reference, bared = [], [], []
    with _plain(profile, folder.parent / "models") as plain:
        plain(messages[0])
        for one in messages:
            reference.append(plain(one))
            ours.append(_streamed(chat, one, TOKENS, TOKENS))
            bared.append(_rate([_streamed(bare, [HumanMessage("Hi")], TOKENS, TOKENS)]))
    # In loops of their own: right after itself a prompt is still in the backend's cache.
    natural = [_streamed(chat, one, TOKENS, 0) for one in messages]
    with another_program():
        beside = [_streamed(chat, one, TOKENS, TOKENS) for one in messages[::4]]
    total = {name: sum(item[name] for item in ours) for name in ours[0]}
    slower = sum(item["whole"] for item in beside) / sum(item["whole"] for item in ours[::4])
    return {
        "backend": profile.generator.backend,
        "prompts": len(ours),
        "prompt_tokens_mean": round(total["prompt"] / len(ours)),
        "new_tokens": TOKENS,
        "precision": profile.generator.precision,
        "first_token": milliseconds([item["first"] for item in ours]),
        "whole": milliseconds([item["whole"] for item in ours]),
        "plain_whole": milliseconds(reference),
        "times_faster_than_plain": round(sum(reference) / total["whole"], 2),
        "tokens_a_second": round(total["new"] / total["whole"], 1),
        "tokens_a_pass": round(total["new"] / (total["new"] - total["accepted"]), 2),
        "tokens_a_second_after_the_first": round(_rate(ours), 1),
        "bare_tokens_a_second": round(statistics.median(bared), 1),
        "of_bare": round(_rate(ours) / statistics.median(bared), 2),
        "beside": milliseconds([item["whole"] for item in beside]),
        "times_slower_beside": round(slower, 2),
        "natural": milliseconds([item["whole"] for item in natural]),
        "natural_tokens_mean": round(statistics.fmean(item["new"] for item in natural)),
    }


def evaluation(profile: Profile, folder: Path, n: int) -> dict[str, Any]:
    """Tokens a second both ways, and their ratio. Plain is on the same weights, in batches by length."""
    from eval.generation.batched import Batched, local

    _, messages = _prompts(profile, folder, n)
    chat = local(profile.generator, folder.parent / "models")
    prompts = sorted((chat.encode(one) for one in messages), key=len, reverse=True)

    def bare() -> int:
        return sum(_generate(chat, prompts[at : at + ROWS], MANY, 0) for at in range(0, len(prompts), ROWS))

    def ours() -> int:
        with tempfile.TemporaryDirectory() as place:
            batched = Batched(chat, Path(place) / "drafts.jsonl", "")
            batched.settle(lambda: [list(batched.stream(one, max_new_tokens=MANY)) for one in messages])
            return sum(draft.new_tokens for draft in batched.drafts.values())

    def rate(way: Callable[[], int]) -> float:
        begun = time.perf_counter()
        return way() / (time.perf_counter() - begun)

    _generate(chat, prompts[:ROWS], MANY, 0)
    rounds = [(rate(bare), rate(ours)) for _ in range(ROUNDS)]
    theirs, own = (max(found) for found in zip(*rounds, strict=True))
    return {
        "prompts": len(prompts),
        "tokens": MANY,
        "bare_tokens_per_second": round(theirs, 1),
        "ours_tokens_per_second": round(own, 1),
        "ratio": round(own / theirs, 3),
    }


def _prompts(profile: Profile, folder: Path, n: int) -> tuple[LocalChat, list[list[BaseMessage]]]:
    """The chat's generator, and prompts for `n` of the index's own questions that retrieval covers.

    Raises UserError where it covers none.
    """
    from rag.pipeline import Pipeline
    from rag.sources import prompted

    pipeline = Pipeline.open(profile, folder, folder.parent / "models")
    chat, pairs = cast("LocalChat", pipeline.generator), pipeline.index.pairs
    found: list[list[BaseMessage]] = []
    for row in random.Random(0).sample(range(len(pairs)), min(len(pairs), 4 * n)):
        retrieval = pipeline.retriever.retrieve(pairs[row].question)
        if retrieval.confidence >= profile.retriever.abstain_below:
            built = prompted(pipeline.retriever, pairs[row].question, retrieval, chat.count_tokens, profile.prompt)
            found.append(built.messages)
        if len(found) == n:
            break
    if not found:
        raise UserError("the index covers none of its own questions; run `make index`")
    return chat, found


@contextmanager
def _plain(profile: Profile, models: Path) -> Iterator[Callable[[list[BaseMessage]], float]]:
    """Seconds that transformers takes for TOKENS of an answer, in precision "auto".

    In a process of its own: where torch was loaded, llama.cpp's threads spin as torch's do, and are not the chat's.
    """
    process = get_context("spawn")
    here, there = process.Pipe()
    worker = process.Process(target=_serve_plain, args=(there, profile.generator, models), daemon=True)
    worker.start()
    there.close()  # else nobody would notice that the worker has ended

    def ask(messages: list[BaseMessage]) -> float:
        try:
            here.send(messages)
            return float(here.recv())
        except (EOFError, OSError):
            raise UserError("the process that measures plain `generate` has ended; what it says is above") from None

    try:
        yield ask
    finally:
        worker.kill()
        worker.join()


def _serve_plain(place: Connection, section: schema.Generator, models: Path) -> None:
    from eval.generation.batched import local

    chat = local(section.model_copy(update={"precision": "auto"}), models)
    while True:
        ids = chat.encode(place.recv())
        place.send(seconds(partial(_generate, chat, [ids], TOKENS, TOKENS)))


def _streamed(chat: LocalChat, messages: list[BaseMessage], tokens: int, least: int) -> dict[str, float]:
    """Seconds to the first token and to the last, tokens of the prompt and new ones, and the counts of decoding."""
    begun, times = time.perf_counter(), []
    for chunk in chat.stream(messages, max_new_tokens=tokens, min_new_tokens=least):
        times.append(time.perf_counter() - begun)
        last: Any = chunk
    facts = {"prompt": last.usage_metadata["input_tokens"], "new": last.usage_metadata["output_tokens"]}
    return {"first": times[0], "whole": times[-1], **facts, **last.response_metadata["decoding"]}


def _rate(streamed: Sequence[dict[str, float]]) -> float:
    """Tokens a second after the first."""
    return sum(one["new"] - 1 for one in streamed) / sum(one["whole"] - one["first"] for one in streamed)


def _generate(chat: TransformersChat, prompts: Sequence[list[int]], tokens: int, least: int) -> int:
    """One padded batch, the longest prompt first; tokens before the end of text."""
    import torch

    model, stops = chat.loaded.model, chat.loaded.stops
    pad, longest = min(stops), len(prompts[0])
    given = torch.tensor([[pad] * (longest - len(one)) + one for one in prompts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=model.device)
    with chat.loaded.turn:
        made = model.generate(
            given, attention_mask=mask, do_sample=False, max_new_tokens=tokens, min_new_tokens=least,
            eos_token_id=sorted(stops), pad_token_id=pad,
        )  # fmt: skip
    return sum(next((at for at, one in enumerate(row) if one in stops), tokens) for row in made[:, longest:].tolist())
