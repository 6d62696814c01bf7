"""The embedder through onnxruntime: what sentence-transformers says of the same weights, and errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import load
from configs.errors import UserError
from configs.schema import Cleaning, IndexSettings, Passages
from configs.schema import Embedder as Settings
from index import onnx_embedder
from index.bert import rounded, tensors
from index.build import build, config_hash
from index.cache import encode
from index.corpus import QAPair
from index.embedder import Embedder, embedder_of
from index.onnx_embedder import OnnxEmbedder, batched
from index.sentences import sentences_of
from index.sources import load_corpus
from tests import fakes
from tests.index import tiny_bert

TEXTS = ["what is gout?", "", "Asthma, pain of the lungs.", "é 你好 🙂 ﬁ", "gout " * 90, "a", "fever", "x" * 300]


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return tiny_bert.save(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def light(section: Settings) -> OnnxEmbedder:
    return OnnxEmbedder(section)


@pytest.fixture(scope="module")
def reference(section: Settings) -> Embedder:
    return Embedder(section)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray((one * other).sum(axis=1))


def test_vectors_are_those_of_sentence_transformers(light: OnnxEmbedder, reference: Embedder) -> None:
    seen: list[int] = []
    vectors = light.encode(TEXTS, seen.append)
    assert sum(seen) == len(TEXTS)
    assert vectors.dtype == np.float32
    expected = reference.encode(TEXTS)
    assert np.abs(vectors - expected).max() < 1e-5
    assert np.abs(expected[0] - expected[1:]).max(axis=1).min() > 1e-2, "the model tells its texts apart"
    assert light.encode([]).shape == (0, light.dimensions)


def test_a_text_has_the_same_vector_alone_and_in_any_batch(
    light: OnnxEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = np.concatenate([light.encode([text]) for text in TEXTS])
    for most in (1, 40, 1000):
        monkeypatch.setattr(onnx_embedder, "BATCH_TOKENS", most)
        assert np.abs(light.encode(TEXTS) - alone).max() < 1e-5


def test_all_else_is_the_same_too(light: OnnxEmbedder, reference: Embedder) -> None:
    assert light.fingerprint == reference.fingerprint
    assert light.words == reference.words
    assert light.count_tokens(TEXTS) == reference.count_tokens(TEXTS)
    for name in ("dimensions", "max_tokens", "precision"):
        assert getattr(light, name) == getattr(reference, name)


def test_other_weights_have_another_fingerprint(light: OnnxEmbedder, tmp_path: Path) -> None:
    other = tiny_bert.save(tmp_path, initializer_range=0.31)
    assert OnnxEmbedder(other).fingerprint.split()[-1] != light.fingerprint.split()[-1]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_weights_of_sixteen_bits_are_read(section: Settings, tmp_path: Path, kind: str) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(section.model, tmp_path / "half")
    file = tmp_path / "half" / "model.safetensors"
    save_file({name: value.to(getattr(torch, kind)) for name, value in load_file(file).items()}, file)
    half = section.model_copy(update={"model": str(tmp_path / "half")})
    assert np.abs(OnnxEmbedder(half).encode(TEXTS) - Embedder(half).encode(TEXTS)).max() < 1e-5
    assert OnnxEmbedder(half).fingerprint == Embedder(half).fingerprint


@given(st.lists(st.floats(-(2.0**126), 2.0**126, width=32)))
def test_rounding_is_that_of_bfloat16(values: list[float]) -> None:
    import torch

    expected = torch.tensor(values, dtype=torch.float32).to(torch.bfloat16).float().numpy()
    assert np.array_equal(rounded(np.array(values, dtype=np.float32)), expected)


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 5))
def test_batches_hold_every_row_once_and_no_more_than_they_may(lengths: list[int], workers: int) -> None:
    found = list(batched(lengths, workers))
    assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
    for rows in found:
        assert len(rows) == 1 or sum(lengths[row] for row in rows) <= onnx_embedder.BATCH_TOKENS


def test_threads_do_not_disturb_each_other(section: Settings) -> None:
    fresh = OnnxEmbedder(section)
    expected = OnnxEmbedder(section).encode(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: (fresh.encode(TEXTS), fresh.count_tokens(TEXTS)), range(24)))
    for vectors, counts in found:
        assert np.abs(vectors - expected).max() < 1e-5
        assert counts == fresh.count_tokens(TEXTS)


def test_the_backend_decides_neither_the_index_nor_where_vectors_are_kept(
    light: OnnxEmbedder, reference: Embedder, section: Settings, tmp_path: Path
) -> None:
    other = section.model_copy(update={"backend": "sentence-transformers"})
    assert isinstance(embedder_of(section), OnnxEmbedder)
    assert isinstance(embedder_of(other), Embedder)
    hashes = {config_hash(Passages(), one, IndexSettings()) for one in (section, other)}
    assert len(hashes) == 1
    expected = encode(TEXTS, reference, tmp_path, None)
    read: list[int] = []
    assert np.array_equal(encode(TEXTS, light, tmp_path, read.append), expected)
    assert len(list(tmp_path.glob("*.sqlite"))) == 1
    # Vectors of bf16 are others.
    half = Embedder(other.model_copy(update={"precision": "bf16"}))
    encode(TEXTS[:1], half, tmp_path, None)
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_an_index_is_built_and_read(light: OnnxEmbedder, tmp_path: Path) -> None:
    pairs = [QAPair("g", "What is gout?", "Gout is a pain."), QAPair("a", "What is asthma?", "A fever of the lungs.")]
    index = build(fakes.corpus(pairs), tmp_path, Passages(max_tokens=48), light, IndexSettings())
    assert index.manifest.embedder == light.fingerprint
    assert index.manifest.precision == "fp32"


def _edit(name: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _without_a_tensor(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    file = folder / "model.safetensors"
    save_file({name: value for name, value in load_file(file).items() if "layer.1.output.dense" not in name}, file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors .*sentence-transformers"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "modules.json").unlink(), "no modules.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), "damaged"),
        (lambda folder: (folder / "config.json").write_text("{"), "damaged"),
        (_cut, "damaged .*copy the model again"),
        (_without_a_tensor, r"damaged .*encoder\.layer\.1\.output\.dense"),
        (_edit("config.json", num_hidden_layers=3), "damaged"),
        (_edit("config.json", intermediate_size=65, hidden_size=64), "damaged"),
        (_edit("config.json", num_attention_heads=5), "heads"),
        (_edit("config.json", model_type="mpnet"), "model_type 'mpnet'.*backend=sentence-transformers"),
        (_edit("config.json", hidden_act="relu"), "hidden_act 'relu'.*backend=sentence-transformers"),
        (_edit("1_Pooling/config.json", pooling_mode_cls_token=True), "pooling.*backend=sentence-transformers"),
        (_edit("1_Pooling/config.json", pooling_mode="cls"), "pooling.*backend=sentence-transformers"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    section: Settings, tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    shutil.copytree(section.model, tmp_path / "model")
    change(tmp_path / "model")
    with pytest.raises(UserError, match=said) as raised:
        OnnxEmbedder(section.model_copy(update={"model": str(tmp_path / "model")})).encode(["x"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"precision": "bf16"}, "precision=bf16"),
        ({"dimensions": 100}, "dimensions is 100, but the model gives 32"),
        ({"max_tokens": 64}, "max_tokens is 64, but the model reads 40"),
        ({"model": "package:no_such_package/model"}, "no_such_package"),
        ({"model": "/no/such/folder"}, "embedder.model /no/such/folder: cannot be loaded"),
        ({"model": "medcite-tests/no-such-model"}, "PROFILE=embedded"),
    ],
)
def test_settings_that_do_not_fit_are_named(section: Settings, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        embedder_of(section.model_copy(update=changed)).encode(["x"])


def test_a_stage_that_is_not_known_is_named(section: Settings, tmp_path: Path) -> None:
    shutil.copytree(section.model, tmp_path / "model")
    path = tmp_path / "model" / "modules.json"
    path.write_text(path.read_text().replace("models.Normalize", "models.Dense"))
    with pytest.raises(UserError, match="modules Transformer, Pooling, Dense"):
        OnnxEmbedder(section.model_copy(update={"model": str(tmp_path / "model")})).encode(["x"])


def test_tensors_of_other_parts_and_types_are_left(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    some = {
        "bert.embeddings.x": np.ones((2, 3), np.float32),
        "embeddings.position_ids": np.arange(4),
        "cls.predictions.bias": np.ones(3, np.float32),
    }
    save_file(some, tmp_path / "m.safetensors")
    assert list(tensors(tmp_path / "m.safetensors")) == ["embeddings.x"]


def diverse() -> list[str]:
    """300 texts: questions, sentences and passages of the starter corpus, long ones, and what is hard to split."""
    pairs = load_corpus(["starter"], Cleaning()).pairs
    found = [pair.question for pair in pairs][:70]
    sentences = [pair.answer[start:end] for pair in pairs for start, end in sentences_of(pair.answer)]
    found += sentences[:130]
    found += [f"{pair.question}\n{pair.answer}" for pair in pairs][:60]
    long = " ".join(sentences)
    found += [long[begin : begin + 2500] for begin in range(0, 25_000, 1250)]
    found += [
        "", " ", "?", "a", "ß", "é", "e\u0301", "你好，医生", "病気の症状は何ですか", "ما هو النقرس؟",
        "Что такое подагра?", "🙂🙂🙂", "\u200bzero\u200bwidth", "﷽", "naïve café", "x" * 400, "1,234.5 mg/kg",
        "β-blocker α1", "[CLS] [SEP] [MASK]", "tab\tand\nline", "ALL CAPITALS?",
    ]  # fmt: skip
    return (found + [text.upper() for text in sentences])[:300]


@pytest.mark.weights
def test_the_real_model_has_the_same_vectors_and_the_same_name(weights: None) -> None:
    settings = load("embedded", ["embedder.precision=fp32"])[0].embedder
    reference, light = Embedder(settings), OnnxEmbedder(settings)
    texts = diverse()
    assert len(texts) == 300
    assert cosines(reference.encode(texts), light.encode(texts)).min() > 0.99999
    assert light.fingerprint == reference.fingerprint
    assert light.count_tokens(texts) == reference.count_tokens(texts)
    assert light.words == reference.words


@pytest.mark.weights
def test_the_vectors_that_ship_are_its_own_too(weights: None) -> None:
    from index import shipped

    profile, _ = load("embedded", ["embedder.backend=onnxruntime"])
    light = embedder_of(profile.embedder)
    ready = shipped.load(light.fingerprint)
    assert ready is not None
    questions = ["How to diagnose Narcolepsy?", "What is (are) Narcolepsy?", "What are the symptoms of Narcolepsy?"]
    found = encode(questions, light, None, None, ready)
    assert cosines(found, light.encode(questions)).min() > 0.998
    assert not np.array_equal(found, light.encode(questions)), "these are the vectors that ship, which are rounded"
