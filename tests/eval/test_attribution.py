"""How well attribution tells what its sources say, counted a kind of change."""

from __future__ import annotations

from configs.schema import Answering
from eval.attribution import measure, table
from rag.answer import Source


def test_shares_are_of_the_cases_of_each_kind() -> None:
    page = "Gout is a painful swelling of the joints. It comes with too much uric acid in the blood."
    sources = [Source(n=1, title="Gout", question="What is gout?", text=page, passage_id="p#0", pair_id="p")]
    own = "It comes with too much uric acid in the blood."
    made = [
        ("own", own, own, sources),
        ("own", "Measles is a rash of small children.", "", sources),
        ("other page", "Measles is a rash of small children.", "", sources),
    ]
    found = measure(made, Answering())
    assert list(found) == ["own", "other page"]
    assert found["own"] == {"n": 2, "supported": 0.5, "quoted": 0.5, "restored": 0.5, "reworded": 0.0, "cited": 0.5}
    assert found["other page"]["supported"] == 0
    alone = measure(made, Answering(quote_threshold=1.0))
    said = table({"kinds": found, "facts_only": alone}).splitlines()
    assert said[2].startswith("| own | 2 | 0.500 | 0.500 | 0.500 | 0.000 | 0.500 | ")
