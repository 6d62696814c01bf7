"""Messages to a model's chat template, the same for answering and for fine-tuning.

template = Template(tokenizer)
template.render([HumanMessage("What is gout?")])   # -> "<|im_start|>user\\nWhat is gout?<|im_end|>..."
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from configs.errors import UserError
from rag.prompt import neutral

ROLES = {"system": "system", "human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}


class Template:
    """A tokenizer's chat template, or the Jinja `source` of another one."""

    def __init__(self, tokenizer: Any, name: str = "the model", source: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.name = name
        self.source = source
        added = tokenizer.added_tokens_decoder.values()
        self.control = tuple(token.content for token in added if token.special and token.content.strip())

    def render(self, messages: Sequence[BaseMessage]) -> str:
        """The messages in the template, up to where the assistant speaks.

        Control tokens in a message's text are broken up, so that text cannot end a turn or begin one.
        Raises UserError for a role or an order that the template does not have.
        """
        from jinja2 import TemplateError

        turns = []
        for message in messages:
            if message.type not in ROLES:
                raise UserError(f"a {message.type!r} message cannot be given to this model; it has no tools")
            turns.append({"role": ROLES[message.type], "content": neutral(message.text, self.control)})
        try:
            text = self.tokenizer.apply_chat_template(
                turns, chat_template=self.source, tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise UserError(f"{self.name}: its chat template refuses these messages: {error}") from None
        return str(text)

    def encode(self, messages: Sequence[BaseMessage]) -> list[int]:
        """Token ids of `render(messages)`."""
        return list(self.tokenizer(self.render(messages), add_special_tokens=False)["input_ids"])

    def count(self, messages: Sequence[BaseMessage]) -> int:
        """Tokens of the whole prompt, template included."""
        return len(self.encode(messages))
