"""The sentence embedder: texts to unit vectors, in length order, in the precision this machine is fast in.

embedder = embedder_of(profile.embedder)     # the backend that the profile names
embedder.encode(["What is gout?"])
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from configs import files
from configs.errors import UserError
from configs.extras import OR, need
from configs.schema import Embedder as Settings
from index.weights import resolve

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Progress = Callable[[int], None]
"""Called with the number of texts just done."""

CPU_BATCH_TOKENS = 2560
"""Of a batch on a CPU: what it computes on stays in the cache then (16 passages of 160 tokens, docs/decisions)."""


class EmbedderLike(Protocol):
    """What the index and the retriever need of an embedder."""

    @property
    def dimensions(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def precision(self) -> str: ...
    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray: ...
    def count_tokens(self, texts: Sequence[str]) -> list[int]: ...


def embedder_of(settings: Settings) -> EmbedderLike:
    """The embedder of a profile's section, loaded when first needed; only the backend that is named is imported.

    The backends give a model the same fingerprint, and the same vectors where their precision is the same. Raises
    UserError for a precision that the backend does not have, and where its packages are not installed.
    """
    if settings.backend == "onnxruntime":
        from index.onnx_embedder import OnnxEmbedder

        return OnnxEmbedder(settings)
    need("sentence_transformers", f"embedder.backend={settings.backend}", OR)
    return Embedder(settings)


def native_precision(device: str) -> str:
    """The precision to take for "auto": fp16 on CUDA, bf16 on CPUs whose instructions know it, else fp32.

    oneDNN emulates bf16 on other AVX-512 CPUs, where it was measured at 0.4 of fp32 (docs/decisions/precision.md).
    """
    import torch

    if device == "cuda":
        return "fp16"
    native = (
        getattr(torch.cpu, "_is_avx512_bf16_supported", bool)() or getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    )
    return "bf16" if native else "fp32"


class Embedder:
    """A sentence-transformers model behind `encode`. Safe to call from several threads, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()

    @property
    def dimensions(self) -> int:
        return self.settings.dimensions

    @property
    def max_tokens(self) -> int:
        return self.settings.max_tokens

    @cached_property
    def precision(self) -> str:
        """fp32, bf16 or fp16."""
        wanted = self.settings.precision
        return native_precision(self._device) if wanted == "auto" else wanted

    @cached_property
    def _device(self) -> str:
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model, loaded once. Raises UserError where it cannot be had or has other dimensions."""
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        place = resolve(self.settings.model)
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        try:
            model = SentenceTransformer(
                place, device=self._device, model_kwargs={"dtype": dtype}, local_files_only=Path(place).is_dir()
            )
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"embedder.model {self.settings.model}: cannot be loaded ({reason}); "
                "without a model hub use PROFILE=embedded"
            ) from None
        found = model.get_embedding_dimension()
        if found != self.settings.dimensions:
            raise UserError(f"embedder.dimensions is {self.settings.dimensions}, but the model gives {found}")
        model.max_seq_length = self.settings.max_tokens
        return model.eval()

    @cached_property
    def words(self) -> frozenset[str]:
        """The whole words of its vocabulary, in lower case: everyday words that are no misspelling of a rare one."""
        return frozenset(word for word in self.model.tokenizer.get_vocab() if word.isalpha() and len(word) > 3)

    @cached_property
    def fingerprint(self) -> str:
        """The model's id and a SHA-256 over a sample of every weight: the same on every machine and precision."""
        import torch

        parts = [str(self.settings.max_tokens)]
        for name, value in sorted(self.model.state_dict().items()):
            if value.dtype.is_floating_point:
                # Weights round to 3 digits so that loading in bf16 names the same model.
                sample = value.flatten()[:8].to("cpu", torch.bfloat16).float().tolist()
                parts.append(f"{name} {tuple(value.shape)} {sample}")
        return f"{self.settings.model} {files.digest(''.join(parts))[:16]}"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens not counted, nothing cut off."""
        backend: Any = getattr(self.model.tokenizer, "backend_tokenizer", None) or self.model.tokenizer._tokenizer
        truncation, padding = backend.truncation, backend.padding
        with self._lock:
            backend.no_truncation()
            backend.no_padding()
            try:
                return [len(one.ids) for one in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
            finally:
                if truncation:
                    backend.enable_truncation(**truncation)
                if padding:
                    backend.enable_padding(**padding)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Unit vectors, float32 of shape (n, dimensions), in the order given; long texts are cut at max_tokens.

        Batches are made in the order of lengths in tokens: by characters, as sentence-transformers orders, 15% of
        what the model reads of MedQuAD is padding.
        """
        import torch

        out = np.zeros((len(texts), self.settings.dimensions), dtype=np.float32)
        if not len(texts):
            return out
        model = self.model
        with self._lock:
            read = model.tokenizer(list(texts), truncation=True, max_length=self.settings.max_tokens)
        lengths = [len(one) for one in read["input_ids"]]
        order = sorted(range(len(texts)), key=lambda n: -lengths[n])
        while order:
            size = self.settings.batch_size
            if self._device == "cpu":
                size = max(1, min(size, CPU_BATCH_TOKENS // max(lengths[order[0]], 1)))
            rows, order = order[:size], order[size:]
            with self._lock, torch.inference_mode():
                padded = model.tokenizer.pad(
                    {name: [values[n] for n in rows] for name, values in read.items()}, return_tensors="pt"
                )
                vectors = model({name: value.to(self._device) for name, value in padded.items()})["sentence_embedding"]
                vectors = torch.nn.functional.normalize(vectors.float(), dim=1)
            out[rows] = vectors.cpu().numpy()
            if progress:
                progress(len(rows))
        return out
