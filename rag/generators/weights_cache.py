"""GGUF weights unpacked once, so that every later start takes a second instead of half a minute.

The copy is a folder of safetensors, named by the GGUF file's content, written whole or not at all:
`prepare(folder, "model.gguf", Path("data/models"))`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from configs import files
from configs.errors import UserError

FORMAT = 1
MANIFEST = "medcite.json"
"""Written last: a folder without it is not a finished copy."""


def prepare(folder: Path, gguf_file: str, cache: Path) -> Path:
    """The folder, under `cache`, of the unpacked bf16 copy of `folder/gguf_file` with its tokenizer.

    Made on first use (10 to 30 s for a model of 135M parameters on two cores).
    Raises UserError where the file is missing, damaged, or `cache` cannot be written.
    """
    source = folder / gguf_file
    if not source.is_file():
        raise UserError(f"generator.gguf_file: no file {gguf_file!r} in {folder}")
    digest = files.digest_file(source)
    target = cache / f"{source.stem}-{digest[:16]}"
    if _finished(target, digest):
        return target
    with files.said(cache, "unpacked weights cannot be kept here"):
        cache.mkdir(parents=True, exist_ok=True)
        if target.exists() and not _finished(target, digest):
            shutil.rmtree(target)
    try:
        with files.folder(target, over=False) as work:
            _unpack(folder, gguf_file, work)
            files.write_json(work / MANIFEST, {"format": FORMAT, "gguf": gguf_file, "sha256": digest})
    except OSError as error:
        if not _finished(target, digest):  # else another process made the same copy first
            raise UserError(f"{cache}: unpacking {gguf_file} failed: {error.strerror or error}") from None
    return target


def _finished(target: Path, digest: str) -> bool:
    try:
        manifest = json.loads((target / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(manifest == {"format": FORMAT, "gguf": manifest.get("gguf"), "sha256": digest})


def _unpack(folder: Path, gguf_file: str, work: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf_file)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            gguf_file=gguf_file,
            quantization_config=GgufConfig(dequantize=True),  # else the weights stay packed and cannot be saved
            dtype=torch.bfloat16,
        )
    except (ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise UserError(f"{folder / gguf_file}: not a GGUF file that can be read ({error})") from None
    model.save_pretrained(work)
    tokenizer.save_pretrained(work)
