"""Exports of a tiny model: what is written, what is refused, and what is asked before an upload."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.errors import UserError
from configs.schema import Generator
from finetune import export, gguf_file, push
from tests.rag.generators import tiny


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    folder = tmp_path_factory.mktemp("tiny")
    section = tiny.save(folder / "model")
    adapter = tiny.save_adapter(folder / "model", folder / "adapter")
    return section.model_copy(update={"adapter": str(adapter)})


def test_a_merged_model_answers_as_base_and_adapter_do(section: Generator, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from rag.generators.loading import load

    out = export.merged(section, tmp_path, tmp_path / "merged")
    pair, tokenizer = load(section, tmp_path)
    whole = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    ids = torch.tensor([tokenizer("Gout is a form of arthritis.")["input_ids"]])
    with torch.no_grad():
        expected, found = pair(ids).logits, whole(ids).logits
        with pair.disable_adapter():
            plain = pair(ids).logits
    assert not next(iter(whole.named_parameters()))[0].startswith("base_model")
    assert (expected - found).abs().max() < 0.1 * (expected - plain).abs().max()
    assert (out / "chat_template.jinja").read_text() == tiny.TEMPLATE


def test_nothing_is_overwritten_and_nothing_half_written(
    section: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(UserError, match="exists already"):
        export.merged(section, tmp_path, taken)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    with pytest.raises(UserError, match="No space left"):
        export.merged(section, tmp_path, tmp_path / "full")
    assert not (tmp_path / "full").exists()
    assert not list(tmp_path.glob(".new-*"))


def test_there_must_be_an_adapter(section: Generator, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no adapter to merge"):
        export.merged(section.model_copy(update={"adapter": None}), tmp_path, tmp_path / "out")


def test_gguf_asks_for_a_base_file_where_it_cannot_write_the_tokenizer(section: Generator, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a base file"):
        export.gguf(section, tmp_path, tmp_path / "model.gguf")
    with pytest.raises(UserError, match="there are f16, q8_0, q4_1"):
        export.gguf(section, tmp_path, tmp_path / "model.gguf", "q2_k")
    assert not (tmp_path / "model.gguf").exists()


def test_rotary_rows_go_from_halves_to_neighbours() -> None:
    heads, width = 3, 8
    rows = np.array([[head * 100 + at] for head in range(heads) for at in range(width)], dtype=np.float32)
    found = gguf_file.neighbours(rows, heads).ravel().reshape(heads, width)
    # transformers turns row i with row i + width / 2; llama.cpp turns 2i with 2i + 1.
    for head in range(heads):
        assert found[head].tolist() == [head * 100 + at for at in (0, 4, 1, 5, 2, 6, 3, 7)]


def test_the_modelfile_has_the_templates_turns() -> None:
    text = export.modelfile("model.gguf", tiny.tokenizer(), Generator(model="x"))
    assert text.startswith("FROM ./model.gguf\n")
    assert (
        'TEMPLATE """{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}'
        "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n{{ .Response }}<|im_end|>" + '"""'
    ) in text
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert "PARAMETER temperature 0" in text
    assert "Not medical advice" in text


