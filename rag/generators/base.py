"""What the pipeline needs of a generator, and the generator of a profile.

    generator = create(profile.generator, Path("data/models"))
    for chunk in generator.stream([HumanMessage("What is gout?")], adapter=True, max_new_tokens=64): ...

A backend is one file here, `rag/generators/NAME.py`, with a function `create(section, cache) -> Generator`. To add one,
write the file and put its name into `generator.backend` in `configs/schema.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from langchain_core.messages import BaseMessage

from configs import schema


class Generator(Protocol):
    """A language model that answers chat messages. Any langchain-core chat model with `count_tokens` is one."""

    def count_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """Tokens of the whole prompt, its chat template included."""
        ...

    def stream(
        self,
        messages: list[BaseMessage],
        /,
        *,
        adapter: bool = True,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[BaseMessage]:
        """The answer in pieces, as they are made; closing the iterator stops the model.

        Another answer may be begun while this one is half read. It may wait until this one is written, but never for
        its reader, and no state of one may change the other.

        `adapter`: whether the fine-tuned adapter takes part, where there is one; of the other options None takes the
        profile's value. The last piece may be empty; it has `usage_metadata` and, in `response_metadata`, the
        "finish_reason": "stop" or "length". Raises UserError for a prompt that does not fit the model's window.
        """
        ...


def create(section: schema.Generator, cache: Path) -> Generator:
    """The generator of a profile's section, loaded; `cache` is where converted weights are kept.

    Only the backend that `section.backend` names is imported. Raises UserError where its model cannot be loaded.
    """
    backend = import_module(f"rag.generators.{section.backend}")
    return cast(Generator, backend.create(section, cache))
