"""An adapter merged into its base model, for other programs.

    python -m finetune export --to merged|gguf|ollama [--quant f16|q8_0|q4_1] [--adapter FOLDER] [--out FOLDER]

Adapters are merged into the unquantized base. Every export is written aside and renamed when it is whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs import files
from configs.errors import UserError
from configs.schema import Generator
from finetune import card, gguf_file
from finetune.store import MANIFEST, read_manifest
from index import identity
from rag import prompt
from rag.generators.loading import adapter_folder, adapter_template, locate, reading

Say = Callable[[str], None]


def merged(section: Generator, models: Path, out: Path) -> Path:
    """Base model and adapter as one model in `out`: bf16 safetensors, tokenizer, chat template, card.

    Raises UserError where the profile has no adapter, it does not fit, or `out` cannot be written.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rag.generators.loading import with_adapter

    if not section.adapter:
        raise UserError("no adapter to merge; train one (make finetune) or name it: --adapter FOLDER")
    adapter = adapter_folder(section.adapter)
    place = locate(section, models)
    with reading(section.model):
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = with_adapter(AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32), str(adapter))
        # Added in fp32: in bf16 most of an adapter's small changes would be rounded away.
        whole = model.merge_and_unload()
    own = adapter_template(section)
    if own:
        tokenizer.chat_template = own
    with _new(out) as folder:
        whole.to(torch.bfloat16 if not section.gguf_file else torch.float16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        manifest = read_manifest(adapter) if (adapter / MANIFEST).exists() else None
        if manifest:
            files.write(folder / "README.md", card.text(manifest, merged=True))
            files.write_json(folder / "medcite.json", manifest)
    return out


def gguf(section: Generator, models: Path, out: Path, quantization: str = "f16") -> Path:
    """The merged model as one GGUF file `out`, in f16, q8_0 or q4_1. Raises UserError as `merged`."""
    from index.weights import resolve

    if quantization not in gguf_file.KINDS:
        raise UserError(f"--quant {quantization}: there are {', '.join(gguf_file.KINDS)}")
    base = Path(resolve(section.model)) / section.gguf_file if section.gguf_file else None
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".merging-") as scratch:
        folder = merged(section, models, Path(scratch) / "model")
        with _room(out), files.aside(out) as new:
            gguf_file.write(folder, new, quantization, base)
    return out


def ollama(section: Generator, models: Path, out: Path, quantization: str = "q8_0") -> Path:
    """A folder that Ollama creates a model from: the GGUF file and a Modelfile."""
    with _new(out) as folder:
        name = f"model-{quantization}.gguf"
        gguf(section, models, folder / name, quantization)
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(locate(section, models))
        tokenizer.chat_template = adapter_template(section) or tokenizer.chat_template
        files.write(folder / "Modelfile", modelfile(name, tokenizer, section))
    return out


def modelfile(weights: str, tokenizer: Any, section: Generator) -> str:
    """An Ollama Modelfile: weights, template in Go's syntax, stops, greedy decoding, the grounded instruction."""
    turns = _go_template(tokenizer)
    stops = sorted({tokenizer.eos_token, *turns[1]} - {None})
    lines = [
        f"FROM ./{weights}",
        f'TEMPLATE """{turns[0]}"""',
        f'SYSTEM """{prompt.SYSTEM}"""',
        "PARAMETER temperature 0",
        f"PARAMETER num_ctx {section.context_tokens}",
        f"PARAMETER num_predict {section.max_new_tokens}",
        *(f'PARAMETER stop "{stop}"' for stop in stops),
        f'LICENSE """Apache-2.0; {_trained_on(section)}Not medical advice: outside medcite nothing checks '
        'what this model writes."""',
    ]
    return "\n".join(lines) + "\n"


def _trained_on(section: Generator) -> str:
    """What the adapter was trained on and its license, in a sentence; nothing without an adapter."""
    adapter = adapter_folder(section.adapter) if section.adapter else None
    if adapter is None or not (adapter / MANIFEST).exists():
        return ""
    lines = identity.licenses(card.parts(read_manifest(adapter)))
    return f"trained on {'; '.join(lines)}. ".replace('"', "'") if lines else ""


def _go_template(tokenizer: Any) -> tuple[str, list[str]]:
    """The tokenizer's chat template for one exchange in Go's syntax, and the marks that end a turn.

    Read off a rendered example, so that it is the template's own, whatever that is.
    """
    system, user = "\x00system\x00", "\x00user\x00"
    turns = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    before, _, rest = whole.partition(system)
    between, _, after = rest.partition(user)
    end = tokenizer.eos_token if between.startswith(tokenizer.eos_token or "\x00") else ""
    head = between[len(end) :].lstrip("\n") if end else between
    gap = between[: len(between) - len(head)]
    text = f"{{{{ if .System }}}}{before}{{{{ .System }}}}{gap}{{{{ end }}}}{head}{{{{ .Prompt }}}}{after}"
    return text + "{{ .Response }}" + (tokenizer.eos_token or ""), [end] if end else []


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` when the block ends well. Raises UserError where `out` exists."""
    if out.exists():
        raise UserError(f"{out}: exists already; name another folder with --out or delete it")
    with _room(out), files.folder(out, over=False) as place:
        yield place


@contextmanager
def _room(out: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        with files.said(out):
            yield
    except SafetensorError as error:
        raise UserError(f"{out}: cannot be written: {' '.join(str(error).split())[:160]}") from None
