"""Sentences altered by rule, and the labels of pairs made of them."""

from __future__ import annotations

from eval.checker import altered
from eval.checker.altered import labeled
from index.corpus import QAPair


def page(name: str, number: int) -> QAPair:
    answer = (
        f"{name} usually affects {number} in 1,000 adults before the age of {number + 40}. "
        f"If the kidneys fail, {name} can damage the nerves of the hands and feet. "
        f"{name} causes a painful swelling of the left knee. "
        f"The treatment of {name} reduces severe symptoms, such as pain (which wakes people), and helps children.\n"
        f"- {name} rash\n- high fever of the {name} kind\n"
    )
    more = " ".join(f"Paragraph {k} of the page on {name} tells of sign number {k * 7 + number}." for k in range(30))
    return QAPair(id=name, question=f"What is {name}?", answer=answer + more, focus=name)


def test_pairs_have_the_label_that_their_kind_means() -> None:
    names = ["Asthma", "Gout", "Scurvy", "Rickets", "Measles", "Mumps", "Eczema", "Glaucoma", "Migraine", "Anemia"]
    pages = [page(name, k + 2) for k, name in enumerate(names)]
    twin = QAPair(
        id="Gout 2", question="Who gets Gout?", answer="Men over 40 get it more often than others. " * 5, focus="Gout"
    )
    made = labeled([*pages, twin], range(len(pages) + 1), 11)
    assert made == labeled([*pages, twin], range(len(pages) + 1), 11)
    kinds = {item.kind for item in made}
    assert {"own passage", "two sources", "one of its two sources", "other topic", "number altered"} <= kinds
    by_kind = {item.kind: item.supported for item in made}
    assert all(by_kind[item.kind] == item.supported for item in made)
    assert not any(by_kind.get(altered._NAMES.get(kind, kind)) for kind in altered.FALSE_KINDS)
    true = [altered._NAMES.get(kind, kind) for kind in altered.TRUE_KINDS]
    assert all(by_kind.get(kind, True) for kind in (*true, "two sources", "list item"))
    assert not kinds & {"miscopied", "number of a reference", "no content word"}
    for item in made:
        if item.kind == "own passage":
            assert item.claim in item.premise
        if not item.supported:
            assert item.claim not in item.premise
    assert by_kind["same topic, other page"] is False


def test_changes_of_order_and_words_by_hand() -> None:
    assert altered._reordered("If the kidneys fail, it harms the nerves of the feet.") == (
        "It harms the nerves of the feet if the kidneys fail."
    )
    assert altered._turned("Uric acid causes painful gout.", altered._BY) == "Painful gout can be caused by uric acid."
    assert altered._turned("Uric acid causes painful gout.", altered._SAME_VERB) == "Painful gout causes uric acid."
    assert altered._turned("It is known that uric acid causes gout.", altered._SAME_VERB) is None
    assert altered._freely_reworded("The treatment reduces severe pain.") == "The therapy reduces serious pain."
    assert altered._freely_reworded("The treatment works.") is None
    assert set(altered.HELD_OUT) == {"freely reworded", "voice changed", "roles exchanged", "clauses reordered"}
