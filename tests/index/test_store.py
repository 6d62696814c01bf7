"""The index on disk: what is damaged is refused in one line, and rows come back as they went in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.errors import UserError
from configs.schema import IndexSettings
from index import store
from index.build import build
from index.store import Index
from tests.fakes import FakeEmbedder, corpus, pair
from tests.index.killed import CUTTING


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 20 pairs."""
    folder = tmp_path_factory.mktemp("store") / "index"
    build(corpus(20), folder, CUTTING, FakeEmbedder(), IndexSettings())
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "index"))


def place(folder: Path) -> Path:
    return store.read_manifest(folder)[1]


def edit(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = place(folder) / store.MANIFEST
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_the_manifest_says_what_it_was_made_from(whole: Path) -> None:
    manifest, folder = store.read_manifest(whole)
    assert manifest.corpus_digest == corpus(20).digest
    assert manifest.embedder == FakeEmbedder().fingerprint
    assert manifest.pairs == 20
    assert {"faiss-cpu", "bm25s", "torch"} <= set(manifest.versions)
    on_disk = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {store.MANIFEST}
    assert set(manifest.files) == on_disk
    assert store.verify(whole) == manifest


def test_rows_are_sequences(whole: Path) -> None:
    index = Index.open(whole)
    rows = corpus(20).pairs
    assert index.pairs[0] == rows[0]
    assert index.pairs[-1] == rows[-1]
    assert index.pairs[3:5] == rows[3:5]
    assert list(index.pairs) == rows
    with pytest.raises(IndexError):
        index.pairs[20]
    assert [passage.pair for passage in index.passages] == index.pair_of.tolist()


def test_fields_of_every_kind_survive(tmp_path: Path) -> None:
    plain = pair(0, question="Ünïcode 中文 \x07?", answer="One line.\n\n- item\n- other")
    bare = type(plain)("bare", "Q?", "A.")
    index = build(corpus([plain, bare]), tmp_path, CUTTING, FakeEmbedder(), IndexSettings())
    assert list(index.pairs) == [plain, bare]


def test_an_index_of_before_it_had_an_identity_opens_and_is_described_by_its_name(copy: Path) -> None:
    def older(data: dict[str, object]) -> None:
        for name in ("sources", "spec", "named"):
            del data[name]
        data["corpus_name"] = "medquad"

    edit(copy, older)
    assert len(Index.open(copy).pairs) == 20
    manifest = store.verify(copy)
    assert [(one.kind, one.pairs) for one in manifest.parts] == [("medquad", 20)]
    assert (manifest.spec, manifest.named) == ([], False)


@pytest.mark.parametrize("sources", [[{"name": "x"}], [{"name": "x", "kind": "theirs"}], "text", 3])
def test_an_identity_that_is_none_is_damage(copy: Path, sources: object) -> None:
    edit(copy, lambda data: data.update(sources=sources))
    with pytest.raises(UserError, match="damaged index"):
        store.read_manifest(copy)


def test_where_a_corpus_was_read_from_can_change(copy: Path) -> None:
    before, folder = store.read_manifest(copy)
    store.remember(copy, ["/elsewhere/my.csv"], True)
    after = store.verify(copy)
    assert (after.spec, after.named, after.files) == (["/elsewhere/my.csv"], True, before.files)
    assert place(copy) == folder


def test_no_index_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no index there; build one: make index"):
        Index.open(tmp_path)


@pytest.mark.parametrize("name", [store.PAIRS, store.PASSAGES, store.QUESTION_VECTORS, store.PASSAGE_VECTORS])
def test_a_missing_or_shortened_file_is_named(copy: Path, name: str) -> None:
    file = place(copy) / name
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=name):
        Index.open(copy)
    file.unlink()
    with pytest.raises(UserError, match=f"{name}: missing"):
        Index.open(copy)


def test_verify_finds_one_changed_byte(copy: Path) -> None:
    manifest, folder = store.read_manifest(copy)
    for name in manifest.files:
        file = folder / name
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        with pytest.raises(UserError, match="its content changed"):
            store.verify(copy)
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    store.verify(copy)


def test_files_that_are_no_longer_what_they_were_are_refused_not_crashed_on(copy: Path) -> None:
    for name in (store.PAIRS, store.PASSAGES, store.QUESTION_VECTORS, store.PASSAGE_VECTORS):
        file = place(copy) / name
        kept = file.read_bytes()
        file.write_bytes(b"\0" * len(kept))
        with pytest.raises(UserError, match="damaged"):
            Index.open(copy)
        file.write_bytes(kept)


def test_damaged_lexical_files_are_refused(copy: Path) -> None:
    for file in sorted((place(copy) / store.LEXICAL).iterdir()):
        kept = file.read_bytes()
        file.write_bytes(b"\0" * len(kept))
        with pytest.raises(UserError):
            store.verify(copy)
        file.write_bytes(kept)


def test_another_schema_is_refused(copy: Path) -> None:
    edit(copy, lambda data: data.update(schema=store.SCHEMA + 1))
    with pytest.raises(UserError, match="schema"):
        Index.open(copy)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": 1}'])
def test_a_broken_manifest_is_refused(copy: Path, content: str) -> None:
    (place(copy) / store.MANIFEST).write_text(content)
    with pytest.raises(UserError, match=r"damaged|schema"):
        Index.open(copy)


def test_rows_that_do_not_fit_are_refused(copy: Path) -> None:
    edit(copy, lambda data: data.update(passages=3))
    with pytest.raises(UserError, match="do not fit"):
        Index.open(copy)


@pytest.mark.parametrize("pointer", ["", "gen-nowhere\n", "../../etc\n"])
def test_a_pointer_to_nowhere_is_refused(copy: Path, pointer: str) -> None:
    (copy / store.CURRENT).write_text(pointer)
    with pytest.raises(UserError, match=r"no index there|damaged"):
        Index.open(copy)


def test_an_open_index_outlives_its_replacement(copy: Path) -> None:
    index = Index.open(copy)
    build(corpus(5), copy, CUTTING, FakeEmbedder(), IndexSettings())
    assert index.pairs[19] == corpus(20).pairs[19]
    assert index.lexical.scores("gout").max() > 0
    assert len(Index.open(copy).pairs) == 5


@pytest.mark.parametrize("moment", ["_in_use", "check_sizes"])
def test_a_reader_that_a_swap_overtakes_opens_the_new_index(
    copy: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(store, moment)

    def overtaken(*args: Any) -> Any:
        """The real function, with a whole build between this moment and what the reader does next."""
        monkeypatch.setattr(store, moment, real)
        found = real(*args)
        build(corpus(3), copy, CUTTING, FakeEmbedder(), IndexSettings())
        return found

    monkeypatch.setattr(store, moment, overtaken)
    assert len(Index.open(copy).pairs) == 3
