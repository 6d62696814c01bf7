"""A small random BERT as a sentence-transformers folder."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from configs.schema import Embedder

WORDS = ["gout", "asthma", "what", "is", "lungs", "pain", "fever", "of", "the", "an"]


def save(folder: Path, **config: Any) -> Embedder:
    """Write the model into `folder`, two layers and 32 dimensions unless told otherwise; the section that names it."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase), ".", ",", "?", "é"]
    vocabulary = {piece: row for row, piece in enumerate([*special, *pieces, *WORDS])}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(strip_accents=False)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
        "max_position_embeddings": 40, "initializer_range": 0.3,
    }  # fmt: skip
    model = BertModel(BertConfig(vocab_size=len(vocabulary), **{**shape, **config})).eval()
    for value in model.parameters():  # biases and norms start as 0 and 1, and would hide what is mixed up
        value.data += 0.1 * torch.randn_like(value)
    model.save_pretrained(folder)
    kinds = "sentence_transformers.models"
    stages = [
        {"idx": 0, "name": "0", "path": "", "type": f"{kinds}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kinds}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{kinds}.Normalize"},
    ]
    (folder / "modules.json").write_text(json.dumps(stages))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    pooling = {"word_embedding_dimension": model.config.hidden_size, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return Embedder(
        model=str(folder), dimensions=model.config.hidden_size, max_tokens=32, backend="onnxruntime", precision="fp32"
    )
