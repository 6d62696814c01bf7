"""The features of a claim beside a premise, by hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest

from eval.checker.claims import NAMES, compare

GOUT = (
    "Gout\nWhat is Gout?\nGout is a form of arthritis. It is caused by the buildup of uric acid in the body. "
    "About 3 million people have gout. Men are more likely than women to get it. "
    "Colchicine does not cure the disease.\nSymptoms include:\n- fever\n- severe pain in the big toe"
)


def measured(claim: str, premise: str = GOUT) -> dict[str, float]:
    return dict(zip(NAMES, compare(premise, claim).tolist(), strict=True))


def test_a_sentence_of_the_premise_differs_in_nothing() -> None:
    found = measured("Men are more likely than women to get it.")
    assert [found[name] for name in NAMES[:4]] == [1, 1, 1, 1]
    assert not any(found[name] for name in NAMES[4:])


@pytest.mark.parametrize(
    ("claim", "feature"),
    [
        ("About 4 million people have gout.", "missing_numbers"),
        ("Colchicine does cure the disease.", "negation"),
        ("It is not caused by the buildup of uric acid in the body.", "negation"),
        ("Men are less likely than women to get it.", "opposite"),
        ("Women are more likely than men to get it.", "opposite"),
        ("Gout is a form of Osteoporosis.", "missing_rare"),
        ("Gout is a form of Lupus.", "missing_names"),
    ],
)
def test_an_altered_fact_shows_in_its_feature(claim: str, feature: str) -> None:
    assert measured(claim)[feature] >= 1


def test_a_number_from_elsewhere_in_the_premise_is_far() -> None:
    premise = "It begins at 30 years in most of those who have it. Later the joints swell. Half of 50 men recover."
    found = measured("It begins at 50 years in most of those who have it.", premise)
    assert (found["missing_numbers"], found["far_numbers"]) == (0, 1)


def test_what_surrounds_the_claim_is_no_difference() -> None:
    premise = "It grows slowly in adults, never in children, and it is not a cancer."
    assert measured("It grows slowly in adults.", premise)["negation"] == 0
    assert measured("It does not grow slowly in adults.", premise)["negation"] == 1
    assert measured("It grows slowly in adults and in children.", premise)["negation"] == 1


def test_two_sentences_far_apart_are_both_found() -> None:
    premise = "Asthma narrows the airways. " + "Nothing is said here. " * 20 + "Rest heals a sprained ankle."
    found = measured("Asthma narrows the airways, and rest heals a sprained ankle.", premise)
    assert (found["stretch"], found["missing"]) == (1, 0)


@pytest.mark.parametrize("claim", ["", "...", "It is."])
def test_a_claim_or_premise_without_content_does_no_harm(claim: str) -> None:
    assert np.isfinite(compare(GOUT, claim)).all()
    assert compare("", "Gout hurts.")[0] == 0
