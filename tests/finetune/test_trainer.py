"""The trainer's parts: the loss, the masks, the packing, the order of batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.recipes import load_recipe, recipe_names
from finetune import base
from finetune.trainer import IGNORED, Collator, LengthGroupedSampler, PackingCollator, learn_completions
from tests.rag.generators import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    tiny.save(folder)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture
def learner(model: Any) -> Any:
    import copy

    own = copy.deepcopy(model)
    learn_completions(own)
    return own


def row(ids: list[int], prompt: int) -> dict[str, list[int]]:
    return {"input_ids": ids, "labels": [IGNORED] * prompt + ids[prompt:]}


LONG, SHORT = row([5, 9, 33, 77, 120, 8, 2], 3), row([44, 45, 61, 2], 2)


def test_the_loss_is_that_of_transformers_on_the_same_labels(model: Any, learner: Any) -> None:
    batch = Collator(pad=2)([LONG, SHORT])
    own = learner(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], learn=batch["labels"])
    learnt = int((batch["labels"][:, 1:] != IGNORED).sum())
    theirs = model(**batch).loss
    assert learnt == 6
    assert torch.allclose(own.loss / learnt, theirs, atol=1e-5)
    assert own.logits is None
    plain = learner(input_ids=batch["input_ids"])
    assert torch.allclose(plain.logits, model(input_ids=batch["input_ids"]).logits)


def test_the_gradient_reaches_an_adapter_as_it_does_with_transformers_loss(model: Any) -> None:
    import copy

    from peft import LoraConfig, get_peft_model

    grads = []
    batch = Collator(pad=2)([LONG, SHORT])
    for ours in (True, False):
        torch.manual_seed(0)
        config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
        tuned = get_peft_model(copy.deepcopy(model), config)
        if ours:
            learn_completions(tuned.get_base_model())
            given = {name: batch[name] for name in ("input_ids", "attention_mask")}
            loss = tuned(**given, learn=batch["labels"]).loss / (batch["labels"][:, 1:] != IGNORED).sum()
        else:
            loss = tuned(**batch).loss
        loss.backward()
        grads.append([p.grad for p in tuned.parameters() if p.requires_grad])
    assert grads[0]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))


def test_a_weighted_token_counts_so_many_times(model: Any, learner: Any) -> None:
    rows = [{**LONG, "weights": [0.0, 0.0, 0.0, 5.0, 5.0, 1.0, 1.0]}, {**SHORT, "weights": [0.0, 0.0, 1.0, 1.0]}]
    for collate in (Collator(pad=2), PackingCollator()):
        batch = collate(rows)
        assert batch["weights"].shape == batch["labels"].shape
        labels = batch.pop("labels")
        found = learner(**batch, learn=labels)
        logits = model(**{name: batch[name] for name in batch if name != "weights"}, use_cache=False).logits
        expected = plain = 0.0
        for line, at in zip(*torch.nonzero(labels[:, 1:] != IGNORED, as_tuple=True), strict=True):
            loss = torch.nn.functional.cross_entropy(logits[line, at], labels[line, at + 1])
            plain += float(loss)
            expected += float(loss) * float(batch["weights"][line, at + 1])
        assert expected > plain + 1
        assert float(found.loss) == pytest.approx(expected, rel=1e-4)
        assert float(found["plain_loss"]) == pytest.approx(plain, rel=1e-4)


def test_only_the_first_tokens_of_an_answer_to_passages_are_weighted() -> None:
    from datasets import Dataset

    from configs.recipes import Loss
    from finetune.train import _labeled

    ids = {"prompt_ids": [[1, 2], [3]], "completion_ids": [[4, 5, 6], [7, 8]]}
    rows = Dataset.from_dict({**ids, "kind": ["grounded", "closed"], "length": [5, 3]})
    weighed = _labeled(rows, Loss(decision=9, decision_tokens=2))
    assert weighed["weights"] == [[0, 0, 9, 9, 1], [0, 1, 1]]
    assert "weights" not in _labeled(rows, Loss()).column_names


def test_padding_is_known_by_the_mask_so_the_end_token_is_learnt() -> None:
    """TinyLlama pads with `</s>`, token 2, which is also how an answer ends."""
    batch = Collator(pad=2)([LONG, SHORT])
    assert batch["labels"][1].tolist() == [IGNORED, IGNORED, 61, 2, IGNORED, IGNORED, IGNORED]
    assert batch["attention_mask"][1].tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert batch["input_ids"][1].tolist() == [44, 45, 61, 2, 2, 2, 2]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_examples_do_not_see_each_other(model: Any, attention: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    tiny.save(tmp_path)
    packer = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, attn_implementation=attention).eval()
    learn_completions(packer)

    def loss(*rows: dict[str, list[int]]) -> float:
        packed = PackingCollator()(rows)
        given = {name: packed[name] for name in ("input_ids", "position_ids")}
        return float(packer(**given, learn=packed["labels"]).loss)

    with torch.no_grad():
        alone = loss(LONG) + loss(SHORT)
        assert loss(LONG, SHORT) == pytest.approx(alone, abs=1e-4)
        assert loss(SHORT, LONG) == pytest.approx(alone, abs=1e-4)
        other = row([7, 7, 7, 7, 7, 7, 2], 3)
        assert loss(other, SHORT) - loss(other) == pytest.approx(loss(SHORT), abs=1e-4)
    # The test can fail: with positions that run on, the second example sees the first.
    packed = PackingCollator()([LONG, SHORT])
    with torch.no_grad():
        running = packer(input_ids=packed["input_ids"], learn=packed["labels"]).loss
    assert abs(float(running) - alone) > 1e-3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=300), st.integers(1, 8), st.integers(0, 3))
def test_every_row_comes_once_an_epoch_in_an_order_of_its_own(lengths: list[int], batch: int, epoch: int) -> None:
    order = LengthGroupedSampler(lengths, batch, seed=1)
    order.set_epoch(epoch)
    first = list(order)
    assert sorted(first) == list(range(len(lengths)))
    assert list(order) == first
    assert len(order) == len(lengths)


def test_batches_are_of_like_length_and_epochs_differ() -> None:
    lengths = [50 + 37 * n % 800 for n in range(512)]
    order = LengthGroupedSampler(lengths, 4, seed=0)
    rows = list(order)
    padded = sum(4 * max(lengths[r] for r in rows[at : at + 4]) for at in range(0, 512, 4))
    assert sum(lengths) / padded > 0.9
    shuffled = list(range(512))
    assert sum(4 * max(lengths[r] for r in shuffled[at : at + 4]) for at in range(0, 512, 4)) > 1.2 * padded
    order.set_epoch(1)
    assert list(order) != rows


BLOCK = {"q": (2048, 2048), "k": (2048, 256), "v": (2048, 256), "o": (2048, 2048)} | {
    "gate": (2048, 5632),
    "up": (2048, 5632),
    "down": (5632, 2048),
}
"""Linear layers of a TinyLlama block: rows in, rows out."""


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipes_trained_parameters_on_tinyllamas_true_shape(name: str) -> None:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        vocab_size=32000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32,
        num_key_value_heads=4, max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert sum(p.numel() for p in model.parameters()) == 1_100_048_384
    recipe = load_recipe(name)
    tuned = get_peft_model(model, base.lora_config(recipe, model, "TinyLlama"))
    targets = (
        BLOCK if recipe.lora.targets == "all-linear" else [one.removesuffix("_proj") for one in recipe.lora.targets]
    )
    blocks = 22 - int(22 * recipe.lora.first_layer)
    expected = blocks * sum(recipe.lora.r * sum(BLOCK[target]) for target in targets)
    assert sum(p.numel() for p in tuned.parameters() if p.requires_grad) == expected
    known = {"exir": 6_307_840, "kariza": 4_505_600, "medgenius": 12_615_680}
    assert expected == known.get(name, expected)


def test_a_target_or_a_block_that_the_model_lacks_is_named(model: Any) -> None:
    from configs.errors import UserError

    with pytest.raises(UserError, match="no layer named 'qkv'"):
        base.lora_config(load_recipe("exir", ['lora.targets=["qkv"]']), model, "tiny")
    with pytest.raises(UserError, match="has 2 blocks"):
        base.lora_config(load_recipe("grounded", ["lora.first_layer=2"]), model, "tiny")


@pytest.mark.parametrize("name", recipe_names())
def test_what_needs_cuda_is_said_by_name_with_its_stand_in(name: str) -> None:
    recipe = load_recipe(name)
    taken, notes = base.adapted(recipe, cuda=False)
    assert taken.weights.quantization == "none"
    assert taken.weights.precision != "fp16"
    assert taken.optimizer.name in ("adamw", "adafactor")
    said = " ".join(notes)
    assert ("weights.quantization" in said) == (recipe.weights.quantization != "none")
    assert ("optimizer.name" in said) == (recipe.optimizer.name != taken.optimizer.name)
    on_gpu, notes = base.adapted(recipe, cuda=True)
    assert notes == []
    assert on_gpu.weights.precision != "auto"
    assert on_gpu.model_copy(update={"weights": recipe.weights}) == recipe


@pytest.mark.parametrize("native", ["bf16", "fp32"])
def test_bf16_is_trained_in_only_where_the_processor_multiplies_it(
    native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.embedder.native_precision", lambda device: native)
    taken, notes = base.adapted(load_recipe("jeanrobert", ["weights.quantization=none"]), cuda=False)
    assert taken.weights.precision == native
    assert bool(notes) == (native != "bf16")


@pytest.mark.medquad
def test_tinyllamas_prompt_and_end(tinyllama_tokenizer: Path) -> None:
    from transformers import AutoTokenizer

    from configs.recipes import Data
    from finetune import data
    from index.splits import make
    from rag.generators.template import Template
    from tests import fakes

    tokenizer = AutoTokenizer.from_pretrained(tinyllama_tokenizer)
    assert tokenizer.pad_token == tokenizer.eos_token == "</s>"
    pairs = [fakes.pair(n, question=f"What is page {n}?", answer=f"Page {n} rests.") for n in range(30)]
    examples, _ = data.make(pairs, make(pairs, "d"), "train", Data(), Template(tokenizer), None)
    example = examples[0]
    number = example.pair.rpartition("/")[2]
    assert example.prompt == (
        "<|system|>\nAnswer the health question in a few clear sentences.</s>\n"
        f"<|user|>\nQuestion: What is page {number}?</s>\n<|assistant|>\n"
    )
    labeled = {"input_ids": example.prompt_ids + example.completion_ids} | {
        "labels": [IGNORED] * len(example.prompt_ids) + example.completion_ids
    }
    batch = Collator(pad=tokenizer.pad_token_id)([labeled, row([1, 2, 3] * 60, 3)])
    learnt = batch["labels"][0][batch["labels"][0] != IGNORED].tolist()
    assert learnt == example.completion_ids
    assert learnt[-1] == tokenizer.eos_token_id == 2
    assert tokenizer.decode(learnt) == f"Page {number} rests.</s>"
    assert 2 in example.prompt_ids  # the turns' own ends, which are not learnt
