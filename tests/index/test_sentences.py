"""Sentence spans: exact, and right where medical prose is awkward."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.sentences import spans


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in spans(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Asthma is common.", "It affects the lungs."],
        ["See Fig. 2 for this.", "Dr. Smith found it."],
        ["Some drugs (e.g. aspirin) help.", "Others, i.e. opioids, do not."],
        ["Smith et al. found more.", "The rest is unknown."],
        ["It is cared for in the U.S. by doctors.", "The U.S. Food and Drug Administration agreed."],
        ["Take 2.5 mg. daily as told.", "Then stop."],
        ["About 1.5 million people have it.", "More get it each year."],
        ["Is it inherited?", "Yes.", "It is!"],
        ["Many have diabetes.1", "Others do not."],
        ["They have hepatitis B.", "It can be treated."],
        ["The work of J. Smith is known.", "So is E. coli."],
        ['He said "stop."', "Then he left."],
        ["It is found here (see below.)", "That is all."],
        ["Type 1 vs. type 2 differ.", "Both are common."],
    ],
)
def test_prose(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences


def test_a_lost_space_still_ends_a_sentence() -> None:
    assert cut("It lies in two genes.The first is known.") == ["It lies in two genes.", "The first is known."]


def test_lines_end_sentences() -> None:
    text = "Symptoms\n\nThey include:\n\n- fever\n- cough. It may last\n- pain"
    lines = ["Symptoms", "They include:", "- fever", "- pain"]
    assert [line for line in cut(text) if line in lines] == lines
    assert all("\n" not in sentence for sentence in cut(text))


@given(st.text(alphabet=st.sampled_from("ab AB.!?\n\t-1)(\"' é.U"), max_size=200) | st.text(max_size=200))
def test_spans_cover_everything_once(text: str) -> None:
    at = 0
    for start, end in spans(text):
        assert at <= start < end
        assert not text[at:start].strip()
        assert text[start:end].strip() == text[start:end]
        at = end
    assert not text[at:].strip()


@pytest.mark.parametrize("piece", [".", "a.", "a. ", "A.B", "!?", ") ", '."', ".1", ".1,", " ", "\n", "- ", "aA"])
def test_hostile_text_takes_linear_time(piece: str) -> None:
    spans(piece * 100)

    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        begun = time.perf_counter()
        spans(text)
        return time.perf_counter() - begun

    # Quadratic work would take 64 times as long on eight times the text.
    assert seconds(160_000) < 0.3 + 24 * seconds(20_000)
