"""What the chat models over weights on this machine share: options, chat templates, LangChain's side.

Each call may set `adapter` (False: the base model answers), `max_new_tokens`, `min_new_tokens`,
`temperature`, `top_p`, `repetition_penalty`, `seed` and `stop`. Stopping to iterate stops the model.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from configs import schema
from configs.errors import UserError
from rag.generators.template import Template

PER_CALL = ("max_new_tokens", "min_new_tokens", "temperature", "top_p", "repetition_penalty", "seed", "adapter")


NGRAM = 3
"""Longest run of tokens that is looked up in the prompt, to speculate what follows it."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy; then `top_p` and `seed` have no effect."""

    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    min_new_tokens: int = 0


class Loaded:
    """A model in memory with what belongs to it: here its tokenizer and chat templates."""

    def __init__(self, tokenizer: Any, section: schema.Generator) -> None:
        from rag.generators.loading import adapter_template

        self.tokenizer = tokenizer
        self._plain = Template(tokenizer, section.model)
        own = adapter_template(section)
        self._tuned = Template(tokenizer, section.model, own) if own else self._plain

    def template(self, adapter: bool) -> Template:
        """The chat template that the base model, or the adapter, was trained with."""
        return self._tuned if adapter else self._plain


@dataclass(frozen=True)
class Asked:
    """One call: `prompt` are token ids, `limit` is how many may follow, in the model's window too."""

    prompt: list[int]
    template: Template
    adapter: bool
    limit: int
    sampling: Sampling
    stop: list[str]


class LocalChat(BaseChatModel):
    """A chat model loaded at first use. Greedy unless told otherwise. A backend gives `loaded` and `_stream`."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")
    provider: ClassVar[str]

    section: schema.Generator
    weights: Path = Field(description="folder where unpacked weights are kept")
    max_tokens: int | None = Field(None, ge=1, description="LangChain's name for max_new_tokens")
    temperature: float | None = Field(None, ge=0, le=2)
    stop: list[str] | None = None
    streaming: bool = Field(True, description="LangChain's switch; the model streams either way")
    _loaded: Any = PrivateAttr(None)
    _loading: Any = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def load(cls, section: schema.Generator, cache: Path) -> Self:
        """Load the model now; converted weights are kept under `cache`. Raises UserError where it cannot be loaded."""
        chat = cls(section=section, weights=cache)
        chat.loaded  # noqa: B018 - loads
        return chat

    @property
    def loaded(self) -> Any:
        """The model and what belongs to it; loads them when first asked."""
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Loaded:
        raise NotImplementedError

    @property
    def _llm_type(self) -> str:
        return f"medcite-{self.provider}"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {**self.section.model_dump(), "stop": self.stop, "max_tokens": self.max_tokens}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        sampling = self._sampling(kwargs)
        params = LangSmithParams(
            ls_provider=self.provider,
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
        return str(self.loaded.template(adapter).render(messages))

    def encode(self, messages: Sequence[BaseMessage], adapter: bool = True) -> list[int]:
        """Token ids of `render(messages)`."""
        return list(self.loaded.template(adapter).encode(messages))

    def count_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """Tokens of the whole prompt, template included."""
        return len(self.encode(messages))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _asked(self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Asked:
        """What a call asks for. Raises UserError for an option there is not and a prompt past the model's window."""
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
        return Asked(prompt, template, adapter, min(limit, room), sampling, stop or self.stop or [])

    def _last(self, asked: Asked, text: str, new: int, ended: bool, decoding: dict[str, Any]) -> ChatGenerationChunk:
        """The last piece of an answer: `text`, how many tokens it took in all, and whether it `ended` by itself."""
        read = len(asked.prompt)
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content=text,
                usage_metadata=UsageMetadata(input_tokens=read, output_tokens=new, total_tokens=read + new),
                response_metadata={
                    "finish_reason": "stop" if ended else "length",
                    "model_name": self.section.model,
                    "decoding": decoding,
                },
                chunk_position="last",
            )
        )

    def _limit(self, kwargs: dict[str, Any]) -> int:
        given = kwargs.get("max_new_tokens") or kwargs.get("max_tokens") or self.max_tokens
        return int(given or self.section.max_new_tokens)

    def _sampling(self, kwargs: dict[str, Any]) -> Sampling:
        def value(name: str, default: Any) -> Any:
            return default if kwargs.get(name) is None else kwargs[name]

        default = self.section.temperature if self.temperature is None else self.temperature
        return Sampling(
            temperature=float(value("temperature", default)),
            top_p=float(value("top_p", self.section.top_p)),
            repetition_penalty=float(value("repetition_penalty", self.section.repetition_penalty)),
            seed=value("seed", self.section.seed),
            min_new_tokens=value("min_new_tokens", 0),
        )
