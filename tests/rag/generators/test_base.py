"""A profile's backend is found by name, and nothing of a backend is imported before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
from langchain_core.messages import HumanMessage

from configs import load
from configs.errors import UserError
from configs.schema import Generator
from rag.generators.base import create
from tests.rag.generators import tiny

BACKENDS = get_args(Generator.model_fields["backend"].annotation)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_of_the_schema_has_its_file(backend: str) -> None:
    spec = find_spec(f"rag.generators.{backend}")
    assert spec is not None
    assert spec.origin is not None
    assert "\ndef create(section" in Path(spec.origin).read_text("utf-8")


def test_a_profiles_generator_does_what_the_pipeline_needs(tmp_path: Path) -> None:
    generator = create(tiny.save(tmp_path / "model"), tmp_path)
    messages = [HumanMessage("What is gout?")]
    assert generator.count_tokens(messages) > 3
    *_, last = generator.stream(messages, adapter=False, max_new_tokens=3, temperature=0.0, top_p=None, seed=None)
    assert last.response_metadata["finish_reason"] in ("stop", "length")
    assert set(last.response_metadata["decoding"]) == {"steps", "accepted"}


def test_a_backend_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"generator\.backend"):
        load("embedded", ["generator.backend=slide-rule"])


def test_the_pipeline_imports_no_backend() -> None:
    code = "import sys, rag.pipeline; print([m for m in sys.modules if m in ('torch', 'rag.generators.transformers')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
