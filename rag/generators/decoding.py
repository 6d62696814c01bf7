"""The decoding loop: a step at a time, speculating from the prompt, on a cached system prompt.

Grounded answers repeat their sources, so the tokens after the last few tokens' earlier occurrence make a good draft
of what comes next (prompt lookup decoding); one forward pass checks all draft tokens. Every accepted token is the
one the model itself chose, so greedy output equals plain greedy decoding up to rounding in the arithmetic.
`python -m eval bench generation` measures it against `generate`.

The caller owns each step: nothing runs between steps and no thread is started, so a caller that stops
iterating has stopped the generation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NGRAM = 3
"""Longest run of tokens that is looked up, then shorter ones down to one."""
CAUTIOUS = {1: 1, 2: 4}
"""Most draft tokens after a match of one or two tokens. Over 15 answers of the 135M model this took 383 steps with 45%
of the draft tokens accepted, against 348 and 26% for ten each time; a draft token costs 8 to 20% of a step."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy; then `top_p` and `seed` have no effect."""

    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    min_new_tokens: int = 0


@dataclass
class Counts:
    """What one run took: forward passes after the first, draft tokens, and those of them that were accepted."""

    steps: int = 0
    drafted: int = 0
    accepted: int = 0


def draft_tokens(ids: Sequence[int], length: int) -> list[int]:
    """The tokens that followed the latest earlier occurrence of the last `NGRAM` or fewer tokens.

    At most `length` of them, fewer after a short match (`CAUTIOUS`); none where even the last token is new.
    """
    if length <= 0:
        return []
    last = len(ids) - 1
    for size in range(min(NGRAM, last), 0, -1):
        tail = list(ids[-size:])
        for start in range(len(ids) - size - 1, -1, -1):
            if ids[start + size - 1] == tail[-1] and list(ids[start : start + size]) == tail:
                end = start + size + min(length, CAUTIOUS.get(size, length))
                return list(ids[start + size : end])
    return []


class Decoder:
    """One loaded causal language model and the KV cache of the system prompts it has read.

    `lookup` is how many draft tokens a step has at most (0: plain decoding). Prefixes are read in a pass of
    their own, always, so that an answer does not depend on what was asked before it.
    """

    PREFIXES = 4

    def __init__(self, model: Any, lookup: int) -> None:
        self.model = model
        self.lookup = lookup
        # Switching the adapter off is a state of the model's modules, so steps of two runs must not overlap.
        self._lock = threading.Lock()
        self._prefixes: dict[tuple[bool, tuple[int, ...]], Any] = {}

    def run(
        self,
        ids: Sequence[int],
        *,
        prefix: int,
        limit: int,
        stops: frozenset[int],
        sampling: Sampling,
        adapter: bool,
        counts: Counts | None = None,
        lookup: int | None = None,
    ) -> Iterator[list[int]]:
        """Yield each step's new token ids, at most `limit` in all; the last is in `stops` if one was reached.

        `ids` are the prompt's tokens, of which the first `prefix` are shared by many prompts; `adapter`
        says whether a LoRA adapter that the model has takes part; `lookup` is the decoder's own unless given.
        """
        import torch

        counts = counts if counts is not None else Counts()
        lookup = self.lookup if lookup is None else lookup
        context: Callable[[], AbstractContextManager[Any]] = nullcontext
        if not adapter and hasattr(self.model, "disable_adapter"):
            context = self.model.disable_adapter
        random = torch.Generator(self.model.device).manual_seed(sampling.seed) if sampling.temperature > 0 else None
        known = list(ids)
        prompt = len(known)
        cache, read = self._start(known, prefix, adapter, context)
        draft: list[int] = []
        while len(known) - prompt < limit:
            # Modes are entered for one step at a time: they are the thread's, and the caller runs between steps.
            with self._lock, torch.inference_mode(), context():
                fresh = torch.tensor([known[read:] + draft], device=self.model.device)
                logits = self.model(fresh, past_key_values=cache, use_cache=True, logits_to_keep=len(draft) + 1).logits[
                    0
                ]
                chosen = self._choose(logits.float(), known, draft, prompt, stops, sampling, random)
            accepted = next((i for i, token in enumerate(draft) if token != chosen[i]), len(draft))
            if draft or len(known) > prompt:
                counts.steps += 1
                counts.drafted += len(draft)
                counts.accepted += accepted
            if accepted < len(draft):
                cache.crop(accepted - len(draft))
            read = len(known) + accepted
            new = chosen[: accepted + 1]
            end = next((i + 1 for i, token in enumerate(new) if token in stops), len(new))
            new = new[: min(end, limit - (len(known) - prompt))]
            known += new
            yield new
            if new[-1] in stops:
                return
            draft = draft_tokens(known, min(lookup, limit - (len(known) - prompt) - 1))

    def _start(
        self, ids: Sequence[int], prefix: int, adapter: bool, context: Callable[[], AbstractContextManager[Any]]
    ) -> tuple[Any, int]:
        import torch

        from rag.generators.slab import new_cache

        prefix = min(prefix, len(ids) - 1)
        if prefix <= 0:
            return new_cache(), 0
        key = (adapter, tuple(ids[:prefix]))
        if key not in self._prefixes:
            cache: Any = new_cache()
            with self._lock, torch.inference_mode(), context():
                fresh = torch.tensor([list(ids[:prefix])], device=self.model.device)
                self.model(fresh, past_key_values=cache, use_cache=True, logits_to_keep=1)
            while len(self._prefixes) >= self.PREFIXES:
                self._prefixes.pop(next(iter(self._prefixes)))
            self._prefixes[key] = [(layer.keys, layer.values) for layer in cache.layers]
        cache = new_cache()
        with torch.inference_mode():
            for number, (keys, values) in enumerate(self._prefixes[key]):
                cache.update(keys, values, number)
        return cache, prefix

    @staticmethod
    def _choose(
        logits: torch.Tensor,
        known: Sequence[int],
        draft: Sequence[int],
        prompt: int,
        stops: frozenset[int],
        sampling: Sampling,
        random: torch.Generator | None,
    ) -> list[int]:
        """The model's token for each row of `logits` (n + 1 rows for n draft tokens)."""
        import torch

        if sampling.repetition_penalty != 1:
            for row in range(len(logits)):
                seen = torch.tensor(sorted({*known, *draft[:row]}), device=logits.device)
                scores = logits[row, seen]
                penalty = sampling.repetition_penalty
                logits[row, seen] = torch.where(scores < 0, scores * penalty, scores / penalty)
        early = max(0, min(len(logits), sampling.min_new_tokens - (len(known) - prompt)))
        if early and stops:
            logits[:early, sorted(stops)] = -torch.inf
        if random is None:
            return logits.argmax(-1).tolist()
        chances = (logits / sampling.temperature).softmax(-1)
        if sampling.top_p < 1:
            ordered, order = chances.sort(descending=True)
            ordered[ordered.cumsum(-1) - ordered >= sampling.top_p] = 0
            chances = torch.zeros_like(chances).scatter(-1, order, ordered)
        return torch.multinomial(chances, 1, generator=random)[:, 0].tolist()
