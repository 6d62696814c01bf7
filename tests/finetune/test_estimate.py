"""What training will take is arithmetic: more of anything costs more, and TinyLlama's size comes out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.recipes import Recipe, load_recipe
from finetune.estimate import Estimate, estimate, lines, measured_rate

TINYLLAMA = SimpleNamespace(
    hidden_size=2048, num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4, intermediate_size=5632,
    vocab_size=32000,
)  # fmt: skip


def of(recipe: Recipe, pairs: int = 13_000, rate: float = 1e14, device: str = "cuda") -> Estimate:
    return estimate(recipe, pairs, TINYLLAMA, rate, device)


def changed(*overrides: str) -> Recipe:
    return load_recipe("grounded-full", list(overrides))


def test_time_grows_with_tokens_and_falls_with_the_rate() -> None:
    base = of(changed())
    assert of(changed(), pairs=26_000).seconds == pytest.approx(2 * base.seconds, rel=1e-3)
    assert of(changed("schedule.epochs=6")).tokens == pytest.approx(2 * base.tokens, rel=1e-3)
    assert of(changed(), rate=2e14).seconds == pytest.approx(base.seconds / 2)
    assert of(changed("data.examples=1300")).tokens == pytest.approx(base.tokens / 10, rel=1e-3)
    assert of(changed("schedule.max_steps=10")).tokens < base.tokens / 100
    assert (
        of(changed("lora.first_layer=0.5")).flops
        < base.flops
        < of(changed("schedule.gradient_checkpointing=true")).flops
    )


def test_a_full_precision_weight_takes_more_memory_than_a_packed_one() -> None:
    packed, whole = of(changed()).memory, of(changed("weights.quantization=none")).memory
    assert 1.1e9 * 1.2 < whole - packed < 1.1e9 * 1.6, "1.1 billion parameters at 2 and at .6 bytes"
    assert of(changed("schedule.batch=32")).memory > packed
    assert of(changed("schedule.gradient_checkpointing=true")).memory < packed


def test_tinyllamas_parameters_are_counted() -> None:
    """4 operations a parameter and token where all blocks are trained, and the head's for a quarter of the tokens."""
    found = of(changed())
    assert found.flops / found.tokens == pytest.approx(4 * 0.97e9, rel=0.08)


def test_it_reads_as_time_and_memory() -> None:
    text = of(changed()).lines("a card")
    assert text[0] == "a card: 100.00 TFLOP/s in one matrix product"
    assert "hours" in text[1] or "minutes" in text[1]
    assert "GB" in text[2]


def test_the_rate_is_measured() -> None:
    import torch

    assert 1e9 < measured_rate("cpu", torch.float32) < 1e14


@pytest.mark.weights
def test_it_is_made_for_the_profiles_own_model(weights: None, model_cache: Path) -> None:
    from configs import load

    profile, _ = load("embedded")
    found = lines(profile, load_recipe("reading"), 13_000, model_cache)
    assert any("GB" in line for line in found)
