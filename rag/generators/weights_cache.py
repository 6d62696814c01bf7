"""GGUF weights unpacked once, so that every later start takes a second instead of half a minute.

The copy is a folder of safetensors, named by the GGUF file's content, written whole or not at all:
`prepare(folder, "model.gguf", Path("data/models"))`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    digest = digest_of(folder, gguf_file)
    return once(
        cache / f"{Path(gguf_file).stem}-{digest[:16]}",
        {"format": FORMAT, "gguf": gguf_file, "sha256": digest},
        lambda work: _unpack(folder, gguf_file, work),
    )


def digest_of(folder: Path, gguf_file: str) -> str:
    """SHA-256 of the GGUF file's bytes, in hex. Raises UserError where it is missing."""
    source = folder / gguf_file
    if not source.is_file():
        raise UserError(f"generator.gguf_file: no file {gguf_file!r} in {folder}")
    return files.digest_file(source)


def once(target: Path, manifest: dict[str, Any], make: Callable[[Path], None]) -> Path:
    """`target`, a folder that `make` fills where it is not there with this manifest: whole or not at all.

    `manifest["gguf"]`, the name of what the folder is made of, is for people: the same bytes under another name are
    the same copy. Raises UserError where the folder cannot be written, and what `make` raises.
    """
    with files.said(target.parent, "unpacked weights cannot be kept here"):
        if _finished(target, manifest):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
    try:
        with files.folder(target, over=False) as work:
            make(work)
            files.write_json(work / MANIFEST, manifest)
    except OSError as error:
        if not _finished(target, manifest):  # else another process made the same copy first
            why = error.strerror or error
            raise UserError(f"{target.parent}: unpacking {manifest['gguf']} failed: {why}") from None
    return target


def _finished(target: Path, manifest: dict[str, Any]) -> bool:
    try:
        found = json.loads((target / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {**found, "gguf": ""} == {**manifest, "gguf": ""}


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
