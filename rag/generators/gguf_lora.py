"""A LoRA adapter of PEFT's as a GGUF file, made once and without torch.

    path = prepare("finetune/adapters/embedded", base, Path("data/models"))

llama.cpp adds `alpha / rank * B(A x)` to a module's output. Rows of the B matrices of queries and keys go the way of
the base's rows: from the halves that transformers rotates to the neighbours that llama.cpp rotates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from configs import files
from configs.errors import UserError
from rag.generators.gguf_base import MODULES, Base, written
from rag.generators.loading import adapter_folder, adapter_parts, check_fit

FORMAT = 1
BEYOND = (
    "use_dora", "use_qalora", "use_bdlora", "fan_in_fan_out", "lora_bias", "modules_to_save", "alpha_pattern",
    "alora_invocation_tokens", "layer_replication",
)  # fmt: skip
"""Settings of PEFT's that change what is added to a module's output, or to which."""
TYPES: dict[str, Any] = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
"""The types of weights in safetensors that an adapter may have; bfloat16 is read as its bits."""


def prepare(adapter: str, base: Base, cache: Path) -> Path:
    """The adapter as a GGUF file under `cache`, named by the content of the adapter and of its base.

    Raises UserError where the adapter is missing, damaged, made for another base, of a kind that llama.cpp does not
    have, or where `cache` cannot be written.
    """
    folder = adapter_folder(adapter)
    config, weights, shapes, other = adapter_parts(adapter, folder)
    _check_kind(adapter, config, shapes)
    check_fit(base.sizes, shapes, config, other)
    digest = files.digest_json([FORMAT, base.digest, files.digest_json(config), files.digest_file(weights)])
    target = cache / f"lora-{digest[:16]}.gguf"
    if target.is_file():
        return target
    with files.said(cache, "converted adapters cannot be kept here"), files.aside(target) as new:
        write(weights, config, base, new)
    return target


def _check_kind(adapter: str, config: dict[str, Any], modules: Iterable[str]) -> None:
    """Raise UserError for what PEFT can do to a LoRA adapter and llama.cpp cannot."""
    beyond = [name for name in BEYOND if config.get(name)]
    beyond += sorted({name for name in modules if ".".join(name.split(".")[3:]) not in MODULES.values()})[:1]
    if config.get("bias", "none") != "none":
        beyond.append("bias")
    if config.get("peft_type", "LORA") != "LORA" or beyond:
        what = ", ".join(beyond) or f"peft_type {config.get('peft_type')}"
        raise UserError(
            f"generator.adapter: {adapter} has {what}, which llama.cpp does not do; "
            "use --set generator.backend=transformers"
        )


def write(weights: Path, config: dict[str, Any], base: Base, out: Path) -> None:
    """Write the adapter in `weights` to `out`: fp16 where it is, else fp32."""
    import gguf

    writer = gguf.GGUFWriter(str(out), "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config.get("lora_alpha", 8)))
    places = {module: part for part, module in MODULES.items()}
    for key, matrix in _matrices(weights):
        name, _, side = key.removeprefix("base_model.model.").partition(".lora_")
        _, _, layer, module = name.split(".", 3)
        if side[0] == "B":
            if config.get("use_rslora"):  # alpha / sqrt(rank), where llama.cpp has alpha / rank
                matrix = (matrix.astype(np.float32) * math.sqrt(matrix.shape[1])).astype(np.float32)
            if module == "self_attn.q_proj":
                matrix = neighbours(matrix, base.heads)
            elif module == "self_attn.k_proj":
                matrix = neighbours(matrix, base.key_heads)
        writer.add_tensor(f"blk.{layer}.{places[module]}.weight.lora_{side[0].lower()}", np.ascontiguousarray(matrix))
    written(writer)


def _matrices(weights: Path) -> Iterator[tuple[str, np.ndarray]]:
    from safetensors import deserialize

    for key, entry in deserialize(weights.read_bytes()):
        if entry["dtype"] not in TYPES or ".lora_" not in key:
            raise UserError(
                f"generator.adapter: {weights} has {key} of type {entry['dtype']}, which is not read for llama.cpp; "
                "use --set generator.backend=transformers"
            )
        matrix = np.frombuffer(entry["data"], dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            matrix = (matrix.astype(np.uint32) << 16).view(np.float32)
        yield key, matrix if matrix.dtype == np.float16 else matrix.astype(np.float32)


def neighbours(matrix: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from (first half, second half) to pairs, as llama.cpp's rotary embedding takes them."""
    rows, columns = matrix.shape
    return matrix.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
