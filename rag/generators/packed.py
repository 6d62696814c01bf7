"""Linear layers that multiply with int8 copies of their weights on a CPU.

A decoding step waits for memory: int8 weights are a quarter of fp32's bytes. Reading a prompt waits for
arithmetic: where the processor multiplies int8 itself (AVX-512 VNNI) it does so about three times as fast as
fp32. Each output channel has its own scale; of many rows each has its own too, and a few rows are not quantized:
either way a row's result does not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import Linear, Module
from torch.nn.functional import linear

FEW_ROWS = 12
"""Rows up to which int8 weights and bf16 rows were fastest, for every shape of a 135M model on AVX-512 without bf16:
1.5 to 3 times faster than fp32 at 1 to 11 rows, slower at 24 (one thread)."""

_exact = False


@contextmanager
def exact() -> Iterator[None]:
    """While it lasts every packed layer of this process multiplies with its weights as they came."""
    global _exact
    before, _exact = _exact, True
    try:
        yield
    finally:
        _exact = before


class PackedLinear(Module):
    """`Linear` (no bias) with an int8 copy of its weight, (out, in), and a scale for each output."""

    def __init__(self, original: Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = original.in_features, original.out_features
        self.weight = original.weight
        weight = original.weight.detach().float()
        scale = (weight.abs().amax(1) / 127).clamp_min(1e-12).bfloat16()
        packed = (weight / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("packed", packed.contiguous(), persistent=False)
        # A processor that multiplies bf16 itself got bf16 weights, and reads many rows with those.
        self.reads = weight.dtype == original.weight.dtype and torch.cpu._is_vnni_supported()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), in the type of `x`."""
        rows = x.numel() // self.in_features
        if _exact or (rows > FEW_ROWS and not self.reads):
            return linear(x, self.weight)
        flat = x.reshape(rows, self.in_features)
        if rows > FEW_ROWS:
            step = (flat.abs().amax(1, keepdim=True) / 127).clamp_min_(1e-12)
            sums = torch._int_mm((flat / step).round_().to(torch.int8), self.packed.t())
            out = sums.float().mul_(self.scale.float()).mul_(step)
        else:
            out = torch._weight_int8pack_mm(flat.to(torch.bfloat16), self.packed, self.scale)
        return out.to(x.dtype).view(*x.shape[:-1], self.out_features)


def pack(model: Any) -> None:
    """Give every linear layer of `model` without a bias, the adapters' own excepted, an int8 copy; in place."""
    found = [
        (module, name, child)
        for path, module in model.named_modules()
        for name, child in module.named_children()
        if type(child) is Linear and child.bias is None and "lora_" not in f"{path}.{name}"
    ]
    for module, name, child in found:
        setattr(module, name, PackedLinear(child))
