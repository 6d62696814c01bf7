"""Delimited rows: what is well-formed comes back as it was written, and a broken quotation mark costs one row."""

from __future__ import annotations

import csv
import io
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
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
END = st.sampled_from(["\n", "\r\n"])
# A carriage return stands before a newline only: `csv` writes a lone one without quotes.
PIECE = st.sampled_from(["\n", "\r\n", '"', ",", ";", "\t", " ", "?", "ab"]) | st.characters(
    exclude_characters="\r\0", exclude_categories=["Cs"]
)
CELL = st.lists(PIECE, max_size=12).map("".join)


def asks_on_every_line(row: str) -> bool:
    """The one exception: such a record, where its lines also hold a row's number of cells, is taken for rows."""
    later = [line for line in row.rstrip("\r\n").split("\n")[1:] if line.strip()]
    return bool(later) and all("?" in line for line in later)


@given(st.integers(1, 5), st.data(), QUOTING, END, st.sampled_from(",\t"))
def test_what_csv_writes_comes_back_and_nothing_is_said(
    width: int, data: st.DataObject, quoting: int, end: str, delimiter: str
) -> None:
    rows = data.draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=8))
    lines = written(rows, quoting, end, delimiter)
    assume(not any(asks_on_every_line(line) for line in lines))
    found = records("".join(lines), width, delimiter=delimiter)
    assert [record.cells for record in found] == [row for row in rows if any(cell.strip() for cell in row)]
    assert not [record for record in found if record.problem or record.mended]


def test_a_record_whose_every_line_asks_and_reads_as_a_row_is_taken_for_rows() -> None:
    found = records('Which?,"Is it,\nIs it?,so\nIs it?,no"\n', 2)
    assert [record.cells for record in found] == [["Which?", "Is it,"], ["Is it?", "so"], ["Is it?", 'no"']]
    assert [record.place for record in found if record.mended] == ["line 2"], "and the first of its lines is named"
    assert records('Which?,"Is it?\nIs it so?"\n', 2)[0].cells == ["Which?", "Is it?\nIs it so?"]


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
    unended: bool = data.draw(st.booleans())
    if closing and unended:
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


WORD = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=5)
TEXT = st.lists(WORD | st.sampled_from([",", ", ", '"x"', '5"', "it's", ";", "?"]), min_size=1, max_size=7).map(
    " ".join
)


@st.composite
def answered(draw: st.DrawFn) -> list[list[str]]:
    """Rows of questions and answers, some with source and focus, and some answers of several lines."""
    rows = []
    width = draw(st.sampled_from([2, 4]))
    for n in range(draw(st.integers(3, 14))):
        answer = f"It is {n} {draw(TEXT)}."
        if draw(st.integers(0, 4)) == 0:
            answer += f"\nMoreover, {draw(TEXT)}.\n\n- {draw(TEXT)}."
        rows.append([f"What is {n} {draw(TEXT)}?", answer, "GARD", f"Focus {n}"][:width])
    return rows


@given(answered(), st.data(), QUOTING, END, st.sampled_from(",\t"))
def test_stray_opening_marks_cost_no_other_row(
    rows: list[list[str]], data: st.DataObject, quoting: int, end: str, delimiter: str
) -> None:
    """One or two rows of one line get a mark before a cell that nothing closes."""
    lone = [n for n, row in enumerate(rows) if "\n" not in row[1]]
    assume(lone)
    first = data.draw(st.sampled_from(lone))
    far = [n for n in lone if abs(n - first) >= 3]
    two: bool = data.draw(st.booleans())
    strays = {first, data.draw(st.sampled_from(far))} if far and two else {first}
    lines = written(rows, quoting, end, delimiter)
    for n in strays:
        cells = [written([[cell]], quoting, "", delimiter)[0] for cell in rows[n]]
        at = data.draw(st.integers(0, len(cells) - 1))
        text = rows[n][at]
        cells[at] = '"' + (text.replace('"', '""') if data.draw(st.booleans()) else text)
        lines[n] = delimiter.join(cells) + end
    found = records("".join(lines), len(rows[0]), 2, delimiter)
    begins = [2 + sum(line.count("\n") for line in lines[:n]) for n in range(len(rows))]
    broken = sorted(begins[n] for n in strays)
    whole = [record for record in found if record.first not in broken]
    assert [record.cells for record in whole] == [row for n, row in enumerate(rows) if n not in strays]
    assert [record.first for record in found if record.problem or record.mended] == broken
    assert all(record.place == f"line {record.first}" for record in found if record.first in broken)


@pytest.mark.parametrize("cell", [0, 1])
@pytest.mark.parametrize("line", [2, 400, 1001])
def test_of_a_thousand_rows_one_stray_mark_costs_one_at_most(tmp_path: Path, line: int, cell: int) -> None:
    rows = [[f"What is {n}?", f"It is {n}."] for n in range(1000)]
    lines = [",".join(row) for row in rows]
    lines[line - 2] = ",".join(('"' if n == cell else "") + text for n, text in enumerate(rows[line - 2]))
    (tmp_path / "a.csv").write_text("question,answer\n" + "\n".join(lines) + "\n")
    report = ReadReport()
    pairs = list(read(tmp_path / "a.csv", None, report))
    assert len(pairs) >= 999
    others = [[pair.question, pair.answer] for pair in pairs if f"is {line - 2}" not in pair.answer]
    assert others == rows[: line - 2] + rows[line - 1 :]
    named = [*report.skipped_names, *report.mended_names]
    assert [name.split(": ")[0] for name in named] == [f"a.csv line {line}"]


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


@pytest.mark.parametrize(
    "rest", ["What is it?,It is so.\n", "text that ends nowhere\n", 'says ""so"" again, or not, or so\n']
)
def test_an_unclosed_mark_costs_bounded_memory_and_time(rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_RECORD", 2**17)
    count = 3 * delimited.MAX_RECORD // len(rest)

    def lines() -> Iterator[str]:
        yield "question,answer\n"
        for n in range(count):
            yield 'What?,"It begins.\n' if n % (count // 3 + 1) == 0 else rest

    table = Delimited(lines(), ",")
    table.header()
    begun = time.process_time()
    tracemalloc.start()
    try:
        named = [record.first for record in table.rows(2, 2) if record.mended]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(named) == 3, "each of the three marks is named, and no other line"
    assert peak < 24 * delimited.MAX_RECORD, "a line held costs about its length and 60 bytes"
    assert time.process_time() - begun < 10


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
