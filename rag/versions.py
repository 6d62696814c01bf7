"""What the program's own code decides of an answer, as numbers raised by hand, which drafts, results and adapters keep.

A text that was made under the same numbers, from the same inputs, is the same text: evaluations keep it instead of
generating it again. A change that only moves or renames code raises nothing.
"""

from __future__ import annotations

PROMPT_VERSION = 4
"""Raise it when the same question and passages give other messages: wording, headings, what is cut."""

GENERATION_VERSION = 1
"""Raise it when the same messages, weights and settings give another text: templates, and the evaluation's batched
decoding. What answers people (llama.cpp, `generate`) keeps nothing."""

RETRIEVAL_VERSION = 9
"""Raise it when the same question and index give other passages, another order or another confidence."""

ANSWER_VERSION = 12
"""Raise it when the same draft and passages give another answer: emergencies, attribution, quoting, doses."""


def versions() -> dict[str, int]:
    """All of them by name, as results and adapters record them."""
    return {
        "prompt": PROMPT_VERSION,
        "generation": GENERATION_VERSION,
        "retrieval": RETRIEVAL_VERSION,
        "answer": ANSWER_VERSION,
    }
