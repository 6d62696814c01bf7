"""A Llama-shaped model folder as a GGUF file, with the `gguf` package alone.

The metadata and the tokenizer are taken from a base file where there is one, else written from the model's own.
Layout and names are GGUF's for architecture "llama" (the `gguf` package's tensor map); the rows of the query and key
matrices go from the halves that transformers rotates to the neighbours that llama.cpp rotates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from configs.errors import UserError
from rag.generators.gguf_lora import neighbours

KINDS = ("f16", "q8_0", "q4_1")
KEPT_FROM_BASE = ("general.license", "general.languages", "general.organization", "llama.", "tokenizer.")


def write(folder: Path, out: Path, kind: str, base: Path | None = None) -> None:
    """Write the model in `folder` to `out`. Raises UserError for a model that is not of Llama's shape."""
    import gguf

    config = json.loads((folder / "config.json").read_text("utf-8"))
    if config.get("model_type") not in ("llama", "mistral"):
        raise UserError(f"{folder}: GGUF is written for Llama and Mistral models, this is {config.get('model_type')!r}")
    writer = gguf.GGUFWriter(str(out), "llama")
    writer.add_name("medcite")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_file_type(
        {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}.get(
            kind, gguf.LlamaFileType.MOSTLY_Q4_1
        )
    )
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if base:
        _copy(gguf.GGUFReader(str(base)), writer)
        template = folder / "chat_template.jinja"  # an adapter's own, where it was trained in another format
        if template.exists():
            writer.add_chat_template(template.read_text("utf-8"))
    else:
        _shape(writer, config)
        _tokenizer(writer, folder, config)
    wanted = {
        "f16": gguf.GGMLQuantizationType.F16,
        "q8_0": gguf.GGMLQuantizationType.Q8_0,
        "q4_1": gguf.GGMLQuantizationType.Q4_1,
    }[kind]
    for name, tensor in _tensors(folder, config):
        flat = tensor.ndim == 1 or tensor.shape[-1] % 32
        # Norms stay fp32, as llama.cpp wants them; the token table keeps more than 4 bits, it is the head too.
        type_ = gguf.GGMLQuantizationType.F32 if flat else wanted
        if kind == "q4_1" and name in ("token_embd.weight", "output.weight"):
            type_ = gguf.GGMLQuantizationType.Q8_0
        packed = gguf.quants.quantize(np.ascontiguousarray(tensor, dtype=np.float32), type_)
        writer.add_tensor(name, packed, raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(folder: Path, config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Every weight by its GGUF name, as fp32."""
    import gguf
    import torch
    from safetensors import safe_open

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads, groups = config["num_attention_heads"], config.get("num_key_value_heads") or config["num_attention_heads"]
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(str(path), "pt") as file:
            for key in file.keys():  # noqa: SIM118 - not a mapping
                name = names.get_name(key, try_suffixes=(".weight", ".bias"))
                if name is None:
                    raise UserError(f"{path}: GGUF has no place for the weight {key}")
                if config.get("tie_word_embeddings") and key == "lm_head.weight":
                    continue
                tensor = file.get_tensor(key).to(torch.float32).numpy()
                if key.endswith("q_proj.weight"):
                    tensor = neighbours(tensor, heads)
                elif key.endswith("k_proj.weight"):
                    tensor = neighbours(tensor, groups)
                yield name, tensor


def _copy(reader: Any, writer: Any) -> None:
    """The base file's description of shape and tokenizer."""
    import gguf

    for name, entry in reader.fields.items():
        if not name.startswith(KEPT_FROM_BASE) or name == "tokenizer.chat_template":
            continue
        value = entry.contents()
        kind = entry.types[0]
        inner = entry.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, kind, sub_type=inner)


def _shape(writer: Any, config: dict[str, Any]) -> None:
    heads = config["num_attention_heads"]
    rope = config.get("rope_parameters") or {}
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0))
    writer.add_vocab_size(config["vocab_size"])


def _tokenizer(writer: Any, folder: Path, config: dict[str, Any]) -> None:
    """The tokenizer of a Llama 2 family model: byte-fallback BPE, which llama.cpp calls "llama"."""
    import gguf
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    model = state["model"]
    if model["type"] != "BPE" or not model.get("byte_fallback"):
        raise UserError(
            f"{folder}: its tokenizer is not of the Llama 2 family; GGUF needs a base file to take it from "
            "(generator.gguf_file)"
        )
    # llama.cpp merges by score, the best first: the rank of the merge that makes a token, negated.
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(model["merges"]):
        ranks.setdefault("".join(merge if isinstance(merge, list) else merge.split(" ")), rank)
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    tokens, scores, types = [], [], []
    for at in range(config["vocab_size"]):
        text = tokenizer.convert_ids_to_tokens(at) if at < len(tokenizer) else f"[unused{at}]"
        tokens.append(text.encode())
        scores.append(float(-ranks.get(text, len(ranks))))
        if at >= len(tokenizer):
            types.append(gguf.TokenType.UNUSED)
        elif text == tokenizer.unk_token:
            types.append(gguf.TokenType.UNKNOWN)
        elif text in special:
            types.append(gguf.TokenType.CONTROL)
        elif len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            types.append(gguf.TokenType.BYTE)
        else:
            types.append(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(True)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)
