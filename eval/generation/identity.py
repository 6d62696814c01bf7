"""What decides a draft besides its prompt, and which adapters may be asked what. No command of its own."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from configs import files
from configs.errors import UserError
from configs.schema import Profile
from rag.versions import GENERATION_VERSION

if TYPE_CHECKING:
    from index.splits import Splits

FIRST_GENERATION = (
    "25829891365875a00d6e6a679743a113c788a6e958843562d0cfb4b14fb9ced4",
    "d5d75d5d10d64276ece812662061380a556b8f4e460931db61a648cba0c35077",
)
"""What drafts of generation version 1 are kept under: digests of the code that made the first of them."""

OF_ANSWERS = ("slots", "threads", "prompt_lookup")
"""Settings of how people are answered, which decide no draft."""


def generator_identity(profile: Profile, models: Path) -> str:
    """What decides a greedy draft besides its prompt: both models, settings, arithmetic, libraries, GENERATION_VERSION.

    `models` is the folder of unpacked weights. Reads every file of both models. Raises UserError where one is missing.
    """
    import torch

    from rag.generators.loading import adapter_folder, locate

    section = profile.generator
    # Drafts are transformers', whatever answers people, and how.
    settings = section.model_dump(exclude={"adapter", "backend"})
    settings |= {name: type(section).model_fields[name].default for name in OF_ANSWERS}
    cuda = torch.cuda.is_available()
    place = Path(locate(section, models))
    parts = {
        "settings": settings,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        # On a CPU `int8` and `auto` are kept as what the processor multiplies best.
        "bf16": not cuda and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()),
        "base": _content(place) if place.is_dir() else str(place),
        "adapter": _content(adapter_folder(section.adapter)) if section.adapter else "",
        "libraries": {name: version(name) for name in ("torch", "transformers", "peft")},
        "code": FIRST_GENERATION if GENERATION_VERSION == 1 else GENERATION_VERSION,
    }
    return json.dumps(parts, sort_keys=True)


def _content(folder: Path) -> str:
    """SHA-256 over the files from which a model, adapter or tokenizer is loaded: not its card, manifest or plots."""
    lines = []
    for path in sorted(folder.iterdir()):
        own = path.suffix in {".safetensors", ".bin", ".gguf", ".model", ".jinja", ".txt"} or (
            path.suffix == ".json" and path.name != "manifest.json"
        )
        if own and path.is_file():
            lines.append(f"{path.name} {files.digest_file(path)}\n")
    return files.digest("".join(lines))


def same_splits(adapter: str | None, splits: Splits) -> None:
    """Raise UserError for an adapter that was trained on other splits: it may have learnt what is asked."""
    from finetune.store import MANIFEST, read_manifest
    from rag.generators.loading import adapter_folder

    if not adapter or not (adapter_folder(adapter) / MANIFEST).exists():
        return
    known = read_manifest(adapter_folder(adapter))
    others = [part["splits"] for part in (known, *known.get("continues", [])) if part["splits"] != splits.hash]
    if others:
        again = 'make finetune ARGS="--by row"' if splits.by == "row" else "make finetune"
        raise UserError(
            f"{adapter}: trained on other splits ({others[0][:12]}) than those asked from ({splits.hash[:12]}, by "
            f"{splits.by}); what it is asked may have been learnt: train one on this corpus and these splits "
            f"({again}), or leave it out (--modes base,base+rag,extractive)"
        )


def adapter_digest(folder: Path) -> str:
    """SHA-256 of an adapter's weights. Raises UserError where they are missing."""
    path = folder / "adapter_model.safetensors"
    try:
        return files.digest_file(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; train the adapter again (make finetune)") from None
