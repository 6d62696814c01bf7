"""How long a recipe will train here, and in how much memory, before it does: `medcite finetune estimate`.

The time is the arithmetic of the trained tokens over this machine's own rate, taken from one matrix product in the
precision of the training. The memory is a sum of what must be held; libraries and the system come on top.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from configs.recipes import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from configs.schema import Profile

TOKENS = {"closed": 207, "grounded": 462}
"""Tokens of an example, prompt and completion: what MedQuAD's train split gives on average with SmolLM2's tokenizer
(docs/decisions/reading.md); a recipe's `max_tokens` is a bound."""
OF_RATE = {"cuda": 0.4, "cpu": 0.55}
"""The share of a matrix product's rate that training reaches. On two cores (AMD EPYC, AVX-512 with bf16) it is .56,
measured: 341 tokens/s of SmolLM2-135M. On a card it is what TinyLlama's own training reached on A100s, .56 (Zhang et
al., 2024), less what LoRA and short rows cost: not measured, no card was at hand."""
ADAPTER_BYTES = 16
"""Of a trained parameter: itself, its gradient and AdamW's two moments in fp32."""
ACTIVATION_BYTES = 34
"""Of a position, per hidden unit and block: Korthikanti et al. (2022) for 16 bits, without attention scores, which
SDPA does not store."""
WEIGHT_BYTES = {"none": 2.0, "int8": 1.1, "nf4": 0.6}
"""Of a frozen parameter: 16 bits, or packed with its scales."""


@dataclass(frozen=True)
class Estimate:
    """Trained `tokens`, their `flops`, the `rate` of this machine in FLOP/s, `seconds`, and `memory` in bytes."""

    tokens: int
    flops: float
    rate: float
    seconds: float
    memory: float

    def lines(self, device: str) -> list[str]:
        """For a person."""
        return [
            f"{device}: {self.rate / 1e12:.2f} TFLOP/s in one matrix product",
            f"training: {self.tokens / 1e6:.1f} million tokens, {self.flops / 1e15:.1f} PFLOP, {_time(self.seconds)}",
            f"memory: about {self.memory / 1e9:.1f} GB beside libraries and the system",
        ]


def estimate(recipe: Recipe, pairs: int, config: Any, rate: float, device: str) -> Estimate:
    """Of a recipe over `pairs` pairs of a train split, for a model of `config` (transformers), at `rate` FLOP/s.

    `device` is "cuda" or "cpu".
    """
    hidden, blocks = int(config.hidden_size), int(config.num_hidden_layers)
    heads = int(config.num_attention_heads)
    shared = hidden * (getattr(config, "num_key_value_heads", heads) or heads) // heads
    block = 2 * hidden * hidden + 2 * hidden * shared + 3 * hidden * int(config.intermediate_size)
    head = hidden * int(config.vocab_size)
    first = recipe.lora.first_layer
    trained_blocks = blocks - int(first * blocks if first < 1 else first)
    data, schedule = recipe.data, recipe.schedule
    shares = {"closed": data.closed, "grounded": data.grounded}
    mean = sum(share * min(TOKENS[kind], data.max_tokens) for kind, share in shares.items())
    tokens = int(min(data.examples or pairs, pairs) * mean * schedule.epochs)
    if schedule.max_steps:
        tokens = min(tokens, int(schedule.max_steps * schedule.batch * schedule.accumulation * mean))
    # A multiplication and an addition for each weight forward, and as many backward through the trained blocks.
    # Checkpointing computes these once more. The head is for the tokens of completions, a quarter.
    again = 1 + schedule.gradient_checkpointing
    flops = tokens * 2.0 * (block * (blocks + again * trained_blocks) + 2 * head / 4)
    sizes = 6 * hidden + 2 * shared + 3 * (hidden + int(config.intermediate_size))
    adapter = recipe.lora.r * sizes * trained_blocks
    weight = 4.0 if recipe.weights.precision == "fp32" else WEIGHT_BYTES[recipe.weights.quantization]
    kept = blocks if not schedule.gradient_checkpointing else 1
    memory = weight * (block * blocks + head) + ADAPTER_BYTES * adapter
    memory += ACTIVATION_BYTES * schedule.batch * data.max_tokens * hidden * min(kept, trained_blocks)
    return Estimate(tokens, flops, rate, flops / (rate * OF_RATE[device]), memory)


def measured_rate(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of a square matrix product on `device`, the best of five."""
    import torch

    size = 8192 if device == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(5):
        begun = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - begun))
    return best


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 90 else f"{seconds / 3600:.1f} hours"


def lines(profile: Profile, recipe: Recipe, pairs: int, cache: Path) -> list[str]:
    """The estimate for a profile's model on this machine, for a person; `pairs` are those of the train split.

    Raises UserError where the model cannot be had.
    """
    import torch
    from transformers import AutoConfig

    from finetune.base import adapted, precision_of
    from rag.generators.loading import locate, reading

    device = "cuda" if torch.cuda.is_available() else "cpu"
    recipe, notes = adapted(recipe, device == "cuda")
    place = locate(profile.generator, cache)
    with reading(profile.generator.model):
        config = AutoConfig.from_pretrained(place)
    precision = precision_of(recipe)
    recipe = recipe.model_copy(update={"weights": recipe.weights.model_copy(update={"precision": precision})})
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    found = estimate(recipe, pairs, config, measured_rate(device, dtype), device)
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU cores"
    return [*notes, *found.lines(f"{name}, {precision}")]
