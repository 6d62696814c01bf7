"""The frozen model that an adapter is trained on, in the precision that this machine has.

`adapted(recipe)` says what a recipe asks for that this machine lacks, and what is used instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from configs.errors import UserError
from configs.recipes import Recipe
from configs.schema import Generator


def adapted(recipe: Recipe, cuda: bool) -> tuple[Recipe, list[str]]:
    """The recipe as this machine can run it, and a line for each thing that it lacks and its stand-in."""
    notes: list[str] = []
    weights, optimizer = recipe.weights, recipe.optimizer
    if not cuda:
        if weights.quantization != "none":
            notes.append(
                f"weights.quantization={weights.quantization} needs CUDA to be of use; the weights stay unquantized"
            )
            weights = weights.model_copy(update={"quantization": "none"})
        if weights.precision == "fp16":
            notes.append("weights.precision=fp16 needs CUDA; auto is taken")
            weights = weights.model_copy(update={"precision": "auto"})
        if weights.precision == "bf16" and _auto(cuda) != "bf16":
            # A step of 192 tokens: 60 s emulated, 4 s in fp32 (two cores with AVX2).
            notes.append("weights.precision=bf16 is only emulated by this processor; fp32 is taken")
            weights = weights.model_copy(update={"precision": "fp32"})
        if optimizer.name in ("adamw_8bit", "paged_adamw", "paged_adamw_8bit"):
            notes.append(f"optimizer.name={optimizer.name} needs CUDA; adamw is taken")
            optimizer = optimizer.model_copy(update={"name": "adamw"})
    elif weights.precision == "auto":
        weights = weights.model_copy(update={"precision": _auto(cuda)})
    return recipe.model_copy(update={"weights": weights, "optimizer": optimizer}), notes


def load(section: Generator, recipe: Recipe, cache: Path) -> Any:
    """The base model with the recipe's LoRA on it, adapters in fp32, ready to train.

    Raises UserError where the model cannot be had, or has no layer of a name that the recipe targets.
    """
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from rag.generators.loading import locate, reading

    place = locate(section, cache)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision_of(recipe)]
    options: dict[str, Any] = {"dtype": dtype}
    quantized = recipe.weights.quantization
    if quantized != "none":
        options["quantization_config"] = _quantization(quantized, dtype)
    with reading(section.model):
        model = AutoModelForCausalLM.from_pretrained(place, **options)
    model.config.use_cache = False
    return get_peft_model(model, lora_config(recipe, model, section.model))


def begin_with(model: Any, adapter: Path) -> None:
    """Give a freshly made LoRA model the weights of an adapter of the same shape.

    Raises UserError where the adapter is not whole or its shape is another.
    """
    from peft import PeftConfig, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    from finetune.store import WEIGHTS, read_manifest

    read_manifest(adapter)
    theirs = PeftConfig.from_pretrained(str(adapter))
    ours = model.peft_config["default"]
    for name in ("r", "lora_alpha", "use_rslora"):
        if getattr(theirs, name) != getattr(ours, name):
            raise UserError(
                f"{adapter}: has {name} {getattr(theirs, name)}, the recipe {getattr(ours, name)}; make them the same"
            )
    weights = {name: weight.float() for name, weight in load_file(str(adapter / WEIGHTS)).items()}
    wanted = get_peft_model_state_dict(model)
    if {n: w.shape for n, w in weights.items()} != {n: w.shape for n, w in wanted.items()}:
        raise UserError(f"{adapter}: adapts other layers than the recipe's lora section does; make them the same")
    set_peft_model_state_dict(model, weights)


def lora_config(recipe: Recipe, model: Any, name: str) -> Any:
    """PEFT's configuration of the recipe. Raises UserError where the model lacks a target."""
    from peft import LoraConfig

    lora = recipe.lora
    blocks = int(model.config.num_hidden_layers)
    first = int(lora.first_layer * blocks) if lora.first_layer < 1 else int(lora.first_layer)
    if first >= blocks:
        raise UserError(f"lora.first_layer={lora.first_layer}: {name} has {blocks} blocks, numbered from 0")
    targets: Any
    if lora.targets == "all-linear" and first:
        targets = sorted(_linear(model))
    elif lora.targets == "all-linear":
        targets = "all-linear"
    else:
        targets = list(lora.targets)
        layers = {module.rpartition(".")[2] for module, _ in model.named_modules()}
        missing = [target for target in targets if target not in layers]
        if missing:
            raise UserError(f"lora.targets: {name} has no layer named {missing[0]!r}; choose all-linear")
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        use_rslora=lora.rslora,
        layers_to_transform=list(range(first, blocks)) if first else None,
        bias="none",
        task_type="CAUSAL_LM",
    )


def _linear(model: Any) -> set[str]:
    """Names of the linear layers, the head left out: what PEFT means by all-linear, spelt out to choose blocks."""
    from torch.nn import Linear

    head = model.get_output_embeddings()
    return {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, Linear)} - {
        name.rpartition(".")[2] for name, module in model.named_modules() if module is head
    }


def precision_of(recipe: Recipe) -> Literal["bf16", "fp16", "fp32"]:
    """The precision that a recipe is trained in on this machine."""
    import torch

    asked = recipe.weights.precision
    return _auto(torch.cuda.is_available()) if asked == "auto" else asked


def _auto(cuda: bool) -> Literal["bf16", "fp16", "fp32"]:
    """bf16 where the hardware multiplies it, else fp16 on CUDA (with a scaled loss) and fp32 on a CPU."""
    import torch

    from index.embedder import native_precision

    if cuda:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if native_precision("cpu") == "bf16" else "fp32"


def _quantization(kind: str, dtype: Any) -> Any:
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise UserError(f"weights.quantization={kind} needs bitsandbytes: pip install -e '.[train]'") from None
    from transformers import BitsAndBytesConfig

    four = kind == "nf4"
    return BitsAndBytesConfig(
        load_in_4bit=four,
        load_in_8bit=not four,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=four,
        bnb_4bit_compute_dtype=dtype,
    )
