"""Questions in people's forms for training: enough of them, of every type, and about the pair's topic."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from finetune.forms import asked, forms_of
from rag.retrieval.aspects import asked as aspects_of
from tests import fakes

TYPES = sorted(forms_of()["asked"])


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_has_twenty_forms_and_a_story(kind: str) -> None:
    forms = [*forms_of()["asked"][kind], *forms_of()["more"][kind]]
    assert len(set(forms)) == len(forms) >= 20
    assert all("{x}" in form for form in forms)
    assert forms_of()["after"][kind]


def test_a_question_names_the_topic_as_people_type_it() -> None:
    pair = replace(fakes.pair(3), focus="Duchenne muscular dystrophy", synonyms=("DMD",), question_type="treatment")
    made = {asked(pair, random.Random(n)) for n in range(300)}
    assert len(made) > 60
    assert any("Duchenne muscular dystrophy" in one for one in made)
    assert any("duchenne muscular dystrophy" in one for one in made)
    assert any("DMD" in one for one in made)
    assert any(len(one.split()) > 25 for one in made), "a story"


def test_two_things_are_asked_for_at_once() -> None:
    pair = replace(fakes.pair(3), focus="gout", synonyms=(), question_type="symptoms")
    made = [asked(pair, random.Random(n), "symptoms", "inheritance") for n in range(40)]
    both = [one for one in made if {"symptoms", "heredity"} <= set(aspects_of(one))]
    assert len(both) > 20


def test_a_type_without_forms_or_a_long_name_gives_no_question() -> None:
    assert asked(replace(fakes.pair(3), question_type="no such type"), random.Random(0)) == ""
    assert (
        asked(replace(fakes.pair(3), focus="word " * 12, question_type="symptoms", synonyms=()), random.Random(0)) == ""
    )
