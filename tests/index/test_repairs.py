"""Repairs: lists once, headings apart, lost letters and dashes put back; nothing else is touched, all of it is told."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import Cleaning
from index import repairs, stats
from index.clean import clean_pairs
from index.corpus import QAPair
from index.readers import ReadReport
from index.sources import Corpus

SENIOR = "NIHSeniorHealth"

TABLE = (
    "What are the signs and symptoms of Jensen syndrome? The Human Phenotype Ontology provides the following list of "
    "signs and symptoms for Jensen syndrome. If the information is available, the table below includes how often the "
    "symptom is seen in people with this condition. You can use the MedlinePlus Medical Dictionary to look up the "
    "definitions for these medical terms. Signs and Symptoms Approximate number of patients (when available) {cells}"
    "The Human Phenotype Ontology (HPO) has collected information on how often a sign or symptom occurs in a "
    "condition. Much of this information comes from Orphanet. In these cases, the sign or symptom may be rare or "
    "common."
)

CASES = {
    "a list and its copy run together (SeniorHealth)": (
        SENIOR,
        "Symptoms may include  - cloudy urine  - a mild fever below 101 degrees  - pain in the back.  cloudy urine a "
        "mild fever below 101 degrees pain in the back. If it spreads, see a doctor.",
        "Symptoms may include\n- cloudy urine\n- a mild fever below 101 degrees\n- pain in the back.\n\n"
        "If it spreads, see a doctor.",
        {repairs.LIST},
    ),
    "a short list of two items and its copy": (
        "NHLBI",
        "Ears:\n\n- Ear infections\n- Hearing loss\n\nEar infections\n\nHearing loss\n\nLungs:",
        "Ears:\n- Ear infections\n- Hearing loss\n\nLungs:",
        {repairs.LIST},
    ),
    "each item twice": (
        SENIOR,
        "These habits help.  - Wipe from front to back after using the toilet. This matters.  Wipe from front to back "
        "after using the toilet. This matters.  - Drink lots of fluids, especially water, every day at meals.  Drink "
        "lots of fluids, especially water, every day at meals.",
        "These habits help.\n- Wipe from front to back after using the toilet. This matters.\n- Drink lots of fluids, "
        "especially water, every day at meals.",
        {repairs.LIST},
    ),
    "an outline whose points are headings (CancerGov)": (
        "CancerGov",
        "Key Points\n- It is a disease of the eye.\n- Fair skin raises the risk.\n\nIt is a disease of the eye.\n\n"
        "It begins in the middle layer.\n\nFair skin raises the risk.\n\nSo does age.",
        "It is a disease of the eye.\n\nIt begins in the middle layer.\n\nFair skin raises the risk.\n\nSo does age.",
        {repairs.OUTLINE},
    ),
    "a point that stands only in the outline stays": (
        "CancerGov",
        "Key Points\n- It is a disease of the eye.\n- See a doctor.\n\nIt is a disease of the eye.\n\nIt begins early.",
        "Key Points\n- See a doctor.\n\nIt is a disease of the eye.\n\nIt begins early.",
        {repairs.OUTLINE},
    ),
    "a heading before its sentence": (
        SENIOR,
        "It hurts. Attacks Usually Start at Night Gout is a form of arthritis. Risk Factors There are a few.",
        "It hurts.\n\nAttacks Usually Start at Night\n\nGout is a form of arthritis.\n\nRisk Factors\n\n"
        "There are a few.",
        {repairs.HEADING},
    ),
    "a heading that asks, a heading of one word": (
        SENIOR,
        "What Causes Gout? Gout comes from uric acid. Symptoms Many people feel nothing.",
        "What Causes Gout?\n\nGout comes from uric acid.\n\nSymptoms\n\nMany people feel nothing.",
        {repairs.HEADING},
    ),
    "notes on films and links": (
        SENIOR,
        "Rest. (Watch the video to learn more. To enlarge the video, click the brackets. To reduce the video, press "
        "the Escape (Esc) button on your keyboard.) Drink water. Click here to view a diagram of the eye. It heals.",
        "Rest.\n\nDrink water.\n\nIt heals.",
        {repairs.NOTE},
    ),
    "a table that ran into a line (GARD)": (
        "GARD",
        TABLE.format(cells="Abnormality of the eye 90% Low-set ears 7.5% Seizures 2/14 Tremor - ")
        + " Can it be cured? No.",
        "What are the signs and symptoms of Jensen syndrome?\n\n"
        "The Human Phenotype Ontology provides the following list of signs and symptoms for Jensen syndrome, with the "
        "approximate number of patients (when available):\n- Abnormality of the eye (90%)\n- Low-set ears (7.5%)\n"
        "- Seizures (2/14)\n- Tremor\n\nCan it be cured? No.",
        {repairs.TABLE_RUN},
    ),
    "a label that was left over (MedlinePlus)": (
        "MPlusHealthTopics",
        "Summary : Gout is a kind of arthritis. In summary: it hurts.",
        "Gout is a kind of arthritis. In summary: it hurts.",
        {repairs.LABEL},
    ),
    "lost dash, letters, apostrophes": (
        "NIDDK",
        "Some symptomssuch as pain, dialysisa treatment, Sjgren's and Guillain-Barr syndrome, dont go; a persons age.",
        "Some symptoms—such as pain, dialysis—a treatment, Sjögren's and Guillain-Barré syndrome, don't go; a "
        "person's age.",
        {"lost dash or space", "lost letter", "lost apostrophe"},
    ),
}

KEPT = {
    "a question and its answer that begin alike": "What are the signs and symptoms of gout in people over sixty? "
    "The signs and symptoms of gout in people over sixty vary.",
    "items that are alike": "- Genetic Testing Registry: Transposition of the great arteries, type one\n"
    "- Genetic Testing Registry: Transposition of the great arteries, type two",
    "a web address": "See www.rarediseases.org/symptomssuch or http://x.gov/dont for more.",
    "Epstein-Barr": "Epstein-Barr virus and type Im are names.",
    "plurals": "The hearts of donors, persons with gout, a series of pictures, and the pancreas itself.",
    "a table with a cell that is none": TABLE.format(cells="Abnormality of the eye 90% Low-set ears "),
    "numbers": "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
}


def cleaned(answer: str, source: str = "", focus: str = "Gout", **settings: bool) -> QAPair:
    pair = QAPair("a/1", "What is gout?", answer, source=source, focus=focus)
    return clean_pairs([pair], Cleaning(**settings), ReadReport())[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_damage_is_put_right_and_told(case: str) -> None:
    source, raw, right, kinds = CASES[case]
    pair = cleaned(raw, source)
    assert pair.answer == right
    assert {repairs.parsed(one).kind for one in pair.repairs} == kinds
    assert pair.original
    assert pair.original == cleaned(raw, source, repair=False).answer


@pytest.mark.parametrize("case", KEPT)
def test_what_is_no_damage_stays(case: str) -> None:
    pair = cleaned(KEPT[case], SENIOR)
    assert pair.answer == KEPT[case]
    assert (pair.original, pair.repairs) == ("", ())


def test_headings_are_parted_only_where_they_were_checked() -> None:
    text = "It hurts. Central Nervous System Other signs are common here."
    assert cleaned(text, "GARD").answer == text
    assert cleaned(text, SENIOR).answer != text


def test_repair_can_be_turned_off() -> None:
    source, raw, _, _ = CASES["lost dash, letters, apostrophes"]
    pair = cleaned(raw, source, repair=False)
    assert "Sjgren" in pair.answer
    assert pair.repairs == ()


def test_names_and_questions_get_their_letters() -> None:
    pair = replace(
        QAPair("a/1", "What is Mnire disease?", "An ear disease."), focus="Mnire disease", synonyms=("Sjgren",)
    )
    pair = clean_pairs([pair], Cleaning(), ReadReport())[0]
    assert (pair.question, pair.focus, pair.synonyms) == ("What is Ménière disease?", "Ménière disease", ("Sjögren",))
    assert pair.original == ""  # the answer is as it was
    assert pair.repairs == ("lost letter: Mnire > Ménière", "lost letter: Sjgren > Sjögren")


def test_duplicates_are_those_of_the_published_text() -> None:
    pairs = [QAPair(str(n), "What?", text) for n, text in enumerate(("They dont.", "They don't.", "They dont."))]
    report = ReadReport()
    kept = clean_pairs(pairs, Cleaning(), report)
    assert [pair.answer for pair in kept] == ["They don't.", "They don't."]
    assert report.duplicates == 1


def test_an_answer_that_is_only_a_note_stays() -> None:
    assert cleaned("Click here to view this information.").answer == "Click here to view this information."


WORDS = st.lists(st.sampled_from("pain fever a of rash the doctor may help. weak muscles".split()), max_size=40)


@given(WORDS, WORDS)
def test_no_word_comes_from_nowhere_and_a_second_pass_changes_nothing(first: list[str], second: list[str]) -> None:
    raw = f"Signs:  - {' '.join(first)}  - {' '.join(second)}  {' '.join(first + second)}"
    pair = cleaned(f"{raw} end", SENIOR)
    assert set(re.findall(r"\w+", pair.answer)) == set(re.findall(r"\w+", raw)) | {"end"}
    again = cleaned(pair.answer, SENIOR)
    assert again.answer == pair.answer


@pytest.mark.parametrize(
    "text",
    [
        "One two three four five six seven eight. " * 3000,
        "- ab cd\n" * 12_000,
        "- Rest helps people with gout a great deal at night.\n" * 3000,
        "(Watch the video " * 5000,
        "Word And Word " * 8000,
        " ".join(TABLE.format(cells=f"Tremor {n}% ").replace("Jensen", f"Jensen {n}") for n in range(100)),
        "".join(TABLE.partition("{")[0].replace("Jensen", str(n)) for n in range(300)),
    ],
)
def test_repairs_take_time_in_proportion(text: str) -> None:
    began = time.perf_counter()
    cleaned(text, SENIOR)
    assert time.perf_counter() - began < 10  # 1 s each; looking again from the start after each copy took minutes


def test_very_long_answers_keep_their_copies() -> None:
    listed = "Signs:  - pain in the left foot  - a red and hot joint.  pain in the left foot a red and hot joint. End."
    assert cleaned(listed).repairs
    long = listed + " x" * repairs.LONGEST
    assert "red and hot joint.\n\npain in" in cleaned(long).answer


def test_the_table_is_read_through() -> None:
    """No entry whose right side has other letters than the wrong one, but for those that an accent stands on."""
    for wrong, (kind, right) in repairs._words().items():
        letters = re.sub(r"[\s—'-]", "", right)
        if kind == "lost letter":
            plain = "".join(c for c in letters if c.isascii())
            assert plain == wrong
        else:
            assert letters.lower() == wrong.lower()
            assert right != wrong


def test_a_passage_tells_its_words_and_never_the_text_left_out() -> None:
    made = (
        "list given twice: Take 500 mg of ibuprofen",
        "lost letter: Sjgren > Sjögren",
        "lost letter: Mnire > Ménière",
    )
    assert repairs.within(made, "Sjögren syndrome") == (repairs.LIST, "lost letter: Sjgren > Sjögren")
    assert repairs.within(made, "") == ()


def test_statistics_list_the_repairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [replace(cleaned(raw, source), id=name) for name, (source, raw, _, _) in CASES.items()]
    found = stats.run(Corpus(pairs, "digest", "some pages", ReadReport()), tmp_path)
    assert found["repairs"]["pairs"] == len(CASES)
    assert found["repairs"]["kinds"][repairs.LIST] == 4
    assert {"kind": "lost letter", "what": "Sjgren > Sjögren", "count": 1} in found["repairs"]["each"]
    assert "lost letter,Sjgren > Sjögren,1" in (tmp_path / "repairs.csv").read_text("utf-8")
    stats.print_tables(found)
    assert "Repairs" in capsys.readouterr().out


def test_an_index_without_repairs_opens(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from index import store

    store.write_tables(tmp_path, [cleaned("They dont.")], [])
    table = pq.read_table(tmp_path / store.PAIRS).drop_columns(["original", "repairs", "demonstration"])
    rows = store.Rows(pa.table(table), QAPair)
    assert (rows[0].original, rows[0].repairs, rows[0].demonstration) == ("", (), False)
    assert next(iter(rows)).answer == "They don't."
