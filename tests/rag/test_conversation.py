"""A follow-up becomes a question of its own, and a new question takes nothing over."""

from __future__ import annotations

import re

import pytest

from rag.conversation import Asked, Topic, asks, standalone

NAMES = (
    "type 1 diabetes",
    "diabetes",
    "gout",
    "asthma",
    "lupus",
    "hypothyroidism",
    "hyperthyroidism",
    "surgery",
    "rash",
)
FOUND = re.compile(r"\b(?:" + "|".join(NAMES) + r")\b", re.IGNORECASE)


def topics(text: str, loosely: bool = False) -> list[Topic]:
    return [Topic(one.group(), one.start(), one.end()) for one in FOUND.finditer(text)]


@pytest.mark.parametrize(
    ("earlier", "typed", "wanted"),
    [
        (["what is gout"], "and how is it treated?", "how is gout treated?"),
        (["what is gout"], "symptoms?", "symptoms (gout)?"),
        (["what is gout"], "is surgery needed?", "is surgery needed (gout)?"),
        (["what is lupus"], "is a rash part of it?", "is a rash part of lupus?"),
        (["what is lupus"], "can a rash be a sign?", "can a rash be a sign (lupus)?"),
        (["What causes gout?"], "what about children?", "What causes gout in children?"),
        (["What causes gout in children?"], "and older people", "What causes gout in older people?"),
        (["What causes gout?"], "and if you're pregnant?", "What causes gout when pregnant?"),
        (["what are the symptoms of gout?"], "ok and asthma?", "what are the symptoms of asthma?"),
        (["symptoms of diabetes"], "no I meant type 1", "symptoms of type 1 diabetes"),
        (["what is hypothyroidism"], "sorry, hyperthyroidism not hypothyroidism", "what is hyperthyroidism"),
        (["what is gout", "what is lupus"], "is the first one hereditary?", "is gout hereditary?"),
        (["what is gout", "what is lupus"], "what's the difference?", "what's the difference (gout and lupus)?"),
        (["what is gout", "thanks!"], "how long does it last", "how long does gout last"),
        (["how is it treated?"], "gout", "how is gout treated?"),
        (["my son has asthma, he is 9"], "will he be able to run", "will he be able to run (asthma)"),
    ],
)
def test_a_follow_up_takes_its_topic_from_before(earlier: list[str], typed: str, wanted: str) -> None:
    found = standalone(typed, [Asked(one) for one in earlier], topics)
    assert found.text == wanted
    assert found.taken


@pytest.mark.parametrize(
    "typed",
    [
        "what are the symptoms of asthma?",
        "I have asthma, is it contagious?",
        "My knee hurts when I climb stairs since last week and swells in the evening",
        "back to the asthma: is there a diet?",
        "thank you so much",
    ],
)
def test_a_question_of_its_own_takes_nothing_over(typed: str) -> None:
    assert standalone(typed, [Asked("what is gout")], topics) == standalone(typed, [], topics)
    assert standalone(typed, [Asked("what is gout")], topics).taken == ""


def test_without_a_topic_before_nothing_is_put_in() -> None:
    assert standalone("how is it treated?", [], topics).text == "how is it treated?"
    assert standalone("how is it treated?", [Asked("hello"), Asked("thanks")], topics).taken == ""


@pytest.mark.parametrize(
    "typed", ["thanks", "Thank you, that helps!", "ok great", "hi", "who are you?", "lol", "that's scary"]
)
def test_what_asks_nothing(typed: str) -> None:
    assert not asks(typed)


@pytest.mark.parametrize(
    "typed",
    ["gout", "thanks, and gout?", "is it good", "are you there or am I dying", "hi, what is gout", "no appetite"],
)
def test_what_asks(typed: str) -> None:
    assert asks(typed)


@pytest.mark.parametrize(
    "text", ["it " * 20_000, "and " * 20_000, "ok so " * 20_000 + "gout", "no, " * 20_000, "sorry, " * 20_000]
)
def test_long_texts_take_no_longer(text: str) -> None:
    import time

    began = time.perf_counter()
    standalone(text, [Asked("what is gout"), Asked(text)], topics)
    asks(text)
    assert time.perf_counter() - began < 5
