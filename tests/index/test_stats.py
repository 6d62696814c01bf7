"""Statistics: the numbers, and the files written for them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from configs.errors import UserError
from index import stats
from index.corpus import QAPair
from index.readers import ReadReport
from index.sources import Corpus


@pytest.fixture
def corpus() -> Corpus:
    ask = "Ask your doctor about it."
    pairs = [
        QAPair(
            f"x/{n}", f"How is disease {n} treated?", ask, focus=f"Disease {n}", source="A", question_type="treatment"
        )
        for n in range(6)
    ]
    pairs += [
        QAPair("x/6", "What is gout?", "Gout costs $5 & is [bold] <b>painful</b>.", focus="Gout", source="B"),
        QAPair("x/7", "what is Gout?", "It hurts.", focus="gout", source="B", semantic_group="Disorders"),
    ]
    return Corpus(pairs, "0" * 64, "test", ReadReport(duplicates=3))


def test_counts_lengths_and_duplicates(corpus: Corpus) -> None:
    found = stats.compute(corpus)
    assert (found["pairs"], found["topics"], found["without_focus"]) == (8, 7, 0)
    assert found["counts"]["source"] == {"A": 6, "B": 2}
    assert found["counts"]["question_type"] == {"treatment": 6, "(none)": 2}
    assert next(iter(found["counts"]["topic"].items())) == ("gout", 2)
    assert found["lengths"]["answer words"]["min"] == 2
    assert found["lengths"]["answer words"]["p50"] == 5
    assert set(found["lengths"]) == {"question words", "answer words"}
    repeated = found["duplicates"]
    assert (repeated["distinct_questions"], repeated["questions_asked_again"]) == (7, 1)
    assert (repeated["distinct_answers"], repeated["answers_given_again"]) == (3, 5)
    assert (repeated["boilerplate_texts"], repeated["boilerplate_pairs"]) == (1, 6)
    assert repeated["exact_duplicates_merged"] == 3


def test_an_answer_of_five_topics_is_not_yet_boilerplate(corpus: Corpus) -> None:
    fewer = Corpus(corpus.pairs[1:], corpus.digest, corpus.name, corpus.report)
    assert stats.compute(fewer)["duplicates"]["boilerplate_pairs"] == 0


def test_tables_json_csv_and_plots(corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = stats.run(corpus, tmp_path / "out", count_tokens=lambda texts: [2 * len(text.split()) for text in texts])
    assert json.loads((tmp_path / "out" / "stats.json").read_text("utf-8")) == found
    assert found["lengths"]["answer tokens"]["max"] == 2 * found["lengths"]["answer words"]["max"]
    with (tmp_path / "out" / "source.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["source", "pairs"], ["A", "6"], ["B", "2"]]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {
        "lengths.csv",
        "duplicates.csv",
        "topic.csv",
        "topic.png",
        "answer_words.png",
        "question_words.png",
    } <= names
    assert not any(name.startswith(".") for name in names)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "out").glob("*.png"))
    stats.print_tables(found, top=1)
    printed = capsys.readouterr().out
    assert "8 pairs" in printed
    assert "and 1 more" in printed
    assert "boilerplate" in printed
    assert "name no focus" not in printed
    stats.print_tables(found | {"without_focus": 2}, top=1)
    assert "2 pairs (25.0%) name no focus" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_one_line(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot write statistics"):
        stats.run(corpus, tmp_path / "file")


@pytest.mark.medquad
def test_medquad_repeats_itself_as_known(medquad_corpus: Corpus) -> None:
    found = stats.compute(medquad_corpus)
    assert len(found["counts"]["source"]) == 9
    assert found["duplicates"]["distinct_questions"] == 14_345
    assert found["duplicates"]["most_repeated_answers"][0]["pairs"] == 348
    assert found["lengths"]["answer words"]["max"] == 4186


@pytest.mark.medquad
def test_medquads_repairs_are_those_that_were_read(medquad_corpus: Corpus) -> None:
    found = stats.compute(medquad_corpus)["repairs"]
    assert found["pairs"] == 4575
    assert found["kinds"] == {
        "lost dash or space": 1327,
        "lost apostrophe": 1216,
        "list given twice": 643,
        "heading glued to a sentence": 491,
        "outline given twice": 288,
        "note on a video or link": 215,
        "lost letter": 213,
        "paragraph given twice": 34,
        "table run into a line": 2243,
        "label left over": 295,
    }
