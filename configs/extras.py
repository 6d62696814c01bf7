"""What the base install leaves out: which extra of pyproject.toml brings a module, and how a person is told.

    need("matplotlib", "plots")
    from matplotlib.figure import Figure

Answering needs the base alone. `tests/configs/test_packages.py` holds this table to pyproject.toml and the imports.
"""

from __future__ import annotations

from importlib.util import find_spec

from configs.errors import UserError

EXTRAS = {
    "accelerate": "train",
    "bitsandbytes": "train",
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
    "starlette": "app",
    "uvicorn": "app",
}
"""Modules by the name they are imported under. The extra `eval` has all of `train` too."""


def need(module: str, what: str) -> None:
    """Make sure that an optional module is there before it is imported. Raises UserError, naming `what` needs it."""
    if find_spec(module) is None:
        raise UserError(f"{what}: {missing(module)}")


def missing(module: str) -> str:
    """What to do about a module of EXTRAS that is not installed."""
    return f"the package {module} is not installed; run: pip install -e '.[{EXTRAS[module]}]'"
