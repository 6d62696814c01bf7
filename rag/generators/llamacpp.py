"""A local causal language model as a langchain-core chat model, run by llama.cpp: neither torch nor transformers.

    model = LlamaCppChat.load(profile.generator, Path("data/models"))
    for chunk in model.stream([HumanMessage("What is gout?")], max_new_tokens=64): ...

Options of a call are those of `chat.py`. Base model and adapter answer side by side, `generator.slots` at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from configs import schema
from configs.errors import UserError
from index.weights import resolve
from rag.generators import gguf_base, gguf_lora
from rag.generators.base import Generator
from rag.generators.chat import Asked, Loaded, LocalChat
from rag.generators.llama_server import Engine

SAMPLERS = ("penalties", "temperature", "top_p")
"""In the order of transformers; llama.cpp's own list has others, and cuts before it divides by the temperature."""
SEEDS = 2**31
"""llama.cpp's seeds are below it; the largest of 32 bits stands for a random one there."""


class _Loaded(Loaded):
    """A model in memory with what belongs to it."""

    def __init__(self, section: schema.Generator, weights: Path) -> None:
        base = gguf_base.prepare(*place(section), section.precision, weights, section.model)
        adapter = gguf_lora.prepare(section.adapter, base, weights) if section.adapter else None
        super().__init__(base.words, section)
        self.engine = Engine(
            base.model,
            adapter,
            context_tokens=section.context_tokens,
            slots=section.slots,
            threads=section.threads,
            lookup=section.prompt_lookup,
        )


def place(section: schema.Generator) -> tuple[Path, str]:
    """The folder and the name of the GGUF file. Raises UserError for a model that is not such a file."""
    folder = Path(resolve(section.model)).expanduser()
    if section.gguf_file and folder.is_dir():
        return folder, section.gguf_file
    if section.gguf_file:
        raise UserError(
            f"{section.model}: no such folder (with generator.gguf_file the model is a folder or a package)"
        )
    raise UserError(
        f"{section.model}: generator.backend=llamacpp reads GGUF files; name one with generator.gguf_file, "
        "or use --set generator.backend=transformers"
    )


class LlamaCppChat(LocalChat):
    """A chat model over llama.cpp, loaded at first use. Greedy unless told otherwise."""

    provider: ClassVar[str] = "llamacpp"

    @property
    def loaded(self) -> _Loaded:
        """The model and its tokenizer; loads them when first asked.

        Raises UserError where files are missing or damaged, the adapter belongs to another base model, or the model is
        one that this backend does not read.
        """
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

        `response_metadata["finish_reason"]` is "stop" (the model's end, or a stop string) or "length";
        `response_metadata["decoding"]` has passes after the first, draft tokens that were accepted, draft tokens,
        and prompt tokens that were cached.
        """
        asked = self._asked(messages, stop, kwargs)
        last: dict[str, Any] = {}
        with closing(self.loaded.engine.complete(self._request(asked), asked.adapter)) as events:  # type: ignore[type-var]
            for event in events:
                last = event
                if fresh := event["choices"][0]["text"]:
                    chunk = ChatGenerationChunk(message=AIMessageChunk(content=fresh))
                    if run_manager:
                        run_manager.on_llm_new_token(fresh, chunk=chunk)
                    yield chunk
        if "usage" not in last:
            raise UserError(f"{self.section.model}: llama.cpp broke off before the answer's end")
        new, timings = last["usage"]["completion_tokens"], last.get("timings", {})
        accepted = timings.get("draft_n_accepted", 0)
        counts = {"steps": max(0, new - 1 - accepted), "accepted": accepted}
        ended = last["choices"][0]["finish_reason"] == "stop"
        yield self._last(
            asked, "", new, ended, {**counts, "drafted": timings.get("draft_n", 0), "cached": timings.get("cache_n", 0)}
        )

    def _request(self, asked: Asked) -> dict[str, Any]:
        """The call in llama.cpp's words. Raises UserError for a least length under the limit."""
        sampling = asked.sampling
        if 0 < sampling.min_new_tokens < asked.limit:
            raise UserError(
                f"min_new_tokens={sampling.min_new_tokens}: with llama.cpp it is max_new_tokens ({asked.limit}) or 0"
            )
        return {
            "prompt": asked.prompt,
            "n_predict": asked.limit,
            "ignore_eos": sampling.min_new_tokens > 0,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repeat_penalty": sampling.repetition_penalty,
            "repeat_last_n": self.section.context_tokens,
            "seed": sampling.seed % SEEDS,
            "samplers": SAMPLERS,
            "stop": [mark for mark in asked.stop if mark],
            "cache_prompt": True,
        }


def create(section: schema.Generator, cache: Path) -> Generator:
    """The backend `llamacpp`, as `rag.generators.base.create` asks for it."""
    return LlamaCppChat.load(section, cache)
