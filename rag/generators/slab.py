"""A KV cache in memory reserved ahead: transformers' own copies all of it at every step."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

GROWTH = 256
"""Positions reserved past what is needed."""


class SlabLayer(DynamicLayer):
    """One layer's keys and values, (rows, heads, positions, width), as views of the filled part of a buffer."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._length = 0
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append, and return all keys and values so far."""
        end = self._length + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < end:
            self._grow(key_states, value_states, end + GROWTH)
        assert self._buffers is not None
        keys, values = self._buffers
        keys[:, :, self._length : end] = key_states
        values[:, :, self._length : end] = value_states
        self._length = end
        self._show()
        return self.keys, self.values

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last positions; a negative number, as transformers has it."""
        if tokens_to_remove > 0:
            raise ValueError("crop takes minus the number of positions to remove")
        if self._buffers is not None:
            self._length += tokens_to_remove
            self._show()

    def _grow(self, key_states: torch.Tensor, value_states: torch.Tensor, room: int) -> None:
        old = (self.keys, self.values) if self._buffers is not None else ()
        new = []
        for states in (key_states, value_states):
            new.append(states.new_empty((*states.shape[:2], room, states.shape[3])))
        self._buffers = (new[0], new[1])
        for buffer, filled in zip(new, old, strict=False):
            buffer[:, :, : self._length] = filled
        self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True

    def _show(self) -> None:
        assert self._buffers is not None
        self.keys, self.values = (buffer[:, :, : self._length] for buffer in self._buffers)


def new_cache() -> Cache:
    """An empty cache, croppable to any length."""
    return Cache(layer_class_to_replicate=SlabLayer)
