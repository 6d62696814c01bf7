"""A local causal language model as a langchain-core chat model, streamed token by token.

    model = TransformersChat.load(profile.generator, Path("data/models"))
    for chunk in model.stream([HumanMessage("What is gout?")], max_new_tokens=64): ...

Each call may set `adapter` (False: the base model answers), `max_new_tokens`, `min_new_tokens`,
`temperature`, `top_p`, `repetition_penalty`, `seed` and `stop`. Stopping to iterate stops the model.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from configs import schema
from configs.errors import UserError
from rag.generators.base import Generator
from rag.generators.decoding import Counts, Decoder, Sampling
from rag.generators.template import Template

PER_CALL = ("max_new_tokens", "min_new_tokens", "temperature", "top_p", "repetition_penalty", "seed", "adapter")


class _Loaded:
    """A model in memory with what belongs to it."""

    def __init__(self, section: schema.Generator, weights: Path) -> None:
        from rag.generators.loading import adapter_template, load

        self.model, self.tokenizer = load(section, weights)
        self.decoder = Decoder(self.model, section.prompt_lookup)
        ends = self.model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self.stops = frozenset(end for end in (*ends, self.tokenizer.eos_token_id) if end is not None)
        self._plain = Template(self.tokenizer, section.model)
        own = adapter_template(section)
        self._tuned = Template(self.tokenizer, section.model, own) if own else self._plain

    def template(self, adapter: bool) -> Template:
        """The chat template that the base model, or the adapter, was trained with."""
        return self._tuned if adapter else self._plain


class TransformersChat(BaseChatModel):
    """A chat model over `transformers`, loaded at first use. Greedy unless told otherwise."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    section: schema.Generator
    weights: Path = Field(description="folder where unpacked weights are kept")
    max_tokens: int | None = Field(None, ge=1, description="LangChain's name for max_new_tokens")
    temperature: float | None = Field(None, ge=0, le=2)
    stop: list[str] | None = None
    streaming: bool = Field(True, description="LangChain's switch; the model streams either way")
    _loaded: _Loaded | None = PrivateAttr(None)
    _loading: Any = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def load(cls, section: schema.Generator, cache: Path) -> TransformersChat:
        """Load the model now; unpacked weights are kept under `cache`. Raises UserError as `loading.load` does."""
        chat = cls(section=section, weights=cache)
        chat.loaded  # noqa: B018 - loads
        return chat

    @property
    def loaded(self) -> _Loaded:
        """The model, tokenizer and decoder; loads them when first asked."""
        with self._loading:
            if self._loaded is None:
                self._loaded = _Loaded(self.section, self.weights)
            return self._loaded

    @property
    def _llm_type(self) -> str:
        return "medcite-transformers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {**self.section.model_dump(), "stop": self.stop, "max_tokens": self.max_tokens}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        sampling = self._sampling(kwargs)
        params = LangSmithParams(
            ls_provider="transformers",
            ls_model_name=kwargs.get("model", self.section.model),
            ls_model_type="chat",
            ls_temperature=sampling.temperature,
            ls_max_tokens=self._limit(kwargs),
        )
        if wanted := stop or self.stop:
            params["ls_stop"] = wanted
        return params

    def render(self, messages: Sequence[BaseMessage], adapter: bool = True) -> str:
        """The messages in the chat template, as `Template.render`: the adapter's own where it has one."""
        return self.loaded.template(adapter).render(messages)

    def encode(self, messages: Sequence[BaseMessage], adapter: bool = True) -> list[int]:
        """Token ids of `render(messages)`."""
        return self.loaded.template(adapter).encode(messages)

    def count_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """Tokens of the whole prompt, template included."""
        return len(self.encode(messages))

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
        unknown = sorted(set(kwargs) - {*PER_CALL, "max_tokens", "ls_structured_output_format"})
        if unknown:
            raise UserError(f"unknown option {unknown[0]!r} for the generator; there are: {', '.join(PER_CALL)}")
        sampling, limit = self._sampling(kwargs), self._limit(kwargs)
        adapter = bool(kwargs.get("adapter", True))
        template = self.loaded.template(adapter)
        prompt = template.encode(messages)
        room = self.section.context_tokens - len(prompt)
        if room < 1:
            raise UserError(
                f"the prompt has {len(prompt)} tokens; {self.section.model} reads {self.section.context_tokens}"
            )
        counts, new, text = Counts(), [], _Text(self.loaded.tokenizer, stop or self.stop or [])
        for ids in self.loaded.decoder.run(
            prompt,
            prefix=template.head(messages, prompt),
            limit=min(limit, room),
            stops=self.loaded.stops,
            sampling=sampling,
            adapter=adapter,
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
        usage = UsageMetadata(input_tokens=len(prompt), output_tokens=len(new), total_tokens=len(prompt) + len(new))
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content=text.rest(),
                usage_metadata=usage,
                response_metadata={
                    "finish_reason": "stop" if ended else "length",
                    "model_name": self.section.model,
                    "decoding": asdict(counts),
                },
                chunk_position="last",
            )
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _limit(self, kwargs: dict[str, Any]) -> int:
        given = kwargs.get("max_new_tokens") or kwargs.get("max_tokens") or self.max_tokens
        return int(given or self.section.max_new_tokens)

    def _sampling(self, kwargs: dict[str, Any]) -> Sampling:
        def value(name: str, default: Any) -> Any:
            return default if kwargs.get(name) is None else kwargs[name]

        default = self.section.temperature if self.temperature is None else self.temperature
        return Sampling(
            temperature=value("temperature", default),
            top_p=value("top_p", self.section.top_p),
            repetition_penalty=value("repetition_penalty", self.section.repetition_penalty),
            seed=value("seed", self.section.seed),
            min_new_tokens=value("min_new_tokens", 0),
        )


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
