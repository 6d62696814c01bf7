"""Fine-tuning with the real small model: every recipe's steps, the shipped adapter, and its exports elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from configs import ROOT, load
from configs.recipes import load_recipe, recipe_names
from configs.schema import Cleaning, Profile
from finetune import export
from finetune.store import read_manifest
from index.sources import Corpus

pytestmark = [pytest.mark.weights, pytest.mark.timeout(600)]
SHIPPED = ROOT / "finetune" / "adapters" / "embedded"


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load("embedded")[0]


@pytest.fixture(scope="module")
def questions() -> list[str]:
    """Twenty of the starter corpus, none of them MedQuAD's."""
    from index.sources import load_corpus

    pairs = load_corpus(["starter"], Cleaning()).pairs
    return [pair.question for pair in pairs[:: len(pairs) // 20]][:20]


@pytest.mark.parametrize("name", recipe_names())
def test_two_real_steps_of_every_recipe(
    name: str, profile: Profile, weights: None, model_cache: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from datasets import Dataset, DatasetDict

    from finetune import data
    from finetune.formats import FORMATS
    from finetune.train import train
    from index.sources import load_corpus
    from index.splits import make
    from rag.generators.loading import tokenizer_of
    from rag.generators.template import Template

    small = ["data.max_tokens=192", "data.max_answer_tokens=96", "data.closed=1", "data.grounded=0"]
    short = ["schedule.batch=1", "schedule.accumulation=1", "schedule.max_steps=2", "schedule.checkpoints=1"]
    recipe = load_recipe(name, small + short)
    corpus = load_corpus(["starter"], Cleaning())
    template = Template(tokenizer_of(profile.generator, model_cache), name, FORMATS[recipe.data.format])
    splits = make(corpus.pairs, corpus.digest)
    parts = {}
    for part in ("train", "validation"):
        made, _ = data.make(corpus.pairs, splits, part, recipe.data, template, None, limit=3)  # type: ignore[arg-type]
        parts[part] = Dataset.from_dict(data.as_columns(made) | {"length": [one.tokens for one in made]})
    work, out = tmp_path / "run", tmp_path / "adapter"
    manifest = train(profile, recipe, DatasetDict(parts), template, work, out, model_cache, {"examples": name})
    assert manifest["trained"]["steps"] == 2
    assert 0 < manifest["trained"]["validation"]["loss"] < 6
    said = capfd.readouterr().err
    assert [note for note in manifest["stand_ins"] if note not in said] == []
    assert (out / "chat_template.jinja").exists() == (recipe.data.format != "chat")
    if name == "jeanrobert":
        tuned = profile.generator.model_copy(update={"adapter": str(out)})
        _answers_in_its_own_format(tuned, model_cache)


def _answers_in_its_own_format(section: Any, model_cache: Path) -> None:
    from langchain_core.messages import HumanMessage, SystemMessage

    from rag.generators.transformers import TransformersChat

    chat = TransformersChat.load(section, model_cache)
    asked = [SystemMessage("Answer."), HumanMessage("What is gout?")]
    assert chat.render(asked) == "### Instruction:\nAnswer.\n\n### Input:\nWhat is gout?\n\n### Response:\n"
    assert chat.render(asked, adapter=False).startswith("<|im_start|>system")
    assert chat.invoke(asked, max_new_tokens=4).text


def test_the_shipped_adapter_is_whole_small_and_what_its_manifest_says(profile: Profile) -> None:
    manifest = read_manifest(SHIPPED)
    assert profile.generator.adapter == "finetune/adapters/embedded"
    assert profile.mode == "finetuned+rag"
    assert (SHIPPED / "adapter_model.safetensors").stat().st_size <= 10_000_000
    runs = [*(part["trained"] for part in manifest["continues"]), manifest["trained"]]
    assert sum(run["examples"] for run in runs) >= 4000
    assert manifest["split_by"] == "topic"
    assert manifest["base_model"] == profile.generator.model
    assert "Not medical advice" in (SHIPPED / "README.md").read_text("utf-8")
    assert str(Path.home()) not in (SHIPPED / "manifest.json").read_text("utf-8")


@pytest.mark.medquad
def test_the_shipped_adapters_splits_are_those_of_the_corpus(medquad_corpus: Corpus) -> None:
    from index.splits import make

    assert make(medquad_corpus.pairs, medquad_corpus.digest).hash == read_manifest(SHIPPED)["splits"]


@pytest.fixture(scope="module")
def merged(weights: None, profile: Profile, model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export.merged(profile.generator, model_cache, tmp_path_factory.mktemp("merged") / "model")


@pytest.fixture(scope="module")
def prompts(profile: Profile, questions: list[str], merged: Path) -> list[list[int]]:
    from transformers import AutoTokenizer

    from rag import prompt
    from rag.generators.template import Template

    template = Template(AutoTokenizer.from_pretrained(merged))
    return [template.encode(prompt.closed_book(question)) for question in questions]


TOKENS = 16


@pytest.fixture(scope="module")
def expected(merged: Path, prompts: list[list[int]]) -> list[tuple[list[int], list[float]]]:
    """Greedy tokens of the merged model in fp32, with the lead of each over the second best."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32).eval()
    found = []
    for ids in prompts:
        made = model.generate(
            torch.tensor([ids]), max_new_tokens=TOKENS, do_sample=False, pad_token_id=2,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
        leads = [float((top := logits[0].topk(2).values)[0] - top[1]) for logits in made.logits]
        found.append((made.sequences[0, len(ids) :].tolist(), leads))
    return found


def _ask(path: Path, prompts: list[list[int]]) -> list[str]:
    """Greedy texts of llama.cpp."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = 1024
    params.n_parallel = 1
    # Its threads spin while they wait: more of them than the suite leaves cores makes it many times slower.
    params.cpuparams.n_threads = int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
    params.warmup = False
    server = xllamacpp.Server(params)
    texts = []
    for ids in prompts:
        request = {"prompt": ids, "n_predict": TOKENS, "temperature": 0, "cache_prompt": False}
        reply = server.handle_completions(request)
        reply = json.loads(reply) if isinstance(reply, str | bytes) else reply
        texts.append(reply["choices"][0]["text"])
    return texts


def _agreement(texts: list[str], expected: list[Any], merged: Path) -> tuple[int, list[float]]:
    """How many texts are the same, and, for the others, by how little the first differing token led."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(merged)
    same, leads = 0, []
    for text, (ids, lead) in zip(texts, expected, strict=True):
        ours = tokenizer.decode(ids, skip_special_tokens=True)
        if text == ours:
            same += 1
            continue
        shared = len(os.path.commonprefix([text, ours]))  # noqa: RUF071 - characters are meant
        at = next(n for n in range(len(ids)) if len(tokenizer.decode(ids[: n + 1], skip_special_tokens=True)) > shared)
        leads.append(lead[at])
    return same, leads


def test_gguf_in_f16_gives_the_same_greedy_tokens_as_transformers(
    profile: Profile, model_cache: Path, tmp_path: Path, prompts: list[list[int]], expected: list[Any], merged: Path
) -> None:
    path = export.gguf(profile.generator, model_cache, tmp_path / "model.gguf", "f16")
    same, leads = _agreement(_ask(path, prompts), expected, merged)
    print(f"f16: the same text in {same} of {len(prompts)}; leads where not: {leads}")
    assert same >= 18
    assert all(lead < 0.1 for lead in leads), "a token other than a tie came out differently"


def test_an_ollama_folder_holds_a_q8_model_that_mostly_agrees(
    profile: Profile, model_cache: Path, tmp_path: Path, prompts: list[list[int]], expected: list[Any], merged: Path
) -> None:
    out = export.ollama(profile.generator, model_cache, tmp_path / "ollama")
    assert sorted(path.name for path in out.iterdir()) == ["Modelfile", "model-q8_0.gguf"]
    same, _ = _agreement(_ask(out / "model-q8_0.gguf", prompts), expected, merged)
    print(f"q8_0: the same text in {same} of {len(prompts)}")
    assert same >= len(prompts) // 4
    assert (out / "model-q8_0.gguf").stat().st_size < 160e6


def test_the_shipped_adapter_in_half_precision_answers_as_in_full(
    profile: Profile, model_cache: Path, prompts: list[list[int]], expected: list[Any]
) -> None:
    """What the chat loads (base and adapter apart) against the merged model."""
    import torch

    from rag.generators.loading import load as load_model

    model, _ = load_model(profile.generator.model_copy(update={"precision": "fp32"}), model_cache)
    same = 0
    for ids, (tokens, _) in list(zip(prompts, expected, strict=True))[:8]:
        with torch.inference_mode():
            logits = model(torch.tensor([ids + tokens])).logits[0, len(ids) - 1 : -1]
        same += int(logits.argmax(-1).tolist() == tokens)
    assert same >= 6
