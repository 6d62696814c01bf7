"""LangChain's own conformance suite on the chat model, over a tiny random Llama.

Not claimed, so not run: tools, structured output, images and other media, a model override per call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from configs.schema import Generator
from rag.generators.transformers import TransformersChat
from tests.rag.generators import tiny


class _Claims:
    """What the class claims, in both suites."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return TransformersChat

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0.0, "max_tokens": 40}

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False


class TestUnit(_Claims, ChatModelUnitTests):
    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0.0}

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"section": Generator(model="medcite-tests/never-loaded"), "weights": Path("unused")}


@pytest.fixture(scope="module")
def tiny_section(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return tiny.save(tmp_path_factory.mktemp("tiny"))


class TestIntegration(_Claims, ChatModelIntegrationTests):
    section: Generator

    @pytest.fixture(autouse=True)
    def _folder(self, tiny_section: Generator) -> None:
        self.section = tiny_section

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"section": self.section, "weights": Path("unused")}

    @pytest.fixture
    def model(self, _folder: None) -> BaseChatModel:
        return TransformersChat(**self.standard_chat_model_params, **self.chat_model_params)
