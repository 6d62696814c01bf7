"""The tiny random Llama of `tiny.py` as a GGUF file beside its folder, in fp32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import Generator
from finetune.gguf_file import _shape, _tensors
from tests.rag.generators import tiny

FILE = "tiny.gguf"


def save(folder: Path, template: str | None = tiny.TEMPLATE, **shape: Any) -> Generator:
    """Write the model into `folder` for transformers and for llama.cpp; the section that loads it with llama.cpp."""
    section = tiny.save(folder, template=template, **shape)
    write(folder, folder / FILE)
    return section.model_copy(
        update={"backend": "llamacpp", "gguf_file": FILE, "precision": "auto", "threads": 1, "context_tokens": 512}
    )


def write(folder: Path, out: Path, split: str = "gpt-2") -> None:
    """The model in `folder`, written by `tiny.save`, as the GGUF file `out`."""
    import gguf
    from transformers import AutoTokenizer

    config = json.loads((folder / "config.json").read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    tokens = tokenizer.convert_ids_to_tokens(list(range(config["vocab_size"])))
    writer = gguf.GGUFWriter(str(out), "llama")
    writer.add_type(gguf.GGUFType.MODEL)
    _shape(writer, config)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in state["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.eos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)
    for name, tensor in _tensors(folder, config):
        writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
