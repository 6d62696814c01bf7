"""The pipeline's generations in batches: record what it asks, generate it all at once, replay.

    batched = Batched(pipeline.generator); pipeline.use(batched)
    answers = batched.settle(lambda: [pipeline.invoke(q) for q in questions])

What decides an answer stays the pipeline's own code; only the order of generation changes. Greedy.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata

from rag.generators.transformers import TransformersChat

T = TypeVar("T")
ROWS = 48
"""Prompts a batch. On two cores a step of 12, 24 and 48 rows after 480 tokens took 175, 348 and 464 ms (135M model):
past 12 rows the weights are read as they came, not in int8 (`rag/generators/packed.py`), and then more rows pay."""
SHORT_ROWS = 96
SHORT = 128
"""Prompts of at most so many tokens are taken `SHORT_ROWS` at a time: their keys and values are small."""


@dataclass(frozen=True)
class Draft:
    """What the model wrote for a prompt; `seconds` is its share of its batch's time."""

    text: str
    prompt_tokens: int
    new_tokens: int
    ended: bool
    seconds: float


class Batched:
    """Stands where the pipeline has its generator. Drafts go to `cache`, a JSONL file, as soon as they are made."""

    def __init__(
        self, chat: TransformersChat, cache: Path | None = None, identity: str = "", rows: int | None = None
    ) -> None:
        self.chat = chat
        self.rows = rows
        self.identity = identity
        self.cache = cache
        self.drafts: dict[str, Draft] = {}
        self.wanted: dict[str, tuple[list[int], bool, int]] = {}
        if cache and cache.exists():
            text = cache.read_text("utf-8")
            for line in text.splitlines():
                try:
                    entry = json.loads(line)
                    key = entry.pop("key")
                    self.drafts[key] = Draft(**entry)
                except (ValueError, TypeError, KeyError):
                    continue  # the line that a kill cut short
            if text and not text.endswith("\n"):
                with cache.open("a", encoding="utf-8") as out:
                    out.write("\n")

    def count_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """As the generator counts."""
        return self.chat.count_tokens(messages)

    def stream(
        self, messages: list[BaseMessage], adapter: bool = True, max_new_tokens: int | None = None, **given: Any
    ) -> Iterator[AIMessageChunk]:
        """The draft if it is there; else nothing, and the prompt is noted for `fill`."""
        ids = self.chat.encode(messages, adapter)
        limit = max_new_tokens or self.chat.section.max_new_tokens
        key = self._key(ids, adapter, limit)
        draft = self.drafts.get(key)
        if draft is None:
            self.wanted[key] = (ids, adapter, limit)
            draft = Draft("", len(ids), 0, True, 0.0)
        yield AIMessageChunk(content=draft.text)
        yield AIMessageChunk(
            content="",
            usage_metadata=UsageMetadata(
                input_tokens=draft.prompt_tokens,
                output_tokens=draft.new_tokens,
                total_tokens=draft.prompt_tokens + draft.new_tokens,
            ),
            response_metadata={"finish_reason": "stop" if draft.ended else "length"},
            chunk_position="last",
        )

    def prompts(
        self, prompts: Sequence[list[int]], limit: int, progress: Callable[[int, int], None] | None = None
    ) -> list[Draft]:
        """Drafts of at most `limit` tokens for prompts that are token ids already, the adapter on."""
        keys = [self._key(ids, True, limit) for ids in prompts]
        self.wanted |= {
            key: (ids, True, limit) for key, ids in zip(keys, prompts, strict=True) if key not in self.drafts
        }
        self.fill(progress)
        return [self.drafts[key] for key in keys]

    def settle(self, ask: Callable[[], T], progress: Callable[[int, int], None] | None = None) -> T:
        """The result of `ask` once every draft that it wants is there."""
        result = ask()
        while self.wanted:
            self.fill(progress)
            result = ask()
        return result

    def fill(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Generate what was asked for, in batches of like length, the longest first."""
        todo = sorted(self.wanted.items(), key=lambda item: (item[1][1], item[1][2], -len(item[1][0])))
        total, done = len(todo), 0
        while todo:
            first = todo[0][1]
            rows = self.rows or (SHORT_ROWS if len(first[0]) <= SHORT else ROWS)
            size = next((n for n, (_, one) in enumerate(todo[:rows]) if one[1:] != first[1:]), rows)
            batch, todo = todo[:size], todo[size:]
            made = self._generate([ids for _, (ids, _, _) in batch], adapter=first[1], limit=first[2])
            for (key, _), draft in zip(batch, made, strict=True):
                self._keep(key, draft)
            done += len(batch)
            if progress:
                progress(done, total)
        self.wanted.clear()

    def _generate(self, prompts: Sequence[list[int]], adapter: bool, limit: int) -> list[Draft]:
        import torch

        from rag.generators.slab import new_cache

        loaded = self.chat.loaded
        model, stops = loaded.model, loaded.stops
        longest = max(len(ids) for ids in prompts)
        pad = min(stops)
        begun = time.perf_counter()
        given = torch.tensor([[pad] * (longest - len(ids)) + ids for ids in prompts], device=model.device)
        mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts], device=model.device)
        off = model.disable_adapter() if not adapter and hasattr(model, "disable_adapter") else nullcontext()
        with torch.inference_mode(), off:
            made = model.generate(
                input_ids=given,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=limit,
                eos_token_id=sorted(stops),
                pad_token_id=pad,
                past_key_values=new_cache(),
            )[:, longest:].tolist()
        seconds = (time.perf_counter() - begun) / len(prompts)
        drafts = []
        for ids, row in zip(prompts, made, strict=True):
            end = next((at for at, token in enumerate(row) if token in stops), None)
            kept = row if end is None else row[:end]
            text = loaded.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            drafts.append(Draft(text, len(ids), len(kept), end is not None, seconds))
        return drafts

    def _key(self, ids: list[int], adapter: bool, limit: int) -> str:
        parts = [self.identity, adapter, limit, ids]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _keep(self, key: str, draft: Draft) -> None:
        self.drafts[key] = draft
        if self.cache:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            with self.cache.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"key": key, **asdict(draft)}) + "\n")
                out.flush()
                os.fsync(out.fileno())
