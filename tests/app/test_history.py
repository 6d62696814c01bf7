"""Conversations outlive the program, apart from each other, and can be deleted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.history import SHOWN, History, Turn, new_id, new_key, valid_id
from tests.app.fakes import ANSWERED


def test_answers_come_back_whole_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "data" / "history.sqlite"
    first = History(path)
    one, other = new_id(), new_id()
    turn = Turn(new_key(), "What?", ANSWERED)
    first.add(one, turn)
    first.add(one, Turn(new_key(), "Why?", None, "no"))
    first.add(other, Turn(new_key(), "Else?", None, "x"))
    first.close()
    again = History(path)
    assert again.kept
    assert again.turns(one)[0] == turn
    assert [item.question for item in again.turns(one)] == ["What?", "Why?"]
    assert [item.question for item in again.turns(other)] == ["Else?"]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    History(path)
    assert path.stat().st_mode & 0o077 == 0


def test_clearing_deletes_the_words_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    history = History(path)
    mine = new_id()
    history.add(mine, Turn(new_key(), "my secret complaint", ANSWERED))
    assert b"secret complaint" in path.read_bytes()
    history.clear(mine)
    assert history.turns(mine) == []
    history.close()
    assert b"secret complaint" not in path.read_bytes()


def test_only_the_last_turns_are_kept(tmp_path: Path) -> None:
    history = History(tmp_path / "h.sqlite")
    mine = new_id()
    for n in range(SHOWN + 5):
        history.add(mine, Turn(new_key(), str(n), None, "x"))
    assert [turn.question for turn in history.turns(mine)] == [str(n) for n in range(5, SHOWN + 5)]


def test_an_answer_of_another_version_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(path)
    mine = new_id()
    history.add(mine, Turn("t1", "What?", ANSWERED))
    with sqlite3.connect(path) as db:
        db.execute('update turn set answer = \'{"status": "new"}\'')
    assert "another version" in history.turns(mine)[0].error


def test_a_file_that_cannot_be_used_leaves_the_conversation_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "h.sqlite"
    path.write_bytes(b"this is no database, but it is long enough to be read as one" * 20)
    history = History(path)
    mine = new_id()
    history.add(mine, Turn("t1", "What?", ANSWERED))
    assert history.turns(mine)
    assert not history.kept
    assert "h.sqlite" in capsys.readouterr().err


@pytest.mark.parametrize("value", [None, 3, "", "short", "x" * 200, "a" * 30 + "'; drop table turn"])
def test_ids_that_no_browser_was_given_are_replaced(value: object) -> None:
    assert valid_id(value) != value
    made = valid_id(value)
    assert valid_id(made) == made
