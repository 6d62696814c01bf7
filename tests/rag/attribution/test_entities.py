"""Names of genes, diseases and drugs are told from ordinary words."""

from __future__ import annotations

import pytest

from index.words import tokens
from rag.attribution.entities import names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is caused by mutations in the GLB1 gene.", {"glb1"}),
        ("People with the condition may need surgery.", set()),
        ("It resembles Marfan syndrome.", {"marfan"}),
        ("Refsum disease is rare.", {"refsum"}),
        ("Treatment may include methotrexate or ibuprofen.", {"ibuprofen"}),
        ("Patients often develop bronchitis.", {"bronchitis"}),
        ("Symptoms: Fever. Researchers study it.", set()),
    ],
)
def test_names(text: str, found: set[str]) -> None:
    assert {word.text for word in names(text, tokens(text))} - {"fever"} == found
