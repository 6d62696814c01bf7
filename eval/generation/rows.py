"""Greedy decoding of many prompts at once, a row each, for evaluation: rows come and go, none waits for another.

    for number, made in BatchDecoder(model, stops).run(prompts, limit): ...

Against `generate` on a padded batch it leaves out what is done for nothing: a prompt is read alone (no padding) and its
shared beginning once, a row that ended makes room for the next, and what a row repeats of its prompt or of itself is
guessed and checked in one pass (prompt lookup decoding). The tokens of all rows go through the linear
layers as one sequence; only attention knows which row they are of. Every kept token is the model's own choice.
`python -m eval bench evaluation` measures it against `generate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from rag.generators.chat import NGRAM

NAME = "medcite_rows"
LOOKUP = 12
"""Most tokens guessed a row and pass."""
CROWDED = 4
"""The same while more rows are in work than `FREE` has room for: attention pads every row to the longest guess."""
FIRST = 2
"""Guessed at first; twice as many after a guess that held whole."""
FREE = 96
"""Tokens a pass up to which more cost nothing: on two cores without bf16 a linear layer took as long for 24 as for 100
rows (25 and 100 GFLOP/s). Few rows in work guess more."""
CAUTIOUS = {1: 1, 2: 4}
"""Most tokens guessed after a match of one or two tokens. Over 15 answers of the 135M model this took 383 passes with
45% of the guesses right, against 348 and 26% for ten each time; a guess costs 8 to 20% of a pass."""
MEMORY = 4 << 30
"""Bytes of keys and values at most; it decides how many prompts are in work at once."""


def guess(ids: Sequence[int], length: int) -> list[int]:
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


@dataclass
class Row:
    """One prompt in the making: its tokens so far, how many may follow and are cached, and how far guesses go."""

    number: int
    ids: list[int]
    left: int
    prompt: int
    read: int = 0
    trust: int = FIRST
    draft: list[int] = field(default_factory=list)

    def look(self, beside: int) -> None:
        """Guess what comes next, so many rows being in work."""
        free = FREE // beside - 1
        most = min(max(free, CROWDED), LOOKUP)
        self.draft = guess(self.ids, min(max(self.trust, free), most, self.left - 1))


@dataclass
class Work:
    """One pass: where each of the tokens belongs.

    `rows`, the slots in work; `slots` and `places`, (tokens,); `index`, (rows, longest), the tokens of each row, padded
    with its first; `back`, (tokens,), where each is there; `mask`, (rows, 1, groups * longest, positions), what is
    added to the scores.
    """

    rows: slice
    slots: torch.Tensor
    places: torch.Tensor
    index: torch.Tensor
    back: torch.Tensor
    mask: torch.Tensor


class BatchDecoder:
    """A loaded causal language model of transformers, whole or with an adapter, and where its answers end."""

    def __init__(self, model: Any, stops: frozenset[int]) -> None:
        self.model = model
        self.stops = stops
        self.keys: list[torch.Tensor] = []
        """Of each layer, (rows, heads, positions, width); `values` alike."""
        self.values: list[torch.Tensor] = []
        self.work: Work | None = None

    def run(self, prompts: Sequence[Sequence[int]], limit: int) -> Iterator[tuple[int, list[int]]]:
        """Yield (number, new token ids) of each prompt as it ends: at most `limit`, the last a stop if there was one.

        As many prompts are in work at once as `MEMORY` holds.
        """
        rows = self._allocate(len(prompts), max(map(len, prompts)) + limit + LOOKUP + 1)
        common = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False)))
        prefix = min(common, min(map(len, prompts)) - 1)
        waiting = [Row(number, list(ids), limit, len(ids)) for number, ids in enumerate(prompts)][::-1]
        shared: list[tuple[torch.Tensor, torch.Tensor]] = []
        active: list[Row] = []
        with torch.inference_mode(), self._packed():
            while waiting or active:
                while waiting and len(active) < rows:
                    row, slot = waiting.pop(), len(active)
                    if prefix > 0 and not shared:
                        self._pass([(slot, row.ids[:prefix], 0)], last=True)
                        shared = [(k[slot, :, :prefix].clone(), v[slot, :, :prefix].clone())
                                  for k, v in zip(self.keys, self.values, strict=True)]  # fmt: skip
                    for layer, (k, v) in enumerate(shared):
                        self.keys[layer][slot, :, :prefix], self.values[layer][slot, :, :prefix] = k, v
                    chosen = self._pass([(slot, row.ids[prefix:], prefix)], last=True)
                    active.append(row)
                    yield from self._take(active, slot, chosen)
                if not active:
                    continue
                given = [(slot, row.ids[row.read :] + row.draft, row.read) for slot, row in enumerate(active)]
                chosen = self._pass(given)
                ends = list(accumulate(len(ids) for _, ids, _ in given))
                for slot in reversed(range(len(active))):
                    yield from self._take(active, slot, chosen[ends[slot] - len(given[slot][1]) : ends[slot]])

    def _allocate(self, prompts: int, room: int) -> int:
        """Make the cache for rows of `room` tokens; how many rows it has."""
        config = self.model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        kind, device = self.model.dtype, next(self.model.parameters()).device
        size = 2 * config.num_hidden_layers * heads * width * room * kind.itemsize
        rows = min(max(1, MEMORY // size), prompts)
        self.keys, self.values = (
            [
                torch.zeros((rows, heads, room, width), dtype=kind, device=device)
                for _ in range(config.num_hidden_layers)
            ]
            for _ in range(2)
        )
        return rows

    def _take(self, active: list[Row], slot: int, chosen: list[int]) -> Iterator[tuple[int, list[int]]]:
        """Keep what the model chose; a row that ended is given out and the last row takes its slot."""
        row = active[slot]
        kept = next((at for at, token in enumerate(row.draft) if token != chosen[at]), len(row.draft))
        if row.draft:
            row.trust = min(LOOKUP, 2 * kept + 2) if kept == len(row.draft) else max(1, min(FIRST, kept + 1))
        new = chosen[: kept + 1]
        end = next((at + 1 for at, token in enumerate(new) if token in self.stops), len(new))
        new = new[: min(end, row.left)]
        row.read = len(row.ids) + min(kept, len(new) - 1)
        row.ids += new
        row.left -= len(new)
        if new[-1] not in self.stops and row.left:
            row.look(len(active))
            return
        last = active.pop()
        if last is not row:
            active[slot] = last
            for tensor in (*self.keys, *self.values):
                tensor[slot, :, : last.read] = tensor[len(active), :, : last.read]
        yield row.number, row.ids[row.prompt :]

    def _pass(self, given: list[tuple[int, list[int], int]], last: bool = False) -> list[int]:
        """One forward pass over (slot, new tokens, position of the first); the model's choice after each token."""
        device = self.keys[0].device
        sizes = [len(ids) for _, ids, _ in given]
        longest, starts = max(sizes), list(accumulate(sizes, initial=0))

        def made(numbers: list[Any]) -> torch.Tensor:
            return torch.tensor(numbers, device=device)

        slots = made([slot for slot, ids, _ in given for _ in ids])
        places = made([first + at for _, ids, first in given for at in range(len(ids))])
        index = made([[starts[n] + (at if at < size else 0) for at in range(longest)] for n, size in enumerate(sizes)])
        back = made([n * longest + at for n, size in enumerate(sizes) for at in range(size)])
        end = max(first + len(ids) for _, ids, first in given)
        hidden = torch.arange(end, device=device) > places[index][:, :, None]  # rows, longest, positions
        mask = torch.zeros(hidden.shape, dtype=self.keys[0].dtype, device=device).masked_fill_(hidden, -torch.inf)
        groups = self.model.config.get_text_config().num_attention_heads // self.keys[0].shape[1]
        mask = mask.repeat(1, groups, 1).unsqueeze(1)
        self.work = Work(slice(given[0][0], given[0][0] + len(given)), slots, places, index, back, mask)
        tokens = made([[token for _, ids, _ in given for token in ids]])
        logits = self.model(
            input_ids=tokens, position_ids=places[None], use_cache=False, logits_to_keep=1 if last else 0
        ).logits[0]
        found: list[int] = logits.argmax(-1).tolist()
        return found

    def _attend(
        self, module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any,
        scaling: float | None = None, **_: Any,
    ) -> tuple[torch.Tensor, None]:  # fmt: skip
        """Attention of packed tokens, (1, heads, tokens, width), each over its own row; `transformers` calls it."""
        work = self.work
        assert work is not None
        keys, values = self.keys[module.layer_idx], self.values[module.layer_idx]
        keys[work.slots, :, work.places] = key[0].transpose(0, 1)
        values[work.slots, :, work.places] = value[0].transpose(0, 1)
        heads, groups, end = key.shape[1], query.shape[1] // key.shape[1], work.mask.shape[-1]
        rows, longest = work.index.shape
        asked = query[0][:, work.index]  # heads x rows, longest, width
        asked = asked.view(heads, groups, rows, longest, -1).permute(2, 0, 1, 3, 4)
        asked = asked.reshape(rows, heads, groups * longest, -1)
        found = scaled_dot_product_attention(
            asked, keys[work.rows, :, :end], values[work.rows, :, :end], attn_mask=work.mask, scale=scaling
        )
        found = found.view(rows, heads * groups, longest, -1).transpose(1, 2).flatten(0, 1)
        return found[work.back].unsqueeze(0), None

    @contextmanager
    def _packed(self) -> Iterator[None]:
        """Attention by rows while it lasts."""
        from transformers import AttentionInterface

        AttentionInterface.register(NAME, self._attend)
        config = self.model.config
        before = config._attn_implementation
        config._attn_implementation = NAME
        try:
            yield
        finally:
            config._attn_implementation = before
            self.keys, self.values = [], []  # the registry keeps this object
