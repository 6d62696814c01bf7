"""From a profile's `[generator]` section to a model and its tokenizer, or a line that says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs import ROOT
from configs.errors import UserError
from configs.schema import Generator
from index.weights import resolve
from rag.generators.weights_cache import prepare


def load(section: Generator, cache: Path) -> tuple[Any, Any]:
    """The causal language model, in evaluation mode, and its tokenizer.

    With `section.adapter` the model is a `PeftModel` whose adapter can be switched off.
    Raises UserError where files are missing, the hub does not answer, the tokenizer has no chat
    template, the precision is not possible here, or the adapter belongs to another base model.
    """
    import torch
    import transformers

    place = locate(section, cache)
    options = _precision(section, torch)
    with reading(section.model):
        tokenizer = _tokenizer(section, place)
        model = transformers.AutoModelForCausalLM.from_pretrained(place, **options)
        if section.adapter:
            model = with_adapter(model, section.adapter)
    return model.eval(), tokenizer


@contextmanager
def reading(name: str) -> Iterator[None]:
    """While weights of the model called `name` are read: no progress bars, and a failure becomes a UserError."""
    import transformers
    from safetensors import SafetensorError

    try:
        with _quiet(transformers):
            yield
    except OSError as error:
        raise _missing(name, error) from None
    except ImportError as error:
        raise UserError(f"{name}: {error}") from None
    except (ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{name}: cannot be loaded as a language model: {_line(error)}") from None


def _tokenizer(section: Generator, place: str) -> Any:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    if not tokenizer.chat_template:
        raise UserError(f"{section.model}: its tokenizer has no chat template; choose an instruct or chat model")
    return tokenizer


def adapter_template(section: Generator) -> str | None:
    """The chat template that lies beside the adapter, for one trained in another format than its base model's."""
    if not section.adapter:
        return None
    path = adapter_folder(section.adapter) / "chat_template.jinja"
    return path.read_text("utf-8") if path.is_file() else None


def tokenizer_of(section: Generator, cache: Path) -> Any:
    """The tokenizer alone. Raises UserError as `load` does."""
    place = locate(section, cache)
    with reading(section.model):
        return _tokenizer(section, place)


def locate(section: Generator, cache: Path) -> str:
    """Where `from_pretrained` finds the model: a folder's path (unpacked there if it is GGUF), or a hub id."""
    place = resolve(section.model)
    folder = Path(place).expanduser()
    if folder.is_dir():
        if section.gguf_file:
            return str(prepare(folder, section.gguf_file, cache))
        if not (folder / "config.json").is_file():
            raise UserError(f"{section.model}: the folder has no config.json, so it is not a model")
        return str(folder)
    if folder.is_absolute() or place.startswith((".", "~")) or place.count("/") != 1:
        raise UserError(f"{section.model}: no such folder (generator.model is a folder, a hub id or package:NAME)")
    if section.gguf_file:
        raise UserError(f"{section.model}: generator.gguf_file is for local folders and packages, not for hub ids")
    return place


def _precision(section: Generator, torch: Any) -> dict[str, Any]:
    """Options for `from_pretrained`."""
    cuda = torch.cuda.is_available()
    precision: str = section.cuda_precision if cuda and section.cuda_precision else section.precision
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    options: dict[str, Any] = {"device_map": {"": 0}} if cuda else {}
    if precision == "auto" or (precision == "int8" and not cuda):
        return options | {"dtype": types[_best(torch, cuda)]}
    if precision not in ("nf4", "int8"):
        return options | {"dtype": types[precision]}
    if not cuda:
        raise UserError(
            f"generator.precision={precision} needs a CUDA GPU, and none was found; "
            "use generator.precision=auto, or PROFILE=embedded"
        )
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise UserError(f"generator.precision={precision} needs bitsandbytes: pip install -e '.[torch]'") from None
    from transformers import BitsAndBytesConfig

    compute = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    four = precision == "nf4"
    quantization = BitsAndBytesConfig(
        load_in_4bit=four,
        load_in_8bit=not four,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=four,
        bnb_4bit_compute_dtype=compute,
    )
    return options | {"dtype": compute, "quantization_config": quantization}


def _best(torch: Any, cuda: bool) -> str:
    """bf16 where the hardware multiplies it; a CPU that has to convert it first is faster in fp32."""
    if cuda:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    cpu = torch.cpu
    return "bf16" if cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported() else "fp32"


