"""Linear layers that read a few rows with int8 weights and many rows with the weights as they came.

A decoding step on a CPU waits for memory: int8 weights are a quarter of fp32's bytes. Reading a prompt
waits for arithmetic, and there the original weights are faster. Each output channel has its own scale and
activations are not quantised, so a row's result does not depend on the rows beside it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import Linear, Module
from torch.nn.functional import linear

FEW_ROWS = 12
"""Rows up to which int8 was faster, for every shape of a 135M model on AVX-512 without bf16: 1.5 to 3 times faster
than fp32 at 1 to 11 rows, slower at 24 (one thread)."""


class PackedLinear(Module):
    """`Linear` (no bias) with an int8 copy of its weight, (out, in), and a bf16 scale for each output."""

    def __init__(self, original: Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = original.in_features, original.out_features
        self.weight = original.weight
        weight = original.weight.detach().float()
        scale = (weight.abs().amax(1) / 127).clamp_min(1e-12).bfloat16()
        packed = (weight / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("packed", packed.contiguous(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), in the type of `x`."""
        rows = x.numel() // self.in_features
        if rows > FEW_ROWS:
            return linear(x, self.weight)
        flat = x.reshape(rows, self.in_features).to(torch.bfloat16)
        out = torch._weight_int8pack_mm(flat, self.packed, self.scale)
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
