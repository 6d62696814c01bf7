"""A local causal language model as a langchain-core chat model, streamed token by token.

    model = TransformersChat.load(profile.generator, Path("data/models"))
    for chunk in model.stream([HumanMessage("What is gout?")], max_new_tokens=64): ...

Each call may set `adapter` (False: the base model answers), `max_new_tokens`, `min_new_tokens`,
`temperature`, `top_p`, `repetition_penalty`, `seed` and `stop`. Stopping to iterate stops the model.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from configs import schema
from configs.extras import OR, need
from rag.generators.base import Generator
from rag.generators.chat import NGRAM, Asked, Loaded, LocalChat
from rag.generators.running import Run, pieces


class _Loaded(Loaded):
    """A model in memory with what belongs to it."""

    def __init__(self, section: schema.Generator, weights: Path) -> None:
        from transformers import GenerationConfig

        from rag.generators.loading import load

        self.model, tokenizer = load(section, weights)
        super().__init__(tokenizer, section)
        self.lookup = section.prompt_lookup
        # Switching the adapter off is a state of the model's modules, so two answers must not overlap.
        self.turn = threading.Lock()
        ends = self.model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self.stops = frozenset(end for end in (*ends, tokenizer.eos_token_id) if end is not None)
        # Else `generate` takes the model's own habits (a length, ways to sample, n-grams) for what a call leaves out.
        for model in (self.model, getattr(self.model, "base_model", self.model)):
            model.generation_config = GenerationConfig()


class TransformersChat(LocalChat):
    """A chat model over `transformers`, loaded at first use. Greedy unless told otherwise."""

    provider: ClassVar[str] = "transformers"

    @property
    def loaded(self) -> _Loaded:
        """The model and its tokenizer; loads them when first asked. Raises UserError as `loading.load` does."""
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
        new: list[int] = []
        steps, text = -1, _Text(self.loaded.tokenizer, asked.stop)
        with closing(pieces(_Run(self.loaded, asked))) as given:
            for ids in given:
                new += ids
                steps += 1
                if fresh := text.more(ids):
                    chunk = ChatGenerationChunk(message=AIMessageChunk(content=fresh))
                    if run_manager:
                        run_manager.on_llm_new_token(fresh, chunk=chunk)
                    yield chunk
                if text.stopped:
                    break
        ended = text.stopped or (bool(new) and new[-1] in self.loaded.stops)
        yield self._last(asked, text.rest(), len(new), ended, {"steps": steps, "accepted": len(new) - 1 - steps})


def create(section: schema.Generator, cache: Path) -> Generator:
    """The backend `transformers`, as `rag.generators.base.create` asks for it."""
    need("torch", f"generator.backend={section.backend}", OR)
    return TransformersChat.load(section, cache)


class _Run(Run):
    """One answer by `generate`, which gives what it writes (`put`, `end`) and asks (`__call__`) whether to stop.

    Each piece is the ids of a pass.
    """

    def __init__(self, loaded: _Loaded, asked: Asked) -> None:
        super().__init__("medcite-transformers")
        self.loaded, self.asked = loaded, asked
        self.read = False

    def write(self) -> None:
        with self.loaded.turn:
            if not self.stopped.is_set():
                self._generate()

    def _generate(self) -> None:
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        model, asked, sampling = self.loaded.model, self.asked, self.asked.sampling
        stops = sorted(self.loaded.stops)
        settings = GenerationConfig(
            max_new_tokens=asked.limit,
            min_new_tokens=sampling.min_new_tokens or None,
            repetition_penalty=sampling.repetition_penalty,
            eos_token_id=stops or None,
            pad_token_id=stops[0] if stops else 0,
            **self._drawn(),
            **self._speculation(),
        )
        prompt = torch.tensor([asked.prompt], device=model.device)
        with self._seeded(), adapter_off(model, not asked.adapter):
            model.generate(
                inputs=prompt,
                attention_mask=torch.ones_like(prompt),
                generation_config=settings,
                stopping_criteria=StoppingCriteriaList([self]),
                streamer=self,
            )

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """The call's own seed while it lasts, where tokens are drawn."""
        import torch

        if not self.asked.sampling.temperature:
            yield
            return
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(self.asked.sampling.seed)
            yield

    def _drawn(self) -> dict[str, Any]:
        sampling = self.asked.sampling
        if not sampling.temperature:
            return {"do_sample": False}
        return {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}

    def _speculation(self) -> dict[str, Any]:
        if not self.loaded.lookup or self.asked.limit < 2:
            return {}
        return {"prompt_lookup_num_tokens": self.loaded.lookup, "max_matching_ngram_size": NGRAM}

    def put(self, ids: Any) -> None:
        """What `generate` wrote in a pass; first of all it gives the prompt."""
        if self.read:
            self.given.put(ids.flatten().tolist())
        self.read = True

    def end(self) -> None:
        """The streamer's last call; `run` says the end, after a failure too."""

    def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:
        """Whether each row is to stop, (rows,)."""
        import torch

        return torch.full((len(ids),), self.stopped.is_set(), dtype=torch.bool, device=ids.device)


def adapter_off(model: Any, off: bool) -> AbstractContextManager[Any]:
    """The base model alone while it lasts, where `off` and there is an adapter."""
    return model.disable_adapter() if off and hasattr(model, "disable_adapter") else nullcontext()


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