def with_adapter(model: Any, adapter: str) -> Any:
    from peft import PeftModel

    folder = adapter_folder(adapter)
    config, _, shapes, other = adapter_parts(adapter, folder)
    sizes = {
        name: (getattr(module, "in_features", None), getattr(module, "out_features", None))
        for name, module in model.named_modules()
    }
    check_fit(sizes, shapes, config, other)
    try:
        wrapped = PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=False)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{other} [{_line(error)}]") from None
    for name, weight in wrapped.named_parameters():
        if "lora_" in name:  # peft keeps what the file has; mixed types would be converted at every step
            weight.data = weight.data.to(model.dtype)
    return wrapped


Shapes = dict[str, dict[str, tuple[int, ...]]]
"""Shapes of an adapter's matrices: module, then "A" or "B"."""


def adapter_parts(adapter: str, folder: Path) -> tuple[dict[str, Any], Path, Shapes, str]:
    """An adapter's config, weight file, shapes, and what to say where it fits another base model only.

    Raises UserError where a file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"generator.adapter: no adapter_config.json in {adapter}, so it is not an adapter") from None
    except (OSError, ValueError):
        raise UserError(f"generator.adapter: {folder / 'adapter_config.json'} cannot be read") from None
    other = (
        f"generator.adapter: {adapter} was made for another base model "
        f"({config.get('base_model_name_or_path') or 'unnamed'}); choose the profile it was trained with"
    )
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        raise UserError(f"generator.adapter: no adapter_model.safetensors in {adapter}")
    shapes: Shapes = {}
    try:
        with safe_open(str(weights), "np") as file:
            for key in file.keys():  # noqa: SIM118 - not a mapping
                name, mark, part = key.removeprefix("base_model.model.").partition(".lora_")
                if mark:
                    shapes.setdefault(name, {})[part[0]] = tuple(file.get_slice(key).get_shape())
    except SafetensorError as error:
        raise UserError(f"generator.adapter: {weights} is damaged ({_line(error)}); copy it again") from None
    return config, weights, shapes, other


def check_fit(
    sizes: Mapping[str, tuple[int | None, int | None]], shapes: Shapes, config: dict[str, Any], other: str
) -> None:
    """Every module the adapter has must be in the model with its shape, and the other way round: peft only warns.

    `sizes` are the model's modules as (inputs, outputs). Raises UserError(`other`).
    """
    for name, parts in shapes.items():
        if "A" in parts and "B" in parts and sizes.get(name, (None, None)) != (parts["A"][1], parts["B"][0]):
            raise UserError(other)
    targets = config.get("target_modules")
    if isinstance(targets, list) and not config.get("layers_to_transform"):
        # By PEFT's rule a target is a module's whole name, as "all-linear" is saved, or the last parts of it.
        ends = {name: {name.split(".", cut)[-1] for cut in range(name.count(".") + 1)} for name in sizes}
        wanted = {name for name in sizes if ends[name] & set(targets)}
        if wanted != set(shapes):
            raise UserError(other)


def adapter_folder(adapter: str) -> Path:
    """The adapter's folder: a path, one inside the project (`finetune/adapters/embedded`), or fetched from the hub."""
    for folder in (Path(adapter).expanduser(), ROOT / adapter):
        if folder.is_dir():
            return folder
    return _from_hub(adapter)


def _from_hub(adapter: str) -> Path:
    if adapter.count("/") != 1 or adapter.startswith((".", "~", "/")):
        raise UserError(f"generator.adapter: no such folder {adapter}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(adapter))
    except (OSError, ValueError) as error:
        raise UserError(
            f"generator.adapter: no such folder {adapter}, and the model hub does not give it ({_line(error)})"
        ) from None


def _missing(model: str, error: OSError) -> UserError:
    text = str(error)
    if "gated" in text.lower():
        return UserError(f"{model}: the hub asks you to accept its license; do so on its page, then `hf auth login`")
    if Path(model).expanduser().is_dir() or model.startswith("package:"):
        return UserError(f"{model}: its files are incomplete or damaged: {_line(error)}")
    return UserError(
        f"{model}: not on this machine, and the model hub does not give it; connect to the network once, "
        f"check the name, or use PROFILE=embedded, which needs no hub"
    )


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."


class _quiet:
    """Progress bars off while weights load: a second's work, and stderr is the user's."""

    def __init__(self, transformers: Any) -> None:
        self.logging = transformers.utils.logging

    def __enter__(self) -> None:
        self.was = self.logging.is_progress_bar_enabled()
        self.logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        if self.was:
            self.logging.enable_progress_bar()