def test_card_and_modelfile_credit_what_the_adapter_was_trained_on(tmp_path: Path) -> None:
    from dataclasses import asdict

    from configs import ROOT
    from finetune import card
    from finetune.store import MANIFEST, read_manifest
    from index.identity import part

    manifest = read_manifest(ROOT / "finetune" / "adapters" / "embedded")
    # As adapters of 0.1.0 were: without the corpus's parts, and without what its splits cannot know.
    shipped = {name: value for name, value in manifest.items() if name not in ("sources", "split_caveat")}
    credit = "MedQuAD (Ben Abacha & Demner-Fushman, 2019), CC BY 4.0"
    assert f"- {credit}\n" in card.text(shipped), "an older adapter is known by its corpus's name"
    assert "cannot know" not in card.text(shipped)
    unknown = card.text(shipped | {"split_caveat": "no pair names a focus"})
    assert "- what the splits cannot know: no pair names a focus\n" in unknown
    own = shipped | {"corpus_name": "my-medquad-notes", "files": {}}
    assert "MedQuAD (" not in card.text(own)
    own |= {"sources": [asdict(part("own", "my notes", 3)), asdict(part("medquad", "", 5))]}
    assert "- my notes: see the corpus for its license\n" in card.text(own)
    assert f"- {credit}\n" in card.text(own)

    def license(sources: list[dict[str, object]]) -> str:
        (tmp_path / MANIFEST).write_text(json.dumps(own | {"sources": sources}))
        return export.modelfile("m.gguf", tiny.tokenizer(), Generator(model="x", adapter=str(tmp_path)))

    assert f"trained on {credit}. Not medical" in license([asdict(part("medquad", "", 5))])
    assert "MedQuAD" not in license([asdict(part("own", "my notes", 3))])
    assert "MedQuAD" not in export.modelfile("m.gguf", tiny.tokenizer(), Generator(model="x"))


@pytest.mark.medquad
def test_tinyllamas_modelfile(tinyllama_tokenizer: Path) -> None:
    from transformers import AutoTokenizer

    text = export.modelfile("m.gguf", AutoTokenizer.from_pretrained(tinyllama_tokenizer), Generator(model="x"))
    assert (
        "{{ if .System }}<|system|>\n{{ .System }}</s>\n{{ end }}<|user|>\n{{ .Prompt }}</s>\n"
        "<|assistant|>\n{{ .Response }}</s>"
    ) in text


def card(folder: Path) -> Path:
    folder.mkdir()
    (folder / "README.md").write_text("# card")
    (folder / "adapter_model.safetensors").write_bytes(b"12345")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "secret").write_text("no")
    return folder


def test_push_says_what_it_would_upload_and_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = card(tmp_path / "adapter")
    sent: list[str] = []
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda *_, **given: sent.append(f"repo {given}"))
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", lambda *_, **given: sent.append(str(given)))
    answer = io.StringIO("no\n")
    answer.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", answer)
    with pytest.raises(UserError, match="nothing uploaded"):
        push.push(folder, "someone/medcite")
    shown = capsys.readouterr().err
    assert "to someone/medcite (private)" in shown
    assert "adapter_model.safetensors  5 bytes" in shown
    assert "secret" not in shown
    assert sent == []
    assert push.push(folder, "someone/medcite", yes=True).endswith("/someone/medcite")
    assert len(sent) == 2
    assert "'private': True" in sent[0]
    assert "secret" not in sent[1]


def test_push_without_a_terminal_a_card_or_a_hub_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = card(tmp_path / "adapter")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UserError, match="--yes"):
        push.push(folder, "someone/medcite")
    with pytest.raises(UserError, match="owner/name"):
        push.push(folder, "medcite", yes=True)
    with pytest.raises(UserError, match=r"no README\.md"):
        push.push(tmp_path, "someone/medcite", yes=True)

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", away)
    with pytest.raises(UserError, match="does not answer"):
        push.push(folder, "someone/medcite", yes=True)
    monkeypatch.undo()
    # pytest-socket holds the real client to loopback, which is how a machine without a network looks to it.
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(UserError, match=r"does not answer|does not know you"):
        push.push(folder, "someone/medcite", yes=True)
    with pytest.raises(UserError, match=r"^some one/med cite: "):
        push.push(folder, "some one/med cite", yes=True)


def test_an_altered_adapter_is_noticed(tmp_path: Path) -> None:
    from finetune.store import read_manifest

    folder = card(tmp_path / "adapter")
    with pytest.raises(UserError, match="no finished adapter"):
        read_manifest(folder)
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "files": {"README.md": "0" * 64}}))
    with pytest.raises(UserError, match="altered"):
        read_manifest(folder)
    (folder / "manifest.json").write_text(json.dumps({"schema": 9, "files": {}}))
    with pytest.raises(UserError, match="schema 9"):
        read_manifest(folder)
    (folder / "manifest.json").write_text("[")
    with pytest.raises(UserError, match="damaged"):
        read_manifest(folder)
