"""The evaluation of people's questions counts what it says."""

from __future__ import annotations

from eval.datasets.people import Person
from eval.people import Row, figures


def person(covered: bool, form: str = "keywords") -> Person:
    pairs = frozenset({"X/1-2"} if covered else ())
    return Person("p", "gout", form, "gout", frozenset({"X/1"}), pairs, "diet", covered)


def test_shares_are_of_the_right_questions() -> None:
    rows = [
        Row(person(True), "X/1-2", 0.9, 0.1, "text"),
        Row(person(True), "X/1-9", 0.9, 0.1, "text"),
        Row(person(True), "X/7-1", 0.9, 0.1, "text"),
        Row(person(True), "", 0.2, 0.1, ""),
        Row(person(False, "medicine"), "X/7-1", 0.9, 0.1, "text"),
        Row(person(False), "", 0.1, 0.1, ""),
    ]
    found = {name: (value["share"], value["n"]) for name, value in figures(rows).items()}
    assert found["covered: answered"] == (0.75, 4)
    assert found["covered: answered from a right page"] == (0.5, 4)
    assert found["covered: answered from a right answer"] == (0.25, 4)
    assert found["answered: from a right page"] == (0.667, 3)
    assert found["uncovered: answered"] == (0.5, 2)
    assert found["uncovered medicines: answered"] == (1.0, 1)
