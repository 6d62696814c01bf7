"""Words, numbers, negations and names are read as a reader would read them."""

from __future__ import annotations

import pytest

from rag.answer import Source
from rag.facts import holds, names, polarity, quantities
from rag.support import Evidence, read, sentences_of
from rag.words import stem, tokens


def values(text: str) -> list[tuple[float, str]]:
    return [(round(q.value, 4), q.unit) for q in quantities(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("25 percent, 25% and twenty-five per cent", [(25, "percent")] * 3),
        (
            "half of them, two-thirds of the rest, one third",
            [(50, "percent"), (66.6667, "percent"), (33.3333, "percent")],
        ),
        ("2 to 4 years", [(2, "year"), (4, "year")]),
        ("5-10 mg", [(5000, "mcg"), (10000, "mcg")]),
        ("1 in 2,500 people", [(1, ""), (2500, "")]),
        ("2.5 million people", [(2500000, "")]),
        ("one of the genes", []),
        ("GLB1, p53 and vitamin B12", []),
        ("type II collagen", [(2, "")]),
        ("twice daily", [(2, "times/day")]),
        ("three times a week", [(3, "times/week")]),
        ("every eight hours", [(8, "every hour")]),
        ("120 mm Hg", [(120, "mmhg")]),
        ("38.5 °C", [(38.5, "degree")]),
        ("½ cup", [(50, "percent")]),
        ("", []),
    ],
)
def test_quantities(text: str, found: list[tuple[float, str]]) -> None:
    assert values(text) == found


def test_a_rate_holds_the_bare_amount_and_not_the_other_way() -> None:
    bare, rate = quantities("500 mg")[0], quantities("500 mg per day")[0]
    assert holds(bare, [rate])
    assert not holds(rate, [bare])
    assert holds(rate, quantities("500 mg daily"))
    assert holds(rate, quantities("500 mg/day"))


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


def test_british_and_american_spellings_share_a_stem() -> None:
    for one, other in (("tumour", "tumor"), ("anaemia", "anemia"), ("haemophilia", "hemophilia"), ("oedema", "edema")):
        assert stem(one) == stem(other)


def test_tokens_know_their_places() -> None:
    text = "Take 10mg of “Drug‑X”, don’t wait."
    for word in tokens(text):
        assert text[word.start : word.end].lower().replace("’", "'") == word.text
    assert [word.text for word in tokens(text)] == ["take", "10", "mg", "of", "drug", "x", "don't", "wait"]


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
