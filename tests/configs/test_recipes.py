"""Recipes and sweeps: every one that ships loads, says what its origin said, and every mistake is named."""

from __future__ import annotations

import pytest

from configs.errors import UserError
from configs.recipes import load_recipe, recipe_names
from finetune.formats import FORMATS
from finetune.sweep import load_sweep, runs, sweep_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_names_its_origin(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.origin
    assert recipe.data.format in FORMATS


def test_the_reports_recipes_ship() -> None:
    reports = {"exir", "kariza", "jeanrobert", "qureshi-llama3", "qureshi-mistral", "medgenius"}
    assert set(recipe_names()) == {"grounded", "grounded-full", "reading", *reports}


STATED = {
    "exir": {
        "lora": {"r": 8, "alpha": 16, "dropout": 0.1},
        "optimizer": {"name": "adamw", "learning_rate": 1e-3, "schedule": "linear", "warmup_steps": 100},
        "schedule": {"epochs": 3},
        "data": {"max_tokens": 512},
    },
    "kariza": {
        "lora": {"r": 16, "targets": ("q_proj", "k_proj", "v_proj", "o_proj")},
        "weights": {"quantization": "nf4", "precision": "fp16"},
        "optimizer": {"name": "paged_adamw", "learning_rate": 1.5e-4, "schedule": "cosine"},
        "schedule": {"batch": 4, "epochs": 2},
    },
    "jeanrobert": {
        "lora": {"r": 8, "alpha": 16, "dropout": 0.05, "targets": ("q_proj", "k_proj", "v_proj")},
        "weights": {"quantization": "nf4", "precision": "bf16"},
        "optimizer": {"learning_rate": 2e-4},
        "schedule": {"max_steps": 400},
        "data": {"format": "instruction"},
    },
    "qureshi-llama3": {
        "lora": {"r": 16, "alpha": 16, "dropout": 0.0, "targets": "all-linear"},
        "optimizer": {"name": "adamw_8bit", "learning_rate": 2e-4, "schedule": "linear", "warmup_ratio": 0.1},
        "schedule": {"batch": 2, "accumulation": 4},
        "data": {"max_tokens": 2048, "format": "llama3"},
    },
    "qureshi-mistral": {
        "lora": {"r": 8, "alpha": 16, "dropout": 0.05, "targets": ("q_proj", "k_proj", "v_proj", "o_proj")},
        "optimizer": {"name": "paged_adamw_8bit", "learning_rate": 2e-4, "schedule": "cosine", "warmup_steps": 100},
        "schedule": {"batch": 4, "accumulation": 8, "epochs": 3},
    },
    "medgenius": {
        "lora": {"r": 16, "alpha": 32, "dropout": 0.05, "targets": "all-linear"},
        "optimizer": {
            "name": "adamw_8bit",
            "learning_rate": 2e-4,
            "schedule": "cosine",
            "warmup_ratio": 0.03,
            "weight_decay": 0.01,
            "max_grad_norm": 0.3,
        },
        "schedule": {"batch": 4, "accumulation": 8, "epochs": 3},
    },
}
"""What each report states, field by field."""


@pytest.mark.parametrize("name", STATED)
def test_a_reports_recipe_is_faithful(name: str) -> None:
    recipe = load_recipe(name)
    for section, fields in STATED[name].items():
        for field, value in fields.items():
            assert getattr(getattr(recipe, section), field) == value, f"{section}.{field}"


def test_jeanroberts_step_is_32_examples_and_qureshis_second_run_is_an_override() -> None:
    schedule = load_recipe("jeanrobert").schedule
    assert schedule.batch * schedule.accumulation == 32
    other = load_recipe("qureshi-llama3", ["lora.r=64", "lora.alpha=128", "lora.rslora=true"]).lora
    assert (other.r, other.alpha, other.rslora) == (64, 128, True)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["lora.rank=8"], "lora.rank"),
        (["optimizer.learning_rate=-1"], "optimizer.learning_rate"),
        (["data.format=latin"], "data.format"),
        (["data.closed=0.9"], "must be 1"),
        (["data.max_tokens=256"], "max_prompt_tokens must be less"),
        (["magic=1"], "magic"),
        (["lora"], "override 'lora'"),
    ],
)
def test_a_wrong_field_is_refused_by_name(overrides: list[str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        load_recipe("grounded", overrides)


def test_an_unknown_recipe_is_told_what_there_is() -> None:
    with pytest.raises(UserError, match=r"no recipe 'gpt'.*grounded"):
        load_recipe("gpt")


@pytest.mark.parametrize("name", sweep_names())
def test_every_shipped_sweep_loads_and_each_run_is_another_recipe(name: str) -> None:
    sweep = load_sweep(name)
    chosen = runs(sweep)
    assert sweep.origin
    assert len({run.id for run in chosen}) == len(chosen) > 1
    assert chosen[0].values == {field: values[0] for field, values in sweep.factors.items()}


def test_one_at_a_time_varies_one_and_a_grid_all() -> None:
    exir = load_sweep("exir")
    reference = {field: values[0] for field, values in exir.factors.items()}
    for run in runs(exir)[1:]:
        assert sum(run.values[field] != reference[field] for field in reference) == 1
    assert len(runs(exir)) == 1 + sum(len(values) - 1 for values in exir.factors.values())
    assert len(runs(load_sweep("qureshi"))) == 8


def test_a_sweep_over_a_field_that_no_recipe_has_is_refused(tmp_path: object) -> None:
    sweep = load_sweep("exir").model_copy(update={"factors": {"lora.rank": [1, 2]}})
    with pytest.raises(UserError, match=r"lora\.rank"):
        runs(sweep)
