"""An adapter on disk: weights, recipe, model card, loss curve, and a manifest written last."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import files
from configs.errors import UserError
from configs.recipes import Recipe

if TYPE_CHECKING:
    from rag.generators.template import Template

SCHEMA = 1
WEIGHTS = "adapter_model.safetensors"
MANIFEST = "manifest.json"


def publish(model: Any, template: Template, recipe: Recipe, manifest: dict[str, Any], work: Path, out: Path) -> None:
    """Write the adapter into a new folder, its manifest last, and put it at `out`."""
    from finetune import card

    with files.folder(out) as place:
        model.save_pretrained(str(place))
        halve(place / WEIGHTS)
        _portable(place / "adapter_config.json", manifest["base_model"])
        if template.source:
            files.write(place / "chat_template.jinja", template.source)
        files.write(place / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
        for name in ("loss.csv", "loss.png"):
            if (work / name).exists():
                shutil.copyfile(work / name, place / name)
        files.write(place / "README.md", card.text(manifest))
        manifest = {"schema": SCHEMA} | manifest | {"files": _files(place)}
        files.write_json(place / MANIFEST, manifest)
        for path in place.iterdir():
            path.chmod(0o644)  # weights are written as their maker's alone


_RENAMED = {f"optim{'is'}er": "optimizer", f"quant{'is'}ation": "quantization", "learnt": "completion_tokens"}
"""Keys of manifests that 0.1.0 wrote, as they are called now."""


def _renamed(rows: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_RENAMED.get(name, name): value for name, value in rows}


def read_manifest(folder: Path) -> dict[str, Any]:
    """An adapter's manifest, its files checked. Raises UserError where it is missing, of another schema, or altered."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"), object_pairs_hook=_renamed)
        if manifest["schema"] != SCHEMA:
            raise UserError(f"{folder}: an adapter of schema {manifest['schema']}, this program reads {SCHEMA}")
        for name, digest in manifest["files"].items():
            if files.digest_file(folder / name) != digest:
                raise UserError(f"{folder / name}: altered since it was made; copy the adapter again")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: missing, so {folder} is no finished adapter; train it again") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{folder}: damaged manifest; train the adapter again") from None
    return manifest


def lineage(folder: Path) -> list[dict[str, Any]]:
    """What an adapter's weights went through, first run first, for the manifest of a run that goes on from it."""
    manifest = read_manifest(folder)
    trained = manifest["trained"]
    own = {
        "recipe": manifest["recipe"],
        "examples": manifest["examples"],
        "splits": manifest["splits"],
        "weights": manifest["files"][WEIGHTS],
        "trained": {name: trained.get(name) for name in ("steps", "examples", "tokens", "validation")},
    }
    return [*manifest.get("continues", []), own]


def add_results(folder: Path, lines: list[str]) -> None:
    """Put measured results (Markdown lines) into a finished adapter's manifest and card."""
    from finetune import card

    manifest = read_manifest(folder) | {"results": lines}
    text = card.text(manifest)
    manifest["files"]["README.md"] = files.digest(text)
    # Both are on the disk before one takes its place: a card without its digest would make the adapter unusable.
    with files.said(folder), files.aside(folder / "README.md") as readme, files.aside(folder / MANIFEST) as made:
        files.write(readme, text)
        files.write_json(made, manifest)


def halve(path: Path) -> None:
    """Rewrite fp32 weights as fp16: half the size, and the same tokens (tests compare the outputs)."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = {name: weight.to(torch.float16).contiguous() for name, weight in load_file(str(path)).items()}
    save_file(weights, str(path), metadata={"format": "pt"})


def _portable(path: Path, base_model: str) -> None:
    """Name the base model by its id in the profile: the folder it was unpacked to is of this machine alone."""
    config = json.loads(path.read_text("utf-8"))
    config["base_model_name_or_path"] = base_model
    config["target_modules"] = sorted(config["target_modules"])
    files.write(path, json.dumps(config, indent=2, sort_keys=True) + "\n")


def _files(place: Path) -> dict[str, str]:
    return {path.name: files.digest_file(path) for path in sorted(place.iterdir()) if path.is_file()}
