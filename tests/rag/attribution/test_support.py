"""Units of the sources hold the share of a sentence that they should."""

from __future__ import annotations

import pytest

from rag.answer import Source
from rag.attribution.support import Evidence, read, sentences_of


def test_sentences_leave_list_marks_out_and_lists_are_units_with_their_lead_in() -> None:
    text = "Signs include:\n- fever\n- cough\n1. rest\nSee a doctor."
    assert [text[a:b] for a, b in sentences_of(text)] == ["Signs include:", "fever", "cough", "rest", "See a doctor."]
    assert (0, 3) in read(text).units


def evidence(*texts: str, title: str = "") -> Evidence:
    return Evidence(
        [
            Source(n=n, passage_id=str(n), pair_id=str(n), title=title, question="", text=text)
            for n, text in enumerate(texts, 1)
        ]
    )


def test_coverage_is_the_weighted_share_of_content_words() -> None:
    found = evidence("Fever and cough are common.", "Rest helps with fever.")
    full = found.coverage(["fever", "cough"])
    assert full[0] == pytest.approx(1.0)
    assert 0 < full[1] < 0.5  # the rarer word weighs more
    assert found.coverage([]).tolist() == [0.0, 0.0]
    assert evidence().coverage(["fever"]).tolist() == []


def test_topic_words_alone_are_no_support() -> None:
    found = evidence("It affects the airways.", title="Asthma")
    assert found.coverage(["asthma"])[0] == 0.0
    assert found.coverage(["asthma", "airway"])[0] == pytest.approx(1.0)
    assert found.coverage(["asthma", "banana"])[0] < 0.6
