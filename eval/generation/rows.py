"""Greedy decoding of many prompts at once, a row each, for evaluation: rows come and go, none waits for another.

    for number, made in Rows(model, stops).run(prompts, limits): ...

Against `generate` on a padded batch it leaves out what is done for nothing: a prompt is read alone (no padding) and its
shared beginning once, a row that ended makes room for the next, and what a row repeats of its prompt or of itself is
guessed and checked in one pass, as in `rag/generators/decoding.py`. The tokens of all rows go through the linear
layers as one sequence; only attention knows which row they are of. Every kept token is the model's own choice.
`python -m eval bench evaluation` measures it against `generate`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from rag.generators.decoding import draft_tokens as guess

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
MEMORY = 4 << 30
"""Bytes of keys and values at most; it decides how many prompts are in work at once."""

_steps = threading.local()


@dataclass
class Row:
    """One prompt in the making: its tokens so far, how many of them are in the cache, and how far guesses go."""

    number: int
    ids: list[int]
    prompt: int
    limit: int
    read: int = 0
    trust: int = FIRST
    draft: list[int] = field(default_factory=list)

    @property
    def made(self) -> int:
        return len(self.ids) - self.prompt

    def look(self, beside: int) -> None:
        """Guess what comes next, so many rows being in work."""
        free = FREE // beside - 1
        most = min(max(free, CROWDED), LOOKUP)
        self.draft = guess(self.ids, min(max(self.trust, free), most, self.limit - self.made - 1))


@dataclass
class Work:
    """One pass: where each of the tokens belongs, and the keys and values that they are added to.

    `slots` and `places`, (tokens,); `index`, (rows, longest), the tokens of each row, padded with its first;
    `mask`, (rows, 1, groups * longest, positions), what is added to the scores.
    """

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    rows: slice
    slots: torch.Tensor
    places: torch.Tensor
    index: torch.Tensor
    mask: torch.Tensor
    back: torch.Tensor


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of packed tokens, (1, heads, tokens, width), each over its own row; registered with transformers."""
    work: Work = _steps.work
    layer = module.layer_idx
    heads, groups = key.shape[1], query.shape[1] // key.shape[1]
    keys, values = work.keys[layer], work.values[layer]
    keys[work.slots, :, work.places] = key[0].transpose(0, 1)
    values[work.slots, :, work.places] = value[0].transpose(0, 1)
    end = work.mask.shape[-1]
    rows, longest = work.index.shape
    asked = query[0][:, work.index]  # heads x rows, longest, width
    asked = asked.view(heads, groups, rows, longest, -1).permute(2, 0, 1, 3, 4)
    asked = asked.reshape(rows, heads, groups * longest, -1)
    found = scaled_dot_product_attention(
        asked, keys[work.rows, :, :end], values[work.rows, :, :end], attn_mask=work.mask, scale=scaling
    )
    width = found.shape[-1]
    found = found.view(rows, heads * groups, longest, width).transpose(1, 2).reshape(rows * longest, -1, width)
    return found[work.back].unsqueeze(0), None


