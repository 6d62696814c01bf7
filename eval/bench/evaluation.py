"""How fast an evaluation generates, against bare batched `generate` on the same prompts in the same run.

    python -m eval bench evaluation -n 24

Bare means: the same weights, the same batches by length, one call of `model.generate` each, and nothing kept.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from configs.schema import Profile

TOKENS = 64
ROUNDS = 2
ROWS = 48
"""Of a batch of `generate`."""


def run(profile: Profile, folder: Path, models: Path, n: int) -> dict[str, Any]:
    """Tokens a second both ways in turns, their ratio, and how many prompts a second pass generates (0 is right)."""
    from eval.bench.generation import prompts
    from eval.generation.batched import Batched
    from rag.generators.transformers import TransformersChat

    chat = TransformersChat.load(profile.generator, models)
    ids = [chat.encode(one) for one in prompts(profile, folder, n)]
    bare: list[float] = []
    ours: list[float] = []
    repeated = 0
    _bare(chat, ids[:ROWS])
    for _ in range(ROUNDS):
        tokens, seconds = _bare(chat, ids)
        bare.append(tokens / seconds)
        with tempfile.TemporaryDirectory() as place:
            cache = Path(place) / "drafts.jsonl"
            begun = time.perf_counter()
            drafts = Batched(chat, cache).prompts(ids, TOKENS)
            ours.append(sum(draft.new_tokens for draft in drafts) / (time.perf_counter() - begun))
            before = cache.stat().st_size
            Batched(chat, cache).prompts(ids, TOKENS)
            repeated += cache.stat().st_size != before
    return {
        "prompts": len(ids),
        "tokens": TOKENS,
        "bare_tokens_per_second": round(max(bare), 1),
        "ours_tokens_per_second": round(max(ours), 1),
        "ratio": round(max(ours) / max(bare), 3),
        "repeated": repeated,
    }


def _bare(chat: Any, prompts: Sequence[list[int]]) -> tuple[int, float]:
    """Tokens written before the end of text, and seconds."""
    import torch

    model, stops = chat.loaded.model, chat.loaded.stops
    pad = min(stops)
    ordered = sorted(prompts, key=len, reverse=True)
    written = 0
    begun = time.perf_counter()
    for at in range(0, len(ordered), ROWS):
        batch = ordered[at : at + ROWS]
        longest = len(batch[0])
        given = torch.tensor([[pad] * (longest - len(one)) + one for one in batch])
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in batch])
        with torch.inference_mode():
            made = model.generate(
                input_ids=given, attention_mask=mask, do_sample=False, max_new_tokens=TOKENS,
                eos_token_id=sorted(stops), pad_token_id=pad,
            )[:, longest:].tolist()  # fmt: skip
        written += sum(next((i for i, token in enumerate(row) if token in stops), len(row)) for row in made)
    return written, time.perf_counter() - begun
