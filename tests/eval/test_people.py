"""The evaluation of people's questions counts what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import UserError
from eval.datasets.people import Person
from eval.datasets.readings import Reading, digest, readings
from eval.people import Row, figures, kappa, read_by_people, risks


def person(covered: bool, form: str = "keywords", name: str = "p") -> Person:
    pairs = frozenset({"X/1-2"} if covered else ())
    return Person(name, "gout", form, "gout", frozenset({"X/1"}), pairs, "diet", covered)


def row(asked: Person, pair: str, confidence: float = 0.9, written: bool = False, text: str = "text") -> Row:
    return Row(asked, pair, confidence, confidence < 0.5, written, 0.1, text)


ROWS = [
    row(person(True), "X/1-2", 0.95, written=True),
    row(person(True), "X/1-9"),
    row(person(True), "X/7-1"),
    row(person(True), "X/1-2", 0.2),
    row(person(False, "medicine"), "X/7-1", 0.92),
    row(person(False), "", 0.6),
]


def test_shares_are_of_the_right_questions() -> None:
    found = {name: (value["share"], value["n"]) for name, value in figures(ROWS).items()}
    assert found["covered: answered"] == (0.75, 4)
    assert found["covered: answered from a right page"] == (0.5, 4)
    assert found["covered: answered from a right answer"] == (0.25, 4)
    assert found["answered: from a right page"] == (0.667, 3)
    assert found["answered: written by the generator"] == (0.333, 3)
    assert found["uncovered: answered"] == (0.5, 2)
    assert found["uncovered medicines: answered"] == (1.0, 1)


def test_every_outcome_has_its_name() -> None:
    assert [one.outcome for one in ROWS] == [
        "written, right answer",
        "quoted, right page",
        "quoted, wrong page",
        "declined, although covered",
        "quoted, not covered",
        "declined, rightly",
    ]


def test_risk_is_of_the_most_confident_whatever_the_threshold() -> None:
    found = {one["coverage"]: one for one in risks(ROWS)}
    assert (found[0.2]["risk"], found[0.2]["confidence"]) == (0.0, 0.95)
    assert (found[0.4]["risk"], found[0.4]["confidence"]) == (0.5, 0.92)
    # The last one answers what the threshold declines, rightly.
    assert (found[1.0]["risk"], found[1.0]["confidence"]) == (0.667, 0.2)


def test_only_answers_that_were_read_count() -> None:
    rows = [
        row(person(True, name="a"), "X/1-2", text="Rest."),
        row(person(True, name="b"), "X/1-2", text="Changed."),
        row(person(True, name="c"), "X/1-2", 0.2, text="Not shown."),
    ]
    known = [
        Reading("a", digest("Rest."), "yes", "in part"),
        Reading("b", digest("As it was."), "yes", "yes"),
        Reading("c", digest(""), "no", "no"),
        Reading("elsewhere", digest(""), "no", "no"),
    ]
    found = read_by_people(rows, known)
    assert (found["n"], found["changed since"]) == (2, 1)
    assert found["answers it"]["share"] == 0.0
    assert found["answers it, one reader"]["share"] == 0.5
    assert found["agreement"]["share"] == 0.5


def test_kappa_takes_chance_out() -> None:
    same = [("yes", "yes")] * 5 + [("no", "no")] * 5
    assert kappa(same) == 1.0
    # Cohen's own arithmetic: 6 of 10 agreed, (.5 * .5 + .5 * .5) expected.
    assert kappa(
        [("yes", "yes")] * 3 + [("no", "no")] * 3 + [("yes", "no")] * 2 + [("no", "yes")] * 2
    ) == pytest.approx(0.2)
    assert kappa([("yes", "yes")] * 4) == 1.0


def test_a_wrong_verdict_is_named(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    path.write_text('{"id": "a", "answer": "0", "first": "yes", "second": "perhaps"}\n')
    with pytest.raises(UserError, match="line 1: a verdict is one of yes, in part, no"):
        readings(path)
    path.write_text('{"id": "a"}\n')
    with pytest.raises(UserError, match="cannot be read as verdicts"):
        readings(path)


def test_the_kept_verdicts_are_of_questions_that_are_there() -> None:
    from eval.datasets.people import people

    asked = {one.id for part in ("train", "validation", "test") for one in people(part)}  # type: ignore[arg-type]
    assert {one.id for one in readings()} <= asked


def test_the_first_stage_is_measured_with_what_it_would_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from configs import load
    from configs.schema import IndexSettings, Passages
    from eval.people import as_first_stage
    from index import build
    from index.store import Index
    from rag.pipeline import Pipeline
    from rag.retrieval.hybrid import HybridRetriever
    from tests import fakes

    profile, _ = load("embedded", ["retriever.abstain_below=0.0"])
    embedder, made = fakes.FakeEmbedder(), (fakes.corpus(30), Passages(max_tokens=64))
    monkeypatch.setattr(build, "STAGED", 10)
    build.build(made[0], tmp_path / "stage", made[1], embedder, IndexSettings(), first=True)
    build.build(made[0], tmp_path / "whole", made[1], embedder, IndexSettings())

    def pipeline(folder: Path, growing: bool) -> Pipeline:
        index = Index.open(folder, growing)
        return Pipeline(profile, index, HybridRetriever.create(index, embedder, profile.retriever), tmp_path)

    measured, real = pipeline(tmp_path / "whole", False), pipeline(tmp_path / "stage", True)
    as_first_stage(measured)
    for question in ("What are the signs of gout?", "sign7x1 of glaucoma"):
        found, expected = (one.retriever.retrieve(question) for one in (measured, real))
        assert [hit.row for hit in found.hits] == [hit.row for hit in expected.hits]
        assert found.confidence == pytest.approx(expected.confidence, abs=1e-4)
        assert measured.invoke(question, mode="extractive").sentences
