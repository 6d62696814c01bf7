"""Builds: only what changed is embedded, and a kill at any moment leaves an index that works."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from configs import load
from configs.errors import UserError
from configs.schema import IndexSettings, Passages
from index import store
from index.build import build, config_hash, is_current, subset
from index.passages import embedding_text
from index.store import Index
from tests.fakes import TOPICS, FakeEmbedder, corpus, pair
from tests.index import killed

ROOT = Path(__file__).parent.parent.parent
CUTTING, SETTINGS = killed.CUTTING, IndexSettings()


def test_an_index_holds_what_the_corpus_says(tmp_path: Path) -> None:
    source = corpus(30)
    embedder = FakeEmbedder()
    index = build(source, tmp_path, CUTTING, embedder, SETTINGS)
    assert list(index.pairs) == source.pairs
    assert len(index.passages) > 30
    for row, passage in enumerate(index.passages):
        own = source.pairs[passage.pair]
        assert passage.text == own.answer[passage.start : passage.end]
        assert index.pair_of[row] == passage.pair
        expected = embedder.encode([embedding_text(own.question, passage)])[0]
        assert np.allclose(index.passage_vectors.reconstruct(row), expected, atol=1e-6)
    for row, own in enumerate(source.pairs):
        assert np.allclose(index.question_vectors.reconstruct(row), embedder.encode([own.question])[0], atol=1e-6)


def test_a_rebuild_embeds_only_what_changed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = FakeEmbedder()
    rows = [pair(row) for row in range(20)]
    build(corpus(rows), tmp_path / "a", CUTTING, first, SETTINGS, embeddings=cache)
    assert len(first.encoded) == len(set(first.encoded))

    again = FakeEmbedder()
    index = build(corpus(rows), tmp_path / "b", CUTTING, again, SETTINGS, embeddings=cache)
    assert again.encoded == []

    rows[3] = pair(3, answer="Only this short answer is new.")
    changed = FakeEmbedder()
    index = build(corpus(rows), tmp_path / "a", CUTTING, changed, SETTINGS, embeddings=cache)
    assert changed.encoded == [f"{rows[3].question}\nOnly this short answer is new."]
    assert index.pairs[3] == rows[3]


def test_a_damaged_cache_is_set_aside_and_one_that_cannot_be_written_is_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    build(corpus(5), tmp_path / "a", CUTTING, FakeEmbedder(), SETTINGS, embeddings=cache)
    (file,) = cache.glob("*.sqlite")
    content = file.read_bytes()
    for damaged in (b"not a database at all" * 400, content[:4096] + b"\xff" * (len(content) - 4096)):
        file.write_bytes(damaged)
        again = FakeEmbedder()
        build(corpus(5), tmp_path / "b", CUTTING, again, SETTINGS, embeddings=cache)
        assert "set aside, its texts are embedded again" in capfd.readouterr().err
        assert (cache / f"damaged-{file.name}").read_bytes() == damaged
        warm = FakeEmbedder()
        build(corpus(5), tmp_path / "b", CUTTING, warm, SETTINGS, embeddings=cache)
        assert again.encoded
        assert not warm.encoded
    file.unlink()
    file.mkdir()
    with pytest.raises(UserError, match="unable to open database file; free some space, or delete"):
        build(corpus(5), tmp_path / "c", CUTTING, FakeEmbedder(), SETTINGS, embeddings=cache)


def test_another_embedder_shares_no_vectors(tmp_path: Path) -> None:
    build(corpus(5), tmp_path / "a", CUTTING, FakeEmbedder(name="one"), SETTINGS, embeddings=tmp_path / "cache")
    other = FakeEmbedder(name="two")
    build(corpus(5), tmp_path / "b", CUTTING, other, SETTINGS, embeddings=tmp_path / "cache")
    assert len(other.encoded) > 5


def test_equal_texts_are_embedded_once(tmp_path: Path) -> None:
    rows = [pair(row, question="What is it?", answer="It is the same for all.") for row in range(8)]
    embedder = FakeEmbedder()
    index = build(corpus(rows), tmp_path, CUTTING, embedder, SETTINGS)
    assert len(embedder.encoded) == 2
    assert index.question_vectors.ntotal == index.passage_vectors.ntotal == 8


def test_current_means_the_same_corpus_and_settings(tmp_path: Path) -> None:
    source = corpus(5)
    build(source, tmp_path, CUTTING, FakeEmbedder(), SETTINGS, config="as asked")
    assert is_current(tmp_path, source.digest, "as asked")
    assert not is_current(tmp_path, corpus(6).digest, "as asked")
    assert not is_current(tmp_path, source.digest, "otherwise")
    assert not is_current(tmp_path / "nowhere", source.digest, "as asked")
    (store.read_manifest(tmp_path)[1] / store.PAIRS).write_bytes(b"cut short")
    assert not is_current(tmp_path, source.digest, "as asked")


def test_a_subset_is_built_where_its_pairs_or_the_embedder_are_others(tmp_path: Path) -> None:
    profile, _ = load("embedded")
    rows = [pair(row) for row in range(6)]
    built: list[str] = []

    def opened(count: int, digest: str, embedder: FakeEmbedder) -> Index:
        folder, cache = tmp_path / "index", tmp_path / "cache"
        return subset(
            rows[:count], "some", digest, folder, profile, embedder, cache, lambda step, done, total: built.append(step)
        )

    first = opened(4, "four", FakeEmbedder())
    assert (list(first.pairs), first.manifest.corpus_name) == (rows[:4], "some")
    assert built
    built.clear()
    assert opened(6, "four", FakeEmbedder()).manifest == first.manifest
    assert not built, "the digest alone says what is there"
    assert len(opened(6, "six", FakeEmbedder()).pairs) == 6
    again = opened(6, "six", FakeEmbedder(dimensions=32, name="other"))
    assert (again.manifest.embedder, again.question_vectors.d) == ("other 32", 32)


def test_the_config_hash_leaves_the_batch_size_out() -> None:
    profile, _ = load("embedded")
    same = profile.embedder.model_copy(update={"batch_size": 7})
    other = profile.embedder.model_copy(update={"max_tokens": 255})
    own = config_hash(profile.passages, profile.embedder, profile.index)
    assert config_hash(profile.passages, same, profile.index) == own
    assert config_hash(profile.passages, other, profile.index) != own
    assert config_hash(Passages(max_tokens=100), profile.embedder, profile.index) != own


def test_a_second_build_of_the_same_folder_is_refused(tmp_path: Path) -> None:
    index = build(corpus(5), tmp_path, CUTTING, FakeEmbedder(), SETTINGS)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another build"):
            build(corpus(6), tmp_path, CUTTING, FakeEmbedder(), SETTINGS)
    assert Index.open(tmp_path).manifest == index.manifest


def test_an_error_half_way_leaves_the_old_index_and_no_rubbish(tmp_path: Path) -> None:
    class Failing(FakeEmbedder):
        def encode(self, *_: object) -> np.ndarray:  # type: ignore[override]
            raise RuntimeError("out of luck")

    index = build(corpus(5), tmp_path, CUTTING, FakeEmbedder(), SETTINGS)
    with pytest.raises(RuntimeError, match="out of luck"):
        build(corpus(6), tmp_path, CUTTING, Failing(), SETTINGS)
    assert Index.open(tmp_path).manifest == index.manifest
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == [".lock", "current", "gen"]


def test_the_hnsw_index_agrees_with_the_flat_one(tmp_path: Path) -> None:
    flat = build(corpus(200), tmp_path / "flat", CUTTING, FakeEmbedder(), SETTINGS)
    hnsw = build(corpus(200), tmp_path / "hnsw", CUTTING, FakeEmbedder(), IndexSettings(hnsw_above=100))
    assert type(flat.passage_vectors).__name__ == "IndexFlatIP"
    assert "HNSW" in type(hnsw.passage_vectors).__name__
    asked = FakeEmbedder().encode([f"Which sign{n} of {topic} is on page {n}?" for n in range(4) for topic in TOPICS])
    exact, _ = flat.passage_vectors.search(asked, 10)
    near, _ = hnsw.passage_vectors.search(asked, 10)
    # By scores, since equal texts tie; 0.95 of the ten best is what efSearch is set for.
    assert np.mean(near >= exact[:, -1:] - 1e-5) >= 0.95
    assert np.allclose(hnsw.passage_vectors.reconstruct(9), flat.passage_vectors.reconstruct(9))


@pytest.fixture(scope="module")
def killed_builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes whose rebuilds were killed, one for each stage."""
    root = tmp_path_factory.mktemp("killed")
    build(corpus(20), root / "base", CUTTING, FakeEmbedder(), SETTINGS, config="old")
    done = subprocess.run(
        [sys.executable, "-m", "tests.index.killed", str(root)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.parametrize("stage", killed.STAGES)
def test_a_kill_leaves_an_index_that_works(killed_builds: Path, stage: str) -> None:
    folder = killed_builds / stage
    index = Index.open(folder)
    published = stage == "after replace 2"
    assert len(index.pairs) == (killed.NEW if published else 20)
    assert store.verify(folder) == index.manifest
    best = int(index.lexical.scores("signs of gout").argmax())
    assert index.pairs[index.passages[best].pair].focus == "gout"

    after = FakeEmbedder()
    index = build(corpus(killed.NEW), folder, CUTTING, after, SETTINGS, embeddings=killed_builds / "cache" / stage)
    assert len(index.pairs) == killed.NEW
    assert store.verify(folder) == index.manifest
    assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == [".lock", "current", "gen"]
    total = len({*(one.question for one in index.pairs)}) + len(index.passages)
    if stage == "cutting 0":
        assert len(after.encoded) == total
    elif stage == "embedding 700":
        assert len(after.encoded) == 512, "what was embedded before the kill is not embedded again"
    else:
        assert after.encoded == []
