"""A local causal language model as a langchain-core chat model, streamed token by token.

    model = TransformersChat.load(profile.generator, Path("data/models"))
    for chunk in model.stream([HumanMessage("What is gout?")], max_new_tokens=64): ...

Each call may set `adapter` (False: the base model answers), `max_new_tokens`, `min_new_tokens`,
`temperature`, `top_p`, `repetition_penalty`, `seed` and `stop`. Stopping to iterate stops the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from configs import schema
from rag.generators.base import Generator
from rag.generators.chat import Loaded, LocalChat
from rag.generators.decoding import Counts, Decoder


class _Loaded(Loaded):
    """A model in memory with what belongs to it."""

    def __init__(self, section: schema.Generator, weights: Path) -> None:
        from rag.generators.loading import load

        self.model, tokenizer = load(section, weights)
        super().__init__(tokenizer, section)
        self.decoder = Decoder(self.model, section.prompt_lookup)
        ends = self.model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self.stops = frozenset(end for end in (*ends, tokenizer.eos_token_id) if end is not None)


class TransformersChat(LocalChat):
    """A chat model over `transformers`, loaded at first use. Greedy unless told otherwise."""

    provider: ClassVar[str] = "transformers"

    @property
    def loaded(self) -> _Loaded:
        """The model, tokenizer and decoder; loads them when first asked. Raises UserError as `loading.load` does."""
        return cast(_Loaded, super().loaded)

    def _load(self) -> _Loaded:
        return _Loaded(self.section, self.weights)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        """Text as it is made, then a last empty chunk with `usage_metadata` and the reason it ended.

        `response_metadata["finish_reason"]` is "stop" (the model's end, or a stop string) or "length".
        """
        asked = self._asked(messages, stop, kwargs)
        counts, new, text = Counts(), [], _Text(self.loaded.tokenizer, asked.stop)
        for ids in self.loaded.decoder.run(
            asked.prompt,
            prefix=asked.template.head(messages, asked.prompt),
            limit=asked.limit,
            stops=self.loaded.stops,
            sampling=asked.sampling,
            adapter=asked.adapter,
            counts=counts,
        ):
            new += ids
            if fresh := text.more(ids):
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=fresh))
                if run_manager:
                    run_manager.on_llm_new_token(fresh, chunk=chunk)
                yield chunk
            if text.stopped:
                break
        ended = text.stopped or (bool(new) and new[-1] in self.loaded.stops)
        yield self._last(asked, text.rest(), len(new), ended, asdict(counts))


def create(section: schema.Generator, cache: Path) -> Generator:
    """The backend `transformers`, as `rag.generators.base.create` asks for it."""
    return TransformersChat.load(section, cache)


class _Text:
    """Token ids to text as they come: whole characters only, and nothing of a stop string."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = [mark for mark in stop if mark]
        self.ids: list[int] = []
        self.given = 0
        self.whole = ""
        self.stopped = False

    def more(self, ids: Sequence[int]) -> str:
        self.ids += ids
        self.whole = self.tokenizer.decode(self.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        found = [place for mark in self.stop if (place := self.whole.find(mark)) >= 0]
        if found:
            self.whole, self.stopped = self.whole[: min(found)], True
            return self._give(len(self.whole))
        # A character whose last bytes are still to come decodes as U+FFFD, and a stop string may be half there.
        end = len(self.whole.rstrip("\ufffd"))
        for mark in self.stop:
            end = min(end, len(self.whole) - _overlap(self.whole, mark))
        return self._give(end)

    def rest(self) -> str:
        """What was held back and no longer needs to be."""
        return self._give(len(self.whole))

    def _give(self, end: int) -> str:
        fresh = self.whole[self.given : end]
        self.given = max(self.given, end)
        return fresh


def _overlap(text: str, mark: str) -> int:
    """How many of the last characters of `text` are the first of `mark`."""
    return next((size for size in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:size])), 0)
