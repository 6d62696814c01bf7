"""How fast answers are written, against transformers' own greedy `generate` on the same prompts in the same run.

`run`: a cited answer, as the chat writes it. `evaluation`: many at once, as `python -m eval` does. The ways take turns,
so that a busy machine slows all alike.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import UserError
from eval.bench.machine import seconds

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from configs.schema import Profile
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

    Plain is in precision "auto", without int8 copies; the first token's time is the generator's alone. `natural` is
    ours where the model may end when it likes.
    """
    from eval.metrics.shares import milliseconds
    from rag.generators.transformers import TransformersChat

    chat, messages = _prompts(profile, folder, n)
    automatic = profile.generator.model_copy(update={"precision": "auto"})
    plain = TransformersChat.load(automatic, folder.parent / "models")
    _streamed(chat, messages[0], 4, 4)
    _generate(plain, [plain.encode(messages[0])], 4, 4)
    ours, natural, reference = [], [], []
    for one in messages:
        reference.append(seconds(partial(_generate, plain, [plain.encode(one)], TOKENS, TOKENS)))
        ours.append(_streamed(chat, one, TOKENS, TOKENS))
        natural.append(_streamed(chat, one, TOKENS, 0))
    total = {name: sum(item[name] for item in ours) for name in ours[0]}
    return {
        "prompts": len(ours),
        "prompt_tokens_mean": round(total["prompt"] / len(ours)),
        "new_tokens": TOKENS,
        "precision": profile.generator.precision,
        "plain_precision": str(plain.loaded.model.dtype).removeprefix("torch."),
        "first_token": milliseconds([item["first"] for item in ours]),
        "whole": milliseconds([item["whole"] for item in ours]),
        "plain_whole": milliseconds(reference),
        "times_faster_than_plain": round(sum(reference) / total["whole"], 2),
        "tokens_a_second": round(total["new"] / total["whole"], 1),
        "draft_tokens_accepted": round(total["accepted"] / max(1, total["drafted"]), 3),
        "natural": milliseconds([item["whole"] for item in natural]),
        "natural_tokens_mean": round(statistics.fmean(item["new"] for item in natural)),
    }


def evaluation(profile: Profile, folder: Path, n: int) -> dict[str, Any]:
    """Tokens a second both ways, and their ratio. Plain is on the same weights, in batches by length."""
    from eval.generation.batched import Batched

    chat, messages = _prompts(profile, folder, n)
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


def _prompts(profile: Profile, folder: Path, n: int) -> tuple[TransformersChat, list[list[BaseMessage]]]:
    """The chat's generator, and prompts for `n` of the index's own questions that retrieval covers.

    Raises UserError where it covers none.
    """
    from eval.generation.batched import local
    from rag.pipeline import Pipeline
    from rag.sources import prompted

    pipeline = Pipeline.open(profile, folder, folder.parent / "models")
    chat, pairs = local(pipeline.generator), pipeline.index.pairs
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


def _streamed(chat: TransformersChat, messages: list[BaseMessage], tokens: int, least: int) -> dict[str, float]:
    """Seconds to the first token and to the last, tokens of the prompt and new ones, and the counts of decoding."""
    begun, times = time.perf_counter(), []
    for chunk in chat.stream(messages, max_new_tokens=tokens, min_new_tokens=least):
        times.append(time.perf_counter() - begun)
        last: Any = chunk
    facts = {"prompt": last.usage_metadata["input_tokens"], "new": last.usage_metadata["output_tokens"]}
    return {"first": times[0], "whole": times[-1], **facts, **last.response_metadata["decoding"]}


def _generate(chat: TransformersChat, prompts: Sequence[list[int]], tokens: int, least: int) -> int:
    """One padded batch, the longest prompt first; tokens before the end of text."""
    import torch

    model, stops = chat.loaded.model, chat.loaded.stops
    pad, longest = min(stops), len(prompts[0])
    given = torch.tensor([[pad] * (longest - len(one)) + one for one in prompts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=model.device)
    made = model.generate(
        given, attention_mask=mask, do_sample=False, max_new_tokens=tokens, min_new_tokens=least,
        eos_token_id=sorted(stops), pad_token_id=pad,
    )  # fmt: skip
    return sum(next((at for at, one in enumerate(row) if one in stops), tokens) for row in made[:, longest:].tolist())
