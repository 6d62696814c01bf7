"""Vectors that come with medcite: found by content, near what the embedder gives, refused where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from configs import files, load
from configs.errors import UserError
from configs.schema import IndexSettings
from index import cache, shipped
from index.build import build, cut_all, embedded_texts
from index.corpus import QAPair
from index.embedder import Embedder
from index.sources import Corpus
from index.store import Index
from tests.fakes import FakeEmbedder, corpus, pair
from tests.index.killed import CUTTING

LIMIT = 10_000_000
"""Bytes of both files, in a repository that people clone."""


def written(folder: Path, texts: list[str], fingerprint: str = "") -> shipped.Shipped:
    """Vectors of the texts as they would ship, read back."""
    embedder = FakeEmbedder()
    vectors = dict(zip(texts, embedder.encode(texts), strict=True))
    shipped.write(vectors, fingerprint or embedder.fingerprint, "fake", "digest", "a command", folder)
    found = shipped.Shipped.read(folder)
    assert found is not None
    return found


def test_packed_vectors_come_back_as_near_as_the_step_says() -> None:
    dice = np.random.default_rng(0)
    vectors = (dice.normal(size=(500, 48)) * np.linspace(2, 0.1, 48)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for step, least in ((0.008, 0.9995), (0.02, 0.998)):
        mean, rotation, codes = shipped.pack(vectors, step)
        found = shipped.unpack(codes, 500, mean, rotation, step)
        cosines = (found * vectors).sum(axis=1)
        assert cosines.min() > least
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert len(codes) < 500 * 48  # fewer than eight bits a component


def test_only_texts_that_are_not_there_are_embedded(tmp_path: Path) -> None:
    source = corpus(20)
    embedder = FakeEmbedder()
    texts = embedded_texts(source.pairs, cut_all(source.pairs, embedder, CUTTING.max_tokens), embedder, 64)
    ready = written(tmp_path, texts[:-5])
    matrix = cache.encode(texts, embedder, tmp_path / "cache", None, ready)
    assert set(texts[-5:]) <= set(embedder.encoded)
    assert len(embedder.encoded) == 5 + shipped.SAMPLE
    assert ((matrix * FakeEmbedder().encode(texts)).sum(axis=1) > 0.99).all()
    assert np.allclose(cache.encode(texts, FakeEmbedder(), None, None, ready), matrix, atol=1e-6)


def test_vectors_of_another_embedder_are_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [pair(row).question for row in range(20)]
    ready = written(tmp_path, texts)

    class Other(FakeEmbedder):
        """One that says it is the same."""

        def encode(self, texts, progress=None):  # type: ignore[no-untyped-def]
            return super().encode([text[::-1] for text in texts], progress)

    matrix = cache.encode(texts, Other(), tmp_path / "cache", None, ready)
    assert np.array_equal(matrix, Other().encode(texts))
    assert "not this embedder's vectors; all texts are embedded" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["cut", "changed", "missing"])
def test_a_damaged_file_costs_a_line_and_the_time(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [pair(row).question for row in range(20)]
    ready = written(tmp_path, texts)
    path = tmp_path / shipped.VECTORS
    content = path.read_bytes()
    path.write_bytes(content[:-100] if fault == "cut" else content[:500] + b"\xff" * 20 + content[520:])
    if fault == "missing":
        path.unlink()
    with pytest.raises(UserError, match="a command"):
        ready.find([files.key(texts[0])])
    matrix = cache.encode(texts, FakeEmbedder(), None, None, ready)
    assert np.array_equal(matrix, FakeEmbedder().encode(texts))
    assert "all texts are embedded" in capsys.readouterr().err


def test_a_manifest_of_a_later_schema_or_none_is_no_vectors_and_a_damaged_one_is_a_line(tmp_path: Path) -> None:
    assert shipped.Shipped.read(tmp_path) is None
    written(tmp_path, [pair(row).question for row in range(20)])
    path = tmp_path / shipped.MANIFEST
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"schema": 99}))
    assert shipped.Shipped.read(tmp_path) is None
    path.write_text("{")
    with pytest.raises(UserError, match="install medcite again"):
        shipped.Shipped.read(tmp_path)


def test_an_index_of_another_embedder_is_built_without_them(tmp_path: Path) -> None:
    assert shipped.load(FakeEmbedder().fingerprint) is None
    build(corpus(3), tmp_path, CUTTING, FakeEmbedder(), IndexSettings())
    assert len(Index.open(tmp_path).pairs) == 3


def test_the_files_that_ship_are_small_and_say_whose_they_are() -> None:
    manifest = json.loads((shipped.FOLDER / shipped.MANIFEST).read_text())
    size = sum((shipped.FOLDER / name).stat().st_size for name in (shipped.MANIFEST, shipped.VECTORS))
    assert size < LIMIT
    assert manifest["sha256"] == files.digest_file(shipped.FOLDER / shipped.VECTORS)
    assert manifest["license"].endswith("CC BY 4.0")


def test_the_shipped_vectors_are_the_profiles_own(weights: None) -> None:
    profile, _ = load("embedded", [])
    embedder = Embedder(profile.embedder)
    ready = shipped.load(embedder.fingerprint)
    assert ready is not None
    questions = ["How to diagnose Narcolepsy?", "What is (are) Narcolepsy?", "What are the symptoms of Narcolepsy?"]
    found = ready.find([files.key(text) for text in questions])
    assert len(found) == 3
    cosines = (embedder.encode(questions) * np.stack(list(found.values()))).sum(axis=1)
    assert cosines.min() > 0.998


def test_all_of_medquad_is_there(weights: None, medquad_corpus: Corpus) -> None:
    """A change to cutting, cleaning or headings shows here: run `medcite index vectors`."""
    profile, _ = load("embedded", [])
    embedder = Embedder(profile.embedder)
    ready = shipped.load(embedder.fingerprint)
    assert ready is not None
    some: list[QAPair] = medquad_corpus.pairs[::23]
    cuts = cut_all(some, embedder, profile.passages.max_tokens)
    texts = embedded_texts(some, cuts, embedder, profile.passages.max_tokens)
    assert len(ready.find([files.key(text) for text in texts])) == len(set(texts))
