"""What changed between two runs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from configs.errors import UserError
from eval import compare


def results(**changes: Any) -> dict[str, Any]:
    figure = {"value": 0.5, "low": 0.45, "high": 0.55}
    row = {"mode": "base", "regime": "indexed", "n": 9, "figures": {"rougeL": figure, "smog": {"value": None}}}
    found = {"schema": 1, "profile": "embedded", "adapter": None, "questions": {"n": 9, "seed": 0}, "table": [row]}
    return copy.deepcopy({**found, **changes})


def test_the_same_run_twice_shows_nothing() -> None:
    assert compare.changed(results(), results()) == []
    assert compare.text(results(), results()).splitlines() == ["The runs share everything.", "", "No figure changed."]


def test_a_figure_that_moved_is_told_with_whether_the_intervals_touch() -> None:
    near, far = results(), results()
    near["table"][0]["figures"]["rougeL"] = {"value": 0.56, "low": 0.5, "high": 0.6}
    far["table"][0]["figures"]["rougeL"] = {"value": 0.7, "low": 0.65, "high": 0.75}
    (row,) = compare.figures(results(), near)
    assert (row["change"], row["apart"]) == (0.06, False)
    assert compare.figures(results(), far)[0]["apart"] is True
    assert "+0.06 | no difference shown |" in compare.text(results(), near)
    assert "+0.2 | intervals apart |" in compare.text(results(), far)


def test_what_the_runs_do_not_share_is_named_and_other_questions_are_warned_of() -> None:
    other = results(adapter={"path": "a", "weights": "x"}, questions={"n": 9, "seed": 1})
    assert compare.changed(results(), other) == [
        ("adapter", None, {"path": "a", "weights": "x"}),
        ("questions.seed", 0, 1),
    ]
    assert "their figures are of different things" in compare.text(results(), other)
    assert "their figures are of different things" not in compare.text(results(), results(profile="tinyllama"))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("{", "no evaluation results"), ('{"schema": 9}', "schema 9")]
)
def test_what_is_no_run_is_refused_by_name(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(UserError, match=said) as refused:
        compare.read(tmp_path)
    assert str(tmp_path) in str(refused.value)


def test_the_command_prints_tables_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text(json.dumps(results()))
    second.write_text(json.dumps(results(profile="tinyllama")))
    assert compare.main([str(first), str(second)]) == 0
    assert "| profile | embedded | tinyllama |" in capsys.readouterr().out
    assert compare.main([str(first), str(second), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differs"][0]["what"] == "profile"
