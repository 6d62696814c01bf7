"""Conditions that a number, a letter or "non-" tells apart, in MedQuAD's words and in people's."""

from __future__ import annotations

import time

import pytest

from rag.retrieval.designators import alone, names, other, tells

SIBLINGS = [
    ("What are the symptoms of Spinocerebellar ataxia 26?", ("Spinocerebellar ataxia 2", "SCA2")),
    ("What are the genetic changes related to pseudohypoaldosteronism type 1?", ("pseudohypoaldosteronism type 2",)),
    ("what causes pseudohypoaldosteronism type i", ("pseudohypoaldosteronism type 2",)),
    ("What is (are) factor X deficiency?", ("Factor XI deficiency", "F11 deficiency")),
    ("is factor x deficiency dangerous", ("Factor XI deficiency", "F11 deficiency")),
    ("symptoms of Maple syrup urine disease type 1B?", ("Maple syrup urine disease type 1A", "MSUD type 1A")),
    ("symptoms of Charcot-Marie-Tooth disease type 2L?", ("Charcot-Marie-Tooth disease type 2F", "CMT 2F")),
    ("My son has type 1 diabetes. Can he eat honey?", ("Type 2 Diabetes",)),
    ("how do you catch hepatitis b", ("Hepatitis C",)),
    ("hepatitis B or D: which is worse?", ("Hepatitis C",)),
    ("not enough vitamin d", ("Vitamin K",)),
    ("What is childhood non-Hodgkin lymphoma?", ("Childhood Hodgkin Lymphoma",)),
    ("What are the stages of Childhood Non-Hodgkin Lymphoma?", ("Adult Non-Hodgkin Lymphoma",)),
    ("adult hodgkin lymphoma treatment", ("Childhood Hodgkin Lymphoma",)),
    ("bipolar 2 medication", ("Bipolar I disorder",)),
]  # fmt: skip
THE_SAME = [
    ("What are the symptoms of Spinocerebellar ataxia 2?", ("Spinocerebellar ataxia type 2", "SCA2")),
    ("what is mopd type 2", ("microcephalic osteodysplastic primordial dwarfism type II", "MOPD2")),
    ("What is spinocerebellar ataxia 14?", ("Hereditary ataxia with tremor", "SCA14")),
    ("can type 1 turn into type 2 diabetes", ("Type 2 Diabetes",)),
    ("difference between hodgkin and non-hodgkin lymphoma", ("Hodgkin Lymphoma",)),
    ("treatments for non hodgkin lymphoma", ("Non-Hodgkin Lymphoma",)),
    ("hepatitis B or C: which is worse?", ("Hepatitis C",)),
    ("childhood non-hodgkin lymphoma", ("Childhood Non-Hodgkin Lymphoma",)),
    ("is childhood leukemia other than in an adult", ("Adult Acute Lymphoblastic Leukemia",)),
    ("I have three children and hodgkin lymphoma", ("Adult Hodgkin Lymphoma",)),
    ("is hepatitis a disease", ("Hepatitis C",)),
]
NO_SIGN = [
    ("I was told I have diabetes 2 years ago", ("Type 1 Diabetes",)),
    ("aneurysm (2.6cm) for the last 5yrs", ("Abdominal aortic aneurysm 1",)),
    ("I have Lyme disease. 12 years ago I was bitten", ("Lyme disease 1",)),
    ("diabetes 1.5 g of sugar", ("Type 2 Diabetes",)),
    ("Type 2 for 12 years, now the nurse said neuropathy", ("Hereditary neuropathy type 1",)),
    ("I think I have asthma", ("Asthma B",)),
    ("are 2 pills of type 2 medicine too many with gout", ("Gout",)),
    ("What is type 2 diabetes?", ("Diabetes",)),
]


@pytest.mark.parametrize(("question", "known"), SIBLINGS)
def test_another_number_or_letter_names_another_condition(question: str, known: tuple[str, ...]) -> None:
    assert tells(question)
    assert other(question, names(known[0], known[1:]))


@pytest.mark.parametrize(("question", "known"), THE_SAME + NO_SIGN)
def test_what_names_none_or_the_same_is_left(question: str, known: tuple[str, ...]) -> None:
    assert not other(question, names(known[0], known[1:]))


def test_a_question_without_a_sign_is_not_looked_at() -> None:
    assert not tells("What are the symptoms of gout?")
    assert not tells("my baby is 3 weeks old and has a rash")


def test_what_is_asked_for_alone_is_told_where_the_page_is_broader() -> None:
    broad, five = names("Leber congenital amaurosis", ("LCA",)), names("Leber congenital amaurosis 5", ("LCA5",))
    assert alone("symptoms of Leber congenital amaurosis 16", [broad]) == ("amaurosis 16",)
    assert alone("symptoms of Leber congenital amaurosis 5", [broad, five]) == ()
    assert alone("is type 2L of Charcot-Marie-Tooth rare", [names("Charcot-Marie-Tooth disease")]) == ("type 2L",)
    assert alone("hepatitis B or C", [names("Hepatitis")]) == ("hepatitis B", "hepatitis C")
    assert alone("my diabetes started 2 years ago", [names("Diabetes")]) == ()
    assert alone("symptoms of gout", []) == ()


def test_a_long_message_takes_no_longer_for_many_pages() -> None:
    message = "my uncle has type 2 diabetes and walks 3 miles " * 4000
    pages = [names(f"Diabetes type {n}") for n in range(300)]
    started = time.perf_counter()
    assert sum(other(message, page) for page in pages) == 299
    assert time.perf_counter() - started < 5
