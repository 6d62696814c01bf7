"""The modes, written once: how an answer is made. Apart from the schema, so that a command's help needs no pydantic."""

from __future__ import annotations

from typing import Literal, get_args

Mode = Literal["base", "finetuned", "finetuned+rag", "base+rag", "extractive"]
"""The generator without or with its adapter, without or with retrieved passages, or the best passages quoted with
no generator."""
Length = Literal["short", "long"]
"""How much the extractive mode quotes: a handful of sentences, the best first, or all that answers, page by page."""
LENGTHS: tuple[Length, ...] = get_args(Length)
MODES: tuple[Mode, ...] = get_args(Mode)
"""All of them, in the order of the report."""
