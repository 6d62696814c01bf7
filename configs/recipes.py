"""Training recipes: one TOML file each under `configs/recipes/`, all that decides a fine-tuning run.

    recipe = load_recipe("grounded", ["optimizer.learning_rate=5e-4"])

A recipe is saved beside the adapter that it made.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from configs import load_as, stems
from configs.schema import Section

RECIPES = Path(__file__).parent / "recipes"

Share = Annotated[float, Field(ge=0, le=1)]
Kind = Literal["closed", "grounded"]
Format = Literal["chat", "instruction", "mistral", "llama3"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "adafactor"]


class Data(Section):
    """What is learnt from (`finetune/data.py`)."""

    closed: Share = Field(1.0, description="share of closed-book examples: question to answer")
    grounded: Share = Field(0.0, description="share with numbered passages and an answer that cites them")
    format: Format = Field("chat", description="chat: the tokenizer's own template; the others as the reports had them")
    max_tokens: int = Field(1024, ge=64, description="of prompt and completion together")
    max_prompt_tokens: int = Field(768, ge=64, description="of a prompt with passages")
    max_answer_tokens: int = Field(256, ge=16, description="a longer answer ends at its last sentence that fits")
    forms: Share = Field(
        0.75,
        description="share of grounded questions in the forms of `finetune/forms.toml`; the others are the corpus's",
    )
    sources: int | None = Field(None, ge=1, description="most sources of a prompt; none: as many as the profile's")
    shuffled: Share = Field(0.3, description="share of prompts whose sources are in another order than their rank")
    headings: Literal["topic", "question"] = Field(
        "topic", description="what a source stands under; question: its page's own, as no prompt is when somebody asks"
    )
    questions: str | None = Field(
        None,
        description="a JSONL file of people's own questions, each with the ids of the `pairs` that answer it: those of "
        "the split (and of no other `part`) are examples, too",
    )
    even: bool = Field(False, description="pairs are drawn from each of the corpus's sources in turn, not as they come")
    examples: int | None = Field(None, ge=1, description="pairs drawn from the train split; none: all of them")

    @model_validator(mode="after")
    def _whole(self) -> Data:
        total = self.closed + self.grounded
        if abs(total - 1) > 1e-6:
            raise ValueError(f"closed + grounded must be 1, they are {total:g}")
        if self.closed < 1 and self.max_prompt_tokens >= self.max_tokens:
            raise ValueError("max_prompt_tokens must be less than max_tokens, or no answer fits after the passages")
        return self


class Lora(Section):
    """The adapter's shape."""

    r: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    rslora: bool = False
    first_layer: float = Field(
        0,
        ge=0,
        description="blocks before it get no adapter, so that nothing is computed backwards through them; "
        "under 1 it is a share of the blocks",
    )


class Weights(Section):
    """How the frozen weights are held."""

    quantization: Literal["none", "nf4", "int8"] = "none"
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="of what is computed; auto: bf16 where the hardware multiplies it, else fp32"
    )


class OptimizerSettings(Section):
    """How the adapter is moved."""

    name: Optimizer = "adamw"
    learning_rate: float = Field(gt=0)
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_steps: int = Field(0, ge=0)
    warmup_ratio: float = Field(0.0, ge=0, lt=1, description="of all steps; with warmup_steps at 0")
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)


class Loss(Section):
    """What counts how much."""

    decision: float = Field(
        1.0,
        ge=1,
        description="weight of the first tokens of an answer to a prompt with passages: they decide which source "
        "it begins with, and are 2 in 100 of what is learnt",
    )
    decision_tokens: int = Field(3, ge=1, description="how many tokens those are")


class Schedule(Section):
    """How long, in what steps, and when to look."""

    batch: int = Field(4, ge=1, description="examples a forward pass and device")
    accumulation: int = Field(1, ge=1, description="forward passes a step")
    epochs: float = Field(1.0, gt=0)
    max_steps: int | None = Field(None, ge=1, description="ends the run whatever `epochs` says")
    checkpoints: int = Field(10, ge=1, description="times in a run that validation loss is taken and a checkpoint kept")
    patience: int | None = Field(None, ge=1, description="checkpoints without a better validation loss before it stops")
    validation: int = Field(200, ge=1, description="examples of the validation split that the loss is taken on")
    packing: bool = Field(False, description="several examples in one row, each seeing only itself")
    gradient_checkpointing: bool = Field(False, description="less memory for a third more time")


class Recipe(Section):
    """Everything that decides a training run."""

    name: str
    description: str = ""
    origin: str = Field("", description="where its numbers come from")
    model: str = Field("", description="the backbone its origin trained, for the record; the profile decides")
    corpus: tuple[str, ...] = Field((), description="corpora its origin used, for the record; the command decides")
    seed: int = 0
    data: Data = Data()
    lora: Lora
    weights: Weights = Weights()
    optimizer: OptimizerSettings
    loss: Loss = Loss()
    schedule: Schedule = Schedule()


def recipe_names() -> list[str]:
    """The recipes that ship, by name."""
    return stems(RECIPES)


def load_recipe(name: str = "grounded", overrides: Iterable[str] = ()) -> Recipe:
    """A recipe by name or by the path of a TOML file, with `section.key=value` overrides.

    Raises UserError for an unknown recipe, an unknown key or an ill-typed value, by name.
    """
    return load_as(Recipe, name, RECIPES, "recipe", overrides)
