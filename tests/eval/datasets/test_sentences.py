"""Labels of sentences: of questions that are not for reporting, and nothing of the sources' text."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import UserError
from eval.datasets.people import people
from eval.datasets.sentences import ANSWERS, digest, labeled


def test_only_covered_questions_for_choosing_are_labeled() -> None:
    ids = {one.id for part in ("train", "validation") for one in people(part) if one.covered}  # type: ignore[arg-type]
    found = labeled()
    assert {one.id for one in found} == ids
    assert not ids & {one.id for one in people("test")}
    assert sum(ANSWERS in one.labels.values() for one in found) > 0.8 * len(found)
    assert all(len(name) == len(digest("")) for one in found for name in one.labels)


@pytest.mark.parametrize("text", ['{"id": "p1", "labels": {"a": 3}}', '{"id": "p1"}', "{", '{"id": "p1", "labels": 2}'])
def test_a_damaged_file_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="label"):
        labeled(path)
    with pytest.raises(UserError, match="cannot be read"):
        labeled(tmp_path / "none.jsonl")
