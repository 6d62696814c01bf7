"""The pipeline's generations in batches: record what it asks, generate it all at once, replay.

    batched = Batched(local(profile.generator, models), cache, identity); pipeline.use(batched)
    answers = batched.settle(lambda: [pipeline.invoke(q) for q in questions])

What decides an answer stays the pipeline's own code; only the order of generation changes. Greedy.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata

from configs import files, schema
from configs.errors import UserError
from rag.generators.transformers import TransformersChat, adapter_off

T = TypeVar("T")


@dataclass(frozen=True)
class Draft:
    """What the model wrote for a prompt."""

    text: str
    prompt_tokens: int
    new_tokens: int
    ended: bool
    seconds: float | None = None
    """Since the draft that was finished before it: over a run these add up to the time of generation."""


def local(section: schema.Generator, models: Path) -> TransformersChat:
    """The section's model in transformers, whatever its backend: in batches, and asked for more than text."""
    return TransformersChat.load(section.model_copy(update={"backend": "transformers"}), models)


class Batched:
    """Stands where the pipeline has its generator. Drafts go to `cache`, a JSONL file, as soon as they are made."""

    def __init__(self, chat: TransformersChat, cache: Path, identity: str) -> None:
        """Raises UserError for a repetition penalty, which `rows.py` does not know."""
        if chat.section.repetition_penalty != 1:
            raise UserError(
                f"generator.repetition_penalty is {chat.section.repetition_penalty:g}: the evaluation decodes greedily "
                "without one; evaluate with --set generator.repetition_penalty=1"
            )
        self.chat = chat
        self.identity = identity
        self.cache = cache
        self.drafts: dict[str, Draft] = {}
        self.wanted: dict[str, tuple[list[int], bool, int]] = {}
        self.used: set[str] = set()
        """The drafts that the last `settle` asked for."""
        self.filled = 0.0
        """Seconds spent on generation by this process."""
        cache.parent.mkdir(parents=True, exist_ok=True)
        text = cache.read_text("utf-8") if cache.exists() else ""
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
        """The draft if it is there; else nothing, and the prompt is noted for `settle`."""
        ids = self.chat.encode(messages, adapter)
        limit = max_new_tokens or self.chat.section.max_new_tokens
        key = self._key(ids, adapter, limit)
        self.used.add(key)
        draft = self.drafts.get(key)
        if draft is None:
            self.wanted[key] = (ids, adapter, limit)
            draft = Draft("", len(ids), 0, True)
        yield AIMessageChunk(
            content=draft.text,
            usage_metadata=UsageMetadata(
                input_tokens=draft.prompt_tokens,
                output_tokens=draft.new_tokens,
                total_tokens=draft.prompt_tokens + draft.new_tokens,
            ),
            response_metadata={"finish_reason": "stop" if draft.ended else "length"},
            chunk_position="last",
        )

    def settle(self, ask: Callable[[], T], progress: Callable[[int, int], None] | None = None) -> T:
        """The result of `ask` once every draft that it wants is there."""
        while True:
            self.used.clear()
            result = ask()
            if not self.wanted:
                return result
            self._fill(progress or (lambda done, total: None))

    @property
    def cost(self) -> float | None:
        """Seconds that the drafts of the last `settle` took, whichever run made them; None where one's is not known."""
        seconds = [self.drafts[key].seconds for key in self.used]
        return None if None in seconds else sum(seconds)  # type: ignore[arg-type]

    def _fill(self, progress: Callable[[int, int], None]) -> None:
        """Generate what was asked for, the longest prompts first; each draft is kept as soon as it ends."""
        groups: dict[tuple[bool, int], list[tuple[str, list[int]]]] = {}
        for key, (ids, adapter, limit) in self.wanted.items():
            groups.setdefault((adapter, limit), []).append((key, ids))
        total, done, last = len(self.wanted), 0, time.monotonic()
        for (adapter, limit), group in sorted(groups.items()):
            group.sort(key=lambda item: -len(item[1]))
            for number, draft in self._generate([ids for _, ids in group], adapter, limit):
                now = time.monotonic()
                self._keep(group[number][0], replace(draft, seconds=round(now - last, 3)))
                self.filled += now - last
                done, last = done + 1, now
                progress(done, total)
        self.wanted.clear()

    def _generate(self, prompts: Sequence[list[int]], adapter: bool, limit: int) -> Iterator[tuple[int, Draft]]:
        from eval.generation.rows import BatchDecoder

        loaded = self.chat.loaded
        with loaded.turn, adapter_off(loaded.model, not adapter):
            for number, made in BatchDecoder(loaded.model, loaded.stops).run(prompts, limit):
                ended = made[-1] in loaded.stops
                kept = made[:-1] if ended else made
                text = loaded.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                yield number, Draft(text, len(prompts[number]), len(kept), ended)

    def _key(self, ids: list[int], adapter: bool, limit: int) -> str:
        return files.digest_json([self.identity, adapter, limit, ids])

    def _keep(self, key: str, draft: Draft) -> None:
        self.drafts[key] = draft
        with self.cache.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"key": key, **asdict(draft)}) + "\n")
            out.flush()
            os.fsync(out.fileno())
