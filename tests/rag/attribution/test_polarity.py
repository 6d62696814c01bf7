"""A negation or an opposite that turns a sentence round is seen, and no other is."""

from __future__ import annotations

import pytest

from index.words import tokens
from rag.attribution.polarity import polarity


@pytest.mark.parametrize(
    ("draft", "source", "turned"),
    [
        ("It is contagious.", "It is not contagious.", True),
        ("It is not contagious.", "It is contagious.", True),
        ("It is not contagious.", "It is not contagious.", False),
        ("It isn't contagious.", "It is not contagious.", False),
        ("The cause of ALS is not known.", "It is not known exactly what causes ALS.", False),
        ("It can be inherited.", "It is not contagious, but it can be inherited.", False),
        ("Salt increases blood pressure.", "Salt reduces blood pressure.", True),
        ("It is rare.", "It is common.", True),
        ("It is not common.", "It is rare.", False),
        ("It affects more men than women.", "It affects more men than women.", False),
        ("Tumors are benign or benign.", "Tumors are benign or malignant.", True),
        ("The disease is treatable.", "The disease is untreatable.", True),
        ("Take it before meals.", "Take it after meals.", True),
    ],
)
def test_polarity(draft: str, source: str, turned: bool) -> None:
    note = polarity(draft, tokens(draft), source, tokens(source))
    assert bool(note) == turned, note
