"""How fast a cited answer is written, against plain greedy `generate` on the same prompts in the same run.

    python -m eval.bench generation -n 24

Both write exactly TOKENS tokens (the end of text is held off), in turns, so that a busy machine slows both alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from langchain_core.messages import BaseMessage

from configs.schema import Profile
from eval.stats import milliseconds

TOKENS = 128


def prompts(profile: Profile, folder: Path, n: int, seed: int = 0) -> list[list[BaseMessage]]:
    """Grounded prompts for `n` of the index's own questions that retrieval covers, as the pipeline makes them."""
    from rag import prompt
    from rag.pipeline import Pipeline

    pipeline = Pipeline.open(profile, folder, _models())
    rows = random.Random(seed).sample(range(len(pipeline.index.pairs)), min(len(pipeline.index.pairs), 4 * n))
    found: list[list[BaseMessage]] = []
    for row in rows:
        question = pipeline.index.pairs[row].question
        retrieval = pipeline.retriever.retrieve(question)
        if retrieval.confidence >= profile.retriever.abstain_below and len(found) < n:
            built = prompt.build(question, retrieval.hits, pipeline.generator.count_tokens, profile.prompt)
            found.append(built.messages)
    return found


def run(profile: Profile, messages: Sequence[list[BaseMessage]], n: int) -> dict[str, Any]:
    """Times to the first token and to TOKENS of them, both ways, their ratio, and how often the texts agree."""
    from rag.generators.transformers import TransformersChat

    chat = TransformersChat.load(profile.generator, _models())
    chosen = list(messages)[:n]
    _ours(chat, chosen[0], 4)
    _plain(chat, chosen[0], 4)
    ours: list[tuple[float, float, str, dict[str, int]]] = []
    plain: list[tuple[float, float, str]] = []
    for one in chosen:
        plain.append(_plain(chat, one, TOKENS))
        ours.append(_ours(chat, one, TOKENS))
    guessed = sum(item[3]["guessed"] for item in ours)
    total = [sum(item[1] for item in way) for way in (plain, ours)]
    return {
        "prompts": len(chosen),
        "prompt_tokens_mean": round(sum(len(chat.encode(one)) for one in chosen) / len(chosen)),
        "new_tokens": TOKENS,
        "first_token": milliseconds([item[0] for item in ours]),
        "whole": milliseconds([item[1] for item in ours]),
        "plain_first_token": milliseconds([item[0] for item in plain]),
        "plain_whole": milliseconds([item[1] for item in plain]),
        "times_faster_than_plain": round(total[0] / total[1], 2),
        "tokens_a_second": round(TOKENS * len(chosen) / total[1], 1),
        "guesses_kept": round(sum(item[3]["kept"] for item in ours) / max(guessed, 1), 3),
        "same_text_as_plain": round(sum(a[2] == b[2] for a, b in zip(plain, ours, strict=True)) / len(chosen), 3),
    }


def _ours(chat: Any, messages: list[BaseMessage], tokens: int) -> tuple[float, float, str, dict[str, int]]:
    begun = time.perf_counter()
    first, text, counts = 0.0, "", {"steps": 0, "guessed": 0, "kept": 0}
    for chunk in chat.stream(messages, max_new_tokens=tokens, min_new_tokens=tokens, temperature=0.0):
        if chunk.content and not first:
            first = time.perf_counter() - begun
        text += str(chunk.content)
        counts = chunk.response_metadata.get("decoding", counts)
    return first, time.perf_counter() - begun, text, counts


def _plain(chat: Any, messages: list[BaseMessage], tokens: int) -> tuple[float, float, str]:
    """transformers' own greedy loop, streamed as its users stream it."""
    import torch
    from transformers import TextIteratorStreamer

    loaded = chat.loaded
    begun = time.perf_counter()
    ids = torch.tensor([chat.encode(messages)], device=loaded.model.device)
    streamer = TextIteratorStreamer(loaded.tokenizer, skip_prompt=True, skip_special_tokens=True)
    options = {"do_sample": False, "max_new_tokens": tokens, "min_new_tokens": tokens, "streamer": streamer}
    options |= {"attention_mask": torch.ones_like(ids), "pad_token_id": loaded.tokenizer.pad_token_id}
    worker = Thread(target=loaded.model.generate, args=(ids,), kwargs=options)
    worker.start()
    first, text = 0.0, ""
    for piece in streamer:
        if piece and not first:
            first = time.perf_counter() - begun
        text += piece
    worker.join()
    return first, time.perf_counter() - begun, text


def _models() -> Path:
    from configs import entry

    return entry.data_folder() / "models"
