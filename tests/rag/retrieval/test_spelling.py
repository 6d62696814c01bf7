"""Misspelt words are read as the corpus's own; what is right, or unknown to everybody, stays."""

from __future__ import annotations

import pytest

from index.corpus import QAPair
from index.vocabulary import Vocabulary
from rag.retrieval.lay_names import with_medical_names
from rag.retrieval.spelling import Speller

NAMES = (
    "Alzheimer's Disease", "Parkinson's Disease", "Diabetes", "Shingles", "Pinkeye", "Heart Attack", "Pneumonia",
    "Carpal Tunnel Syndrome", "Psoriasis", "Schizophrenia", "Diarrhea", "Fibromyalgia", "Kidney Stones", "Eczema",
    "Polymyositis", "Microcephaly", "Dysentery", "Hydrocephalus", "CCHF",
)  # fmt: skip
TEXT = "The symptoms of a contagious disease spread. Treatment helps the pressure of the blood. " * 30


@pytest.fixture(scope="module")
def speller() -> Speller:
    pairs = [QAPair(name, f"What is {name}?", TEXT, focus=name) for name in NAMES]
    return Speller(Vocabulary.of(pairs), {"town", "pizza", "reply", "please", "what", "does", "best"})


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("symptoms of diabetis", "symptoms of diabetes"),
        ("what is alzhimers", "what is alzheimer's"),
        ("parkinsons diesease", "parkinson's disease"),
        ("is shingels contageous", "is shingles contagious"),
        ("How do I get rid of pink eye?", "How do I get rid of pinkeye?"),
        ("heartattack signs", "heart attack signs"),
        ("how do u catch numonia", "how do u catch pneumonia"),
        ("soriasis, schizofrenia, diarea, exema", "psoriasis, schizophrenia, diarrhea, eczema"),
        # Two edits in six letters: only because a name has it beside just this word.
        ("carple tunel treatment", "carpal tunnel treatment"),
        ("fibermyalgia and kidny stons", "fibromyalgia and kidney stones"),
    ],
)
def test_slips_are_righted(speller: Speller, typed: str, read: str) -> None:
    found = speller.correct(typed)
    assert found.text == read
    assert found.changes


@pytest.mark.parametrize(
    "text",
    [
        "What is Alzheimer's disease?", "best pizza in town, please reply", "Does Ozempic cause it?", "what is eliquis",
        "COPD and MS and HIV", "Sjögren’s 2,5 mg", "my hubby doesnt", "carple harbour", "", "???", "kidney stones",
    ],
)  # fmt: skip
def test_what_is_right_or_unknown_stays(speller: Speller, text: str) -> None:
    assert speller.correct(text).text == text
    assert speller.correct(text).changes == ()


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        # Only the combining form differs: another condition, and no slip.
        ("symptoms of pyomyositis", "symptoms of pyomyositis"),
        ("macrocephaly in babies", "macrocephaly in babies"),
        ("hydrolethalus syndrome", "hydrolethalus syndrome"),
        ("is CHHF deadly", "is CHHF deadly"),
        ("IS MIKROCEPHALY DEADLY", "IS microcephaly DEADLY"),
        ("hydrocefalus", "hydrocephalus"),
        ("hydrosephallus", "hydrocephalus"),
        ("polymiositis", "polymyositis"),
        ("mikrocephaly", "microcephaly"),
        ("dysentry", "dysentery"),
    ],
)
def test_another_combining_form_is_no_slip(speller: Speller, typed: str, read: str) -> None:
    assert speller.correct(typed).text == read


def test_what_was_changed_is_told_in_order(speller: Speller) -> None:
    assert speller.correct("Diabetis or shingels?").changes == (("Diabetis", "diabetes"), ("shingels", "shingles"))


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("is lockjaw deadly", "is lockjaw (tetanus) deadly"),
        ("Lou Gehrigs disease", "Lou Gehrigs (amyotrophic lateral sclerosis) disease"),
        ("a blood clot in the lung?", "a blood clot in the lung (pulmonary embolism)?"),
        ("piles (hemorrhoids)", "piles (hemorrhoids)"),
        ("monopoly", "monopoly"),
        ("can't poop", "can't poop (constipation)"),
        ("does PAD get worse", "does PAD (peripheral artery disease) get worse"),
        ("a heating pad helps", "a heating pad helps"),
        ("DOES PAD GET WORSE", "DOES PAD GET WORSE"),
    ],
)
def test_lay_names_are_explained_once(typed: str, read: str) -> None:
    assert with_medical_names(typed).text == read
