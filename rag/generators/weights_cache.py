"""GGUF weights unpacked once, so that every later start takes a second instead of half a minute.

The copy is a folder of safetensors, named by the GGUF file's content, written whole or not at all:
`prepare(folder, "model.gguf", Path("data/models"))`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

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
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    target = cache / f"{source.stem}-{digest[:16]}"
    if _finished(target, digest):
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=cache))
    except OSError as error:
        raise UserError(f"{cache}: unpacked weights cannot be kept here: {error.strerror}") from None
    try:
        _unpack(folder, gguf_file, work)
        (work / MANIFEST).write_text(json.dumps({"format": FORMAT, "gguf": gguf_file, "sha256": digest}), "utf-8")
        if target.exists() and not _finished(target, digest):
            shutil.rmtree(target)
        try:
            os.rename(work, target)
        except OSError:
            if not _finished(target, digest):  # else another process made the same copy first
                raise
    except OSError as error:
        raise UserError(f"{cache}: unpacking {gguf_file} failed: {error.strerror or error}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
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
