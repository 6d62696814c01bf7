"""Delimited rows: what is well-formed comes back as it was written, and a broken quotation mark costs one row."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import UserError
from index.readers import ReadReport, delimited, read
from index.readers.delimited import Delimited, Record


def records(text: str, width: int, least: int = 1, delimiter: str = ",") -> list[Record]:
    """The rows under a header of `width` columns that the text does not hold."""
    header = delimiter.join(f"c{n}" for n in range(width)) + "\n"
    table = Delimited(io.StringIO(header + text, newline=""), delimiter)
    assert len(table.header()) == width
    return list(table.rows(width, least))


def written(rows: list[list[str]], quoting: int, end: str = "\n", delimiter: str = ",") -> list[str]:
    """Each row as `csv` writes it."""
    lines = []
    for row in rows:
        out = io.StringIO(newline="")
        csv.writer(out, quoting=quoting, lineterminator=end, delimiter=delimiter).writerow(row)  # type: ignore[arg-type]
        lines.append(out.getvalue())
    return lines


QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
# No question mark: lines of an answer that each ask something and hold a row's number of cells are taken for rows.
CELL = st.text(st.sampled_from("ab ,;\"\n\t'é") | st.characters(exclude_characters="\r?\0", exclude_categories=["Cs"]))


@given(st.integers(2, 5), st.data(), QUOTING, st.sampled_from(["\n", "\r\n"]), st.sampled_from(",\t"))
def test_what_csv_writes_comes_back_and_nothing_is_said(
    width: int, data: st.DataObject, quoting: int, end: str, delimiter: str
) -> None:
    rows = data.draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=12))
    found = records("".join(written(rows, quoting, end, delimiter)), width, delimiter=delimiter)
    assert [record.cells for record in found] == [row for row in rows if any(cell.strip() for cell in row)]
    assert not [record for record in found if record.problem or record.mended]


# A cell of people's text starts with neither a separator nor a blank line, and a file has rows around the broken one.
WORDS = st.from_regex(r'\A[a-z]{1,5}([ ,"\n-][a-z]{1,4}){0,6}\.\Z')


@given(st.integers(2, 5), st.data(), QUOTING)
def test_a_broken_mark_costs_its_own_row_at_most(width: int, data: st.DataObject, quoting: int) -> None:
    rows = data.draw(st.lists(st.lists(WORDS, min_size=width, max_size=width), min_size=3, max_size=12))
    rows = [[f"{n} {cell}" for cell in row] for n, row in enumerate(rows)]
    lines = written(rows, quoting)
    at = data.draw(st.integers(0, len(rows) - 1))
    closing = [n for n in range(1, len(lines[at])) if lines[at][n] == '"' and lines[at][n + 1 :][:1] in (",", "\n")]
    closing = [n for n in closing if lines[at][n - 1] == "."]  # the last character of every cell
    if closing and data.draw(st.booleans()):
        cut = data.draw(st.sampled_from(closing))
        broken = lines[at][:cut] + lines[at][cut + 1 :]
    else:
        cell = data.draw(st.integers(0, width - 1))
        start = sum(len(one) for one in written([rows[at][:cell]], quoting)) if cell else 0
        broken = lines[at][:start] + '"' + lines[at][start:]
    found = records("".join([*lines[:at], broken, *lines[at + 1 :]]), width)
    first = 2 + sum(line.count("\n") for line in lines[:at])
    own = range(first, first + broken.count("\n"))
    elsewhere = [record for record in found if record.first not in own]
    assert [record.cells for record in elsewhere] == rows[:at] + rows[at + 1 :]
    assert not [record for record in elsewhere if record.problem or record.mended]
    named = [record for record in found if record.problem or record.mended]
    assert named
    assert named[0].first == first


def test_an_unclosed_mark_swallows_no_row() -> None:
    lines = [f"What is {n}?,It is {n}.\n" for n in range(300)]
    lines[100] = 'What is 100?,"It is 100.\n'
    lines[200] = 'What is 200?,"It is ""200"", so\nto say."\n'
    found = records("".join(lines), 2, 2)
    assert len(found) == 300
    assert [record.place for record in found if record.mended] == ["line 102"]
    assert found[100].cells == ["What is 100?", "It is 100."]
    assert found[200].cells == ["What is 200?", 'It is "200", so\nto say.']
    assert found[200].place == "lines 202-203"
    assert found[299].place == "line 302"


def test_rows_between_two_stray_marks_are_not_one_cell() -> None:
    """By RFC 4180 this is a single record of two cells."""
    text = 'What is a?,"It is a.\nWhat is b?,It is b.\nWhat is c?,It is c."\nWhat is d?,It is d.\n'
    found = records(text, 2, 2)
    assert [record.cells[0] for record in found] == [f"What is {name}?" for name in "abcd"]
    assert [record.place for record in found if record.mended] == ["line 2"]
    assert [record.place for record in records('a,"b\nc,d\ne",f\n', 2) if record.mended] == ["line 2"]


def test_a_long_answer_whose_lines_hold_commas_stays_whole() -> None:
    text = 'How is it treated?,"Doses:\nRest, a week\nFluids, 2 l\n\nSleep, 8 h"\nWhy?,So.\n'
    first, second = records(text, 2, 2)
    assert first == Record(["How is it treated?", "Doses:\nRest, a week\nFluids, 2 l\n\nSleep, 8 h"], 2, 6)
    assert second.cells == ["Why?", "So."]


def test_an_answer_that_lost_its_closing_mark_keeps_its_lines() -> None:
    found = records('How?,"Steps:\n- Keep calm.\n\n- Give air.\nWhy?,So.\n', 2, 2)
    assert [record.cells for record in found] == [["How?", "Steps:\n- Keep calm.\n\n- Give air."], ["Why?", "So."]]
    assert [(record.place, bool(record.mended)) for record in found] == [("lines 2-5", True), ("line 6", False)]
    found = records('How?,"Steps:\n- Keep "calm" now.\n- Give air.",GARD,Croup\nWhy?,So.,GARD,Croup\n', 4, 2)
    assert found[0].cells == ["How?", 'Steps:\n- Keep "calm" now.\n- Give air.', "GARD", "Croup"]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('What is it?,"Croup" is an illness.', ["What is it?", '"Croup" is an illness.']),
        ('What is it?,"It is "croup", they say."', ["What is it?", 'It is "croup", they say.']),
        ('What is it?,"Croup" is, like "flu", an illness.', ["What is it?", '"Croup" is, like "flu", an illness.']),
        ('What is it?,"Rest, fluids, sleep', ["What is it?", "Rest, fluids, sleep"]),
        ('"What is it?,"Rest, fluids"', ['"What is it?', "Rest, fluids"]),
        ('What is it?,A 5" scar.', ["What is it?", 'A 5" scar.']),
    ],
)
def test_marks_out_of_place_within_a_line(line: str, cells: list[str]) -> None:
    found = records(f"{line}\nWhy?,So.\n", 2, 2)
    assert [record.cells for record in found] == [cells, ["Why?", "So."]]
    assert bool(found[0].mended) == ('5"' not in line)


def test_what_cannot_be_told_is_named_with_its_lines() -> None:
    found = records('a,"b" c, d, e\nWhy?,So.,\n', 3, 3)
    assert [(record.place, bool(record.problem)) for record in found] == [("line 2", True), ("line 3", False)]


def test_an_unclosed_mark_is_looked_past_for_a_bounded_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_RECORD", 1000)
    taken = 0

    def lines() -> list[str]:
        return ["a,b\n", 'What is 0?,"It is 0.\n'] + [f"What is {n}?,It is {n}.\n" for n in range(1, 500)]

    def counted():  # type: ignore[no-untyped-def]
        nonlocal taken
        for line in lines():
            taken += 1
            yield line

    table = Delimited(counted(), ",")
    table.header()
    rows = table.rows(2, 2)
    assert next(rows).mended
    assert taken < 60
    assert len(list(rows)) == 499


def test_a_header_with_a_broken_mark_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('question,"answer\nq,a\n')
    with pytest.raises(UserError, match=r"a\.csv: line 1, the header, has a quotation mark that is not closed"):
        list(read(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("text", "count", "skipped"),
    [
        ("question,answer\nq,a\n,\n , \n\nr,b\n,\n", 2, []),
        ("question,answer,,\nq,a,,\nr,b,,\n", 2, []),
        ("question,answer\nq,a,\nr,b,,,\n", 2, []),
        ("question,answer\nq,a,x\nr,b\n", 1, ["a.csv line 2: 3 cells for 2 columns"]),
        (",question,answer\n0,q,a\n1,r,b\n", 2, []),
        ("question,answer,source,focus\nq,a\nr,b,S\ns\n", 2, ["a.csv line 4: 1 cells for 4 columns"]),
        ("\n\nquestion,answer\nq,a\n", 1, []),
    ],
)
def test_blank_long_and_short_rows(tmp_path: Path, text: str, count: int, skipped: list[str]) -> None:
    (tmp_path / "a.csv").write_text(text)
    report = ReadReport()
    pairs = list(read(tmp_path / "a.csv", None, report))
    assert [(pair.question, pair.answer) for pair in pairs] == [("q", "a"), ("r", "b")][:count] or count == 1
    assert (len(pairs), report.skipped_names) == (count, skipped)
