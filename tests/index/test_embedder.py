"""The embedder: what needs no weights here, and the real MiniLM where its package is."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from configs import load
from configs.errors import UserError
from configs.schema import Embedder as Settings
from index.embedder import Embedder
from index.passages import SPECIAL_TOKENS
from index.weights import resolve

TEXTS = [
    "What are the symptoms of asthma?",
    "Asthma makes one wheeze and cough.",
    "Rust is an oxide of iron.",
    "",
    "word " * 600,
    "gout",
]


def test_a_model_that_is_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for model in (str(tmp_path), "package:no_such_package/model"):
        with pytest.raises(UserError, match=r"no_such_package|embedder\.model"):
            Embedder(Settings(model=model)).encode(["x"])


@pytest.fixture(scope="module")
def embedder(weights: None) -> Embedder:
    """The embedded profile's."""
    return Embedder(load("embedded")[0].embedder)


@pytest.mark.weights
def test_vectors_are_unit_and_in_the_order_given(embedder: Embedder) -> None:
    seen: list[int] = []
    vectors = embedder.encode(TEXTS, seen.append)
    assert sum(seen) == len(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]
    alone = np.concatenate([embedder.encode([text]) for text in TEXTS])
    assert np.min(np.sum(alone * vectors, axis=1)) > 0.999, "a text's vector does not depend on its batch"
    assert embedder.encode([]).shape == (0, embedder.dimensions)


@pytest.mark.weights
def test_vectors_are_those_of_sentence_transformers(embedder: Embedder) -> None:
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(resolve(embedder.settings.model), device="cpu", local_files_only=True)
    expected = plain.encode(TEXTS, normalize_embeddings=True)
    assert np.min(np.sum(expected * embedder.encode(TEXTS), axis=1)) > 0.999


@pytest.mark.weights
def test_tokens_are_counted_whole_and_without_special_ones(embedder: Embedder) -> None:
    counts = embedder.count_tokens(TEXTS)
    assert counts[3] == 0
    assert counts[4] == 600
    read = embedder.model.preprocess([TEXTS[0]])["input_ids"].shape[1]
    assert counts[0] + SPECIAL_TOKENS == read
    parts = embedder.count_tokens(["Asthma makes one wheeze.", "It is common."])
    assert embedder.count_tokens(["Asthma makes one wheeze.\nIt is common."]) == [sum(parts)]


@pytest.mark.weights
def test_what_the_model_reads_stops_at_its_window(embedder: Embedder) -> None:
    assert embedder.model.preprocess([TEXTS[4]])["input_ids"].shape[1] == embedder.max_tokens


@pytest.mark.weights
def test_threads_do_not_disturb_each_other(embedder: Embedder) -> None:
    expected = embedder.encode(TEXTS)
    counts = embedder.count_tokens(TEXTS)
    wrong: list[object] = []

    def work() -> None:
        for _ in range(5):
            if not np.allclose(embedder.encode(TEXTS), expected, atol=1e-4):
                wrong.append("vectors")
            if embedder.count_tokens(TEXTS) != counts:
                wrong.append("counts")

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.weights
def test_the_fingerprint_is_of_the_weights_not_the_precision(embedder: Embedder) -> None:
    settings = embedder.settings
    other = Embedder(settings.model_copy(update={"precision": "bf16"}))
    assert other.precision == "bf16"
    assert other.fingerprint == embedder.fingerprint
    with pytest.raises(UserError, match="dimensions"):
        _ = Embedder(settings.model_copy(update={"dimensions": 100})).model
