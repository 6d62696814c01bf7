"""Numbers and their units are read as a reader would read them."""

from __future__ import annotations

import pytest

from rag.attribution.quantities import holds, quantities


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
