"""What a question asks about its topic."""

from __future__ import annotations

import pytest

from index.corpus import QAPair
from rag.retrieval.aspects import ASPECTS, asked, asking, fit, kind_of, mentions


@pytest.mark.parametrize(
    ("question", "aspects"),
    [
        ("gout", ("definition",)),
        ("What is (are) Gout?", ("definition",)),
        ("gout diet", ("diet",)),
        ("how long does shingles last", ("duration",)),
        ("is mono contagious?", ("contagion",)),
        ("how do you get rid of warts", ("treatment",)),
        ("can kidney stones come back", ("prevention",)),
        ("difference between type 1 and type 2 diabetes", ("comparison",)),
        ("symptoms and treatment of lupus", ("treatment", "symptoms")),
        ("what can cause hives", ("causes",)),
        ("Does Ozempic cause hair loss?", ("complications",)),
        ("what gene causes it", ("genes", "causes")),
        ("my mum has MS, what are my chances", ("heredity",)),
        ("life expectancy with ALS", ("outlook",)),
        ("how common is it", ("frequency",)),
        ("is there a blood test for celiac", ("tests",)),
        ("how much does a hip replacement cost", ("elsewhere",)),
        ("best hospital for knee replacement near Boston", ("elsewhere",)),
        ("I had blood tests in May. My son was tired. Is it hereditary?", ("heredity",)),
        ("Please advise on treatment. I feel fine.", ("treatment",)),
    ],
)
def test_what_is_asked(question: str, aspects: tuple[str, ...]) -> None:
    assert asked(question) == aspects


def test_only_the_sentences_that_ask_are_read() -> None:
    assert asking("He was tested. How long will it last? Thanks.") == "How long will it last?"
    assert asking("My wife has lupus. I would like to know the cause.") == "I would like to know the cause."
    assert asking("gout") == "gout"


def test_the_type_of_an_answer_fits_what_is_asked() -> None:
    assert fit(("treatment",), "treatment") == 1
    assert fit(("treatment",), "inheritance") == 0
    assert fit(("treatment", "symptoms"), "symptoms") == 1
    assert fit(("elsewhere",), "information") == 0


def test_a_pair_without_a_type_has_that_of_its_question() -> None:
    assert kind_of(QAPair("1", "How is gout treated?", "Rest.")) == "treatment"
    assert kind_of(QAPair("1", "How is gout treated?", "Rest.", question_type="outlook")) == "outlook"
    assert kind_of(QAPair("1", "Gout", "Rest.")) == "information"


def test_texts_that_speak_of_an_aspect() -> None:
    assert mentions(("duration",), "It lasts 3 to 10 days.") > 0
    assert mentions(("duration",), "It is painful.") == 0


def test_every_type_of_medquad_answers_some_aspect() -> None:
    types = {kind for aspect in ASPECTS.values() for kind in aspect.types}
    assert types == {
        "information", "symptoms", "treatment", "inheritance", "frequency", "genetic changes", "causes",
        "exams and tests", "research", "outlook", "susceptibility", "considerations", "prevention", "stages",
        "complications", "support groups",
    }  # fmt: skip
