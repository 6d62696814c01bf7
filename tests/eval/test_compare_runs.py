"""What changed between two runs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from configs.errors import UserError
from eval import compare
from tests.eval.report import sample_results


def results(**changes: Any) -> dict[str, Any]:
    figure = {"value": 0.5, "low": 0.45, "high": 0.55}
    row = {"mode": "base", "regime": "indexed", "n": 9, "figures": {"rougeL": figure, "smog": {"value": None}}}
    found = {"schema": 1, "profile": "embedded", "adapter": None, "questions": {"n": 9, "seed": 0}, "table": [row]}
    return copy.deepcopy({**found, **changes})


def test_the_same_run_twice_shows_nothing() -> None:
    assert compare.changed(results(), results()) == []
    said = compare.text(results(), results()).splitlines()
    assert said == ["The runs share everything.", "", "No figure changed.", "", compare.NOT_COMPARED]
    everything = sample_results.results()
    assert compare.text(everything, sample_results.results()).splitlines() == said


def test_a_figure_that_moved_is_told_with_whether_the_intervals_touch() -> None:
    near, far = results(), results()
    near["table"][0]["figures"]["rougeL"] = {"value": 0.56, "low": 0.5, "high": 0.6}
    far["table"][0]["figures"]["rougeL"] = {"value": 0.7, "low": 0.65, "high": 0.75}
    (row,) = compare.figures(results(), near)
    assert (row["change"], row["apart"]) == (0.06, False)
    assert compare.figures(results(), far)[0]["apart"] is True
    said = compare.text(results(), near)
    assert "| answers | base | indexed | rougeL | 0.5 (0.45 to 0.55) | 0.56 (0.5 to 0.6) | +0.06 |" in said
    # Overlapping intervals of two runs are no interval of their difference.
    assert "+0.06 | intervals overlap |" in said
    assert "no difference" not in said
    assert "+0.2 | intervals apart |" in compare.text(results(), far)


def test_what_the_runs_do_not_share_is_named_and_other_questions_are_warned_of() -> None:
    other = results(adapter={"path": "a", "weights": "x"}, questions={"n": 9, "seed": 1})
    assert compare.changed(results(), other) == [
        ("adapter", None, {"path": "a", "weights": "x"}),
        ("questions.seed", 0, 1),
    ]
    assert "their figures are of different things" in compare.text(results(), other)
    assert "their figures are of different things" not in compare.text(results(), results(profile="tinyllama"))


def test_what_is_said_of_the_splits_makes_them_no_others() -> None:
    before, after = results(splits={"hash": "a"}), results(splits={"hash": "a", "caveat": "no pair names a focus"})
    assert compare.changed(before, after) == []
    assert compare.changed(before, results(splits={"hash": "b"})) == [("splits.hash", "a", "b")]


def test_another_checker_and_other_modes_and_regimes_are_named() -> None:
    checked = results(checker={"name": "lexical", "threshold": 0.5}, modes=["base"], regimes=["indexed", "withheld"])
    other = results(checker={"name": "nli", "threshold": 0.5}, modes=["base", "extractive"], regimes=["indexed"])
    assert compare.changed(checked, other) == [
        ("checker.name", "lexical", "nli"),
        ("modes", ["base"], ["base", "extractive"]),
        ("regimes", ["indexed", "withheld"], ["indexed"]),
    ]
    said = compare.text(checked, other)
    assert "| modes | base | base, extractive |" in said
    assert "checkers of citations differ" in said
    assert "checkers of citations differ" not in compare.text(checked, {**other, "checker": checked["checker"]})


def test_what_only_one_run_has_is_listed() -> None:
    first, second = sample_results.results(), sample_results.results()
    del first["table"][0], second["forced"][0], second["retrieval"]["sets"][1], second["latency"][0]
    for row in second["table"]:
        del row["figures"]["bertscore"]
    found = compare.alone(first, second)
    assert [what for which, what in found if which == "second"] == ["answers, base, indexed"]
    lost = [what for which, what in found if which == "first"]
    assert "answers, base, withheld: bertscore" in lost
    assert "abstention disabled, finetuned+rag, indexed" in lost
    assert "retrieval, CHiQA rank, Alexa (MEDIQA task 3)" in lost
    assert "times, base, indexed" in lost
    said = compare.text(first, second)
    assert "- only in the second: answers, base, indexed\n" in said
    assert "No figure changed." in said
    assert "no figure in common" in compare.text(first, results(table=[]))


def test_forced_answers_retrieval_and_times_are_compared() -> None:
    first, second = sample_results.results(), sample_results.results()
    far = {"value": 0.99, "low": 0.98, "high": 1.0}
    second["forced"][0]["figures"]["rougeL"] = far
    second["retrieval"]["sets"][0]["systems"]["BM25"]["map"] = far
    second["retrieval"]["own"]["reworded"]["recall@1"] = {"value": 0.881, "low": None, "high": None}
    second["retrieval"]["own"]["intervals_by"] = "topic"
    second["latency"][0]["total_ms"]["p50"] += 7
    moved = {(row["table"], row["row"], row["metric"]): row for row in compare.figures(first, second) if row["change"]}
    assert list(moved) == [
        ("abstention disabled", "finetuned+rag", "rougeL"),
        ("retrieval", "BM25", "map"),
        ("retrieval", "reworded", "recall@1"),
    ]
    assert [row["apart"] for row in moved.values()] == [True, True, None]
    assert compare.changed(first, second) == [
        ("retrieval, the corpus's own test questions.intervals_by", "question", "topic")
    ]
    (time,) = (row for row in compare.times(first, second) if row["change"])
    assert (time["mode"], time["what"], time["change"]) == ("base", "total_ms p50", 7)
    said = compare.text(first, second)
    assert "| retrieval | reworded | the corpus's own test questions | recall@1 |" in said
    assert "| no interval |" in said
    assert "| base | total_ms p50 | 1500 | 1507 | +7 |" in said


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("{", "no evaluation results"), ('{"schema": 9}', "schema 9")]
)
def test_what_is_no_run_is_refused_by_name(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(UserError, match=said) as refused:
        compare.read(tmp_path)
    assert str(tmp_path) in str(refused.value)


def command(*words: str) -> int:
    from eval.__main__ import parser

    return compare.main(parser("compare", {}).parse_args(words))


def test_the_command_prints_tables_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text(json.dumps(results()))
    second.write_text(json.dumps(results(profile="tinyllama")))
    assert command(str(first), str(second)) == 0
    assert "| profile | embedded | tinyllama |" in capsys.readouterr().out
    assert command(str(first), str(second), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["differs"][0]["what"] == "profile"
    assert set(found) == {"differs", "only_in_one", "figures", "times"}