class Rows:
    """A loaded causal language model of transformers, whole or with an adapter, and where its answers end."""

    def __init__(self, model: Any, stops: frozenset[int], lookup: bool = True) -> None:
        self.model = model
        self.stops = stops
        self.lookup = lookup
        config = model.config.get_text_config()
        self.layers: int = config.num_hidden_layers
        heads: int = config.num_attention_heads
        self.heads: int = getattr(config, "num_key_value_heads", None) or heads
        self.groups = heads // self.heads
        self.width: int = getattr(config, "head_dim", None) or config.hidden_size // heads

    def run(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], rows: int | None = None
    ) -> Iterator[tuple[int, list[int]]]:
        """Yield (number, new token ids) of each prompt as it ends; the last id is in `stops` if one was reached.

        `rows` prompts at most are in work at once; unless given, as many as `MEMORY` holds.
        """
        room = max(len(ids) + limit for ids, limit in zip(prompts, limits, strict=True)) + LOOKUP + 1
        kind, device = self.model.dtype, next(self.model.parameters()).device
        size = 2 * self.layers * self.heads * self.width * room * kind.itemsize
        rows = min(rows or max(1, MEMORY // size), len(prompts))
        common = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False)))
        prefix = min(common, min(map(len, prompts)) - 1)
        shape = (rows, self.heads, room, self.width)
        keys = [torch.zeros(shape, dtype=kind, device=device) for _ in range(self.layers)]
        values = [torch.zeros(shape, dtype=kind, device=device) for _ in range(self.layers)]
        waiting = [
            Row(number, list(ids), len(ids), limit)
            for number, (ids, limit) in enumerate(zip(prompts, limits, strict=True))
        ][::-1]
        shared: list[tuple[torch.Tensor, torch.Tensor]] = []
        active: list[Row] = []
        with torch.inference_mode(), self._packed():
            while waiting or active:
                while waiting and len(active) < rows:
                    row, slot = waiting.pop(), len(active)
                    if prefix > 0 and not shared:
                        self._pass(keys, values, [(slot, row.ids[:prefix], 0)], last=True)
                        shared = [(k[slot, :, :prefix].clone(), v[slot, :, :prefix].clone())
                                  for k, v in zip(keys, values, strict=True)]  # fmt: skip
                    for layer, (k, v) in enumerate(shared):
                        keys[layer][slot, :, :prefix], values[layer][slot, :, :prefix] = k, v
                    chosen = self._pass(keys, values, [(slot, row.ids[prefix:], prefix)], last=True)
                    row.read = row.prompt
                    active.append(row)
                    yield from self._take(active, slot, chosen, keys, values)
                if not active:
                    continue
                given = [(slot, row.ids[row.read :] + row.draft, row.read) for slot, row in enumerate(active)]
                chosen = self._pass(keys, values, given)
                starts = [0]
                for _, ids, _ in given:
                    starts.append(starts[-1] + len(ids))
                for slot in reversed(range(len(active))):
                    yield from self._take(active, slot, chosen[starts[slot] : starts[slot + 1]], keys, values)

    def _take(
        self, active: list[Row], slot: int, chosen: list[int], keys: list[torch.Tensor], values: list[torch.Tensor]
    ) -> Iterator[tuple[int, list[int]]]:
        """Keep what the model chose; a row that ended is given out and the last row takes its slot."""
        row = active[slot]
        kept = next((at for at, token in enumerate(row.draft) if token != chosen[at]), len(row.draft))
        if row.draft:
            row.trust = min(LOOKUP, 2 * kept + 2) if kept == len(row.draft) else max(1, min(FIRST, kept + 1))
        new = chosen[: kept + 1]
        end = next((at + 1 for at, token in enumerate(new) if token in self.stops), len(new))
        new = new[: min(end, row.limit - row.made)]
        row.read = len(row.ids) + min(kept, len(new) - 1)
        row.ids += new
        if new[-1] not in self.stops and row.made < row.limit:
            row.draft = []
            if self.lookup:
                row.look(len(active))
            return
        last = active.pop()
        if last is not row:
            active[slot] = last
            for tensor in (*keys, *values):
                tensor[slot, :, : last.read] = tensor[len(active), :, : last.read]
        yield row.number, row.ids[row.prompt :]

    def _pass(
        self, keys: list[torch.Tensor], values: list[torch.Tensor],
        given: list[tuple[int, list[int], int]], last: bool = False,
    ) -> list[int]:  # fmt: skip
        """One forward pass over (slot, new tokens, position of the first); the model's choice after each token."""
        device = keys[0].device
        sizes = [len(ids) for _, ids, _ in given]
        longest = max(sizes)
        tokens = torch.tensor([[token for _, ids, _ in given for token in ids]], device=device)
        slots = torch.tensor([slot for slot, ids, _ in given for _ in ids], device=device)
        places = torch.tensor([first + at for _, ids, first in given for at in range(len(ids))], device=device)
        starts = torch.tensor([sum(sizes[:at]) for at in range(len(sizes))], device=device)
        steps = torch.arange(longest, device=device)
        counts = torch.tensor(sizes, device=device)
        index = starts[:, None] + torch.where(steps < counts[:, None], steps, 0)
        back = torch.cat([at * longest + steps[:size] for at, size in enumerate(sizes)])
        end = max(first + len(ids) for _, ids, first in given)
        hidden = torch.arange(end, device=device) > places[index][:, :, None]  # rows, longest, positions
        mask = torch.zeros(hidden.shape, dtype=keys[0].dtype, device=device).masked_fill_(hidden, -torch.inf)
        mask = mask.repeat(1, self.groups, 1).unsqueeze(1)
        first_slot = given[0][0]
        _steps.work = Work(
            keys, values, slice(first_slot, first_slot + len(given)), slots, places, index, mask, back
        )  # fmt: skip
        logits = self.model(
            input_ids=tokens, position_ids=places[None], use_cache=False, logits_to_keep=1 if last else 0
        ).logits[0]
        found: list[int] = logits.argmax(-1).tolist()
        return found

    @contextmanager
    def _packed(self) -> Iterator[None]:
        """Attention by rows while it lasts, and the weights as they came: int8 would be slower for so many rows."""
        from transformers import AttentionInterface

        from rag.generators import packed

        AttentionInterface.register(NAME, attend)
        config = self.model.config
        before = config._attn_implementation
        config._attn_implementation = NAME
        try:
            with packed.exact():
                yield
        finally:
            config._attn_implementation = before
