"""`python -m index` as a person uses it. Mistakes and help texts are in `tests/test_commands.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from configs import load
from configs.errors import UserError
from configs.schema import Cleaning
from index import store
from index.build import build, config_hash
from index.sources import load_corpus
from tests.fakes import FakeEmbedder
from tests.index.killed import CUTTING
from tests.inprocess import run_room

ROOT = Path(__file__).parent.parent.parent


def command(*words: str, data: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PROFILE": "embedded", "MEDCITE_DATA": str(data)}
    return subprocess.run(
        [sys.executable, "-m", "index", *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an index of the starter corpus, made with a fake embedder and the profile's settings."""
    folder = tmp_path_factory.mktemp("data")
    profile, _ = load("embedded")
    config = config_hash(profile.passages, profile.embedder, profile.index)
    corpus = load_corpus(["starter"], Cleaning())
    build(corpus, folder / "index", CUTTING, FakeEmbedder(), profile.index, config=config)
    return folder


def test_verify_and_info(data: Path) -> None:
    assert "whole;" in command("verify", data=data).stdout
    info = json.loads(command("info", data=data).stdout)
    assert info["corpus_name"] == "starter"
    assert info["demonstration"] == info["pairs"] > 0


def test_verify_names_a_damaged_file(data: Path) -> None:
    file = store.read_manifest(data / "index")[1] / store.PASSAGES
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"?")
    try:
        found = command("verify", data=data)
        assert found.returncode == 2
        assert store.PASSAGES in found.stderr
    finally:
        file.write_bytes(content)


def test_nothing_changed_is_seen_without_torch(data: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['index', 'build', '--corpus', 'starter']\n"
        "from index.__main__ import main\n"
        "assert main() == 0\n"
        "sys.exit(sorted({'torch', 'transformers', 'faiss', 'sentence_transformers'} & set(sys.modules)) or 0)\n"
    )
    before = (data / "index" / store.CURRENT).read_text()
    env = {**os.environ, "PROFILE": "embedded", "MEDCITE_DATA": str(data)}
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "up to date" in found.stderr
    assert (data / "index" / store.CURRENT).read_text() == before


def test_without_a_network_an_index_of_another_corpus_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from index import sources

    def offline(*_: object) -> Path:
        raise UserError("no network.")

    monkeypatch.setattr(sources, "download", offline)
    profile, _ = load("embedded")
    config = config_hash(profile.passages, profile.embedder, profile.index)
    own = replace(load_corpus(["starter"], Cleaning()), name="medquad", digest="d" * 64, parts=(), spec=())
    build(own, tmp_path / "index", CUTTING, FakeEmbedder(), profile.index, config=config)
    before = (tmp_path / "index" / store.CURRENT).read_text()
    found = run_room("index", ["build", "--profile", "embedded"], {"MEDCITE_DATA": str(tmp_path)}, monkeypatch, capfd)
    assert found.returncode == 0, found.stderr
    assert "kept as it is: the index holds MedQuAD" in found.stderr
    assert "Using the starter corpus" not in found.stderr
    assert (tmp_path / "index" / store.CURRENT).read_text() == before
