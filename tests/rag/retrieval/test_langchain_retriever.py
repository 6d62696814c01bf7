"""LangChain's own conformance suite over the retriever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests

from configs.schema import IndexSettings, Passages, Retriever
from index.build import build
from index.store import Index
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes


class TestHybridRetriever(RetrieversIntegrationTests):
    """The standard tests, on a small index with the fake embedder."""

    index: Index

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _index(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder: Path = tmp_path_factory.mktemp("langchain") / "index"
        cls.index = build(fakes.corpus(), folder, Passages(max_tokens=64), fakes.FakeEmbedder(), IndexSettings())

    @property
    def retriever_constructor(self) -> type[HybridRetriever]:
        """The class under test."""
        return HybridRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        """What the class needs."""
        return {"index": self.index, "embedder": fakes.FakeEmbedder(), "settings": Retriever()}

    @property
    def retriever_query_example(self) -> str:
        """A question of the corpus."""
        return "What are the signs of asthma?"
