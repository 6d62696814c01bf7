"""What the base install leaves out: which extra of pyproject.toml brings a module, and how a person is told.

    need("matplotlib", "plots")
    from matplotlib.figure import Figure

On a CPU the profile `embedded` answers with the base alone. `tests/configs/test_packages.py` holds this table to
pyproject.toml and the imports.
"""

from __future__ import annotations

from importlib.util import find_spec

from configs.errors import UserError

EXTRAS = {
    "peft": "torch",
    "sentence_transformers": "torch",
    "torch": "torch",
    "transformers": "torch",
    "accelerate": "train",
    "bitsandbytes": "torch",
    "datasets": "train",
    "httpx2": "train",
    "matplotlib": "train",
    "trl": "train",
    "bert_score": "eval",
    "rouge_score": "eval",
    "sacrebleu": "eval",
    "evaluate": "eval",
    "scipy": "eval",
    "sklearn": "eval",
    "textstat": "eval",
    "fastapi": "app",
    "gradio": "app",
    "mcp": "app",
    "prometheus_client": "app",
    "starlette": "app",
    "uvicorn": "app",
}
"""Modules by the name they are imported under. The extra `train` has all of `torch`, and `eval` all of `train`."""


OR = "; or use PROFILE=embedded, which needs no torch"


def need(module: str, what: str, otherwise: str = "") -> None:
    """Make sure that an optional module is there before it is imported.

    Raises UserError that names `what` needs it, and `otherwise`, how to do without.
    """
    if find_spec(module) is None:
        raise UserError(f"{what}: {missing(module)}{otherwise}")


def missing(module: str) -> str:
    """What to do about a module of EXTRAS that is not installed."""
    return f"the package {module} is not installed; run: pip install -e '.[{EXTRAS[module]}]'"
