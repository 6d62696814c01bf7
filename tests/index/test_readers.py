"""Readers: what every layout gives, and what hostile or broken files do."""

from __future__ import annotations

import json
import stat
import time
import zipfile
from pathlib import Path

import pytest

from configs.errors import UserError
from configs.schema import Cleaning
from index.clean import clean_pairs
from index.corpus import QAPair
from index.readers import ReadReport, files, maps, read

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="0000001" source="GARD" url="https://rarediseases.info.nih.gov/1">
<Focus>Test disease</Focus>
<FocusAnnotations><UMLS><CUIs><CUI>C1</CUI><CUI>C2</CUI></CUIs>
<SemanticTypes><SemanticType>T047</SemanticType></SemanticTypes><SemanticGroup>Disorders</SemanticGroup></UMLS>
<Synonyms><Synonym>Disease of tests</Synonym></Synonyms></FocusAnnotations>
<QAPairs>
<QAPair pid="1"><Question qid="0000001-1" qtype="causes">What causes it ?</Question><Answer>A &amp; B.</Answer></QAPair>
<QAPair pid="2"><Question qid="0000001-2" qtype="outlook">And then ?</Question><Answer></Answer></QAPair>
</QAPairs></Document>"""
BOMB = """<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>
<Document id="1" source="x" url=""><Focus>&b;</Focus><QAPairs/></Document>"""


def make_zip(path: Path, entries: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def read_all(path: Path, column_map: str | None = None) -> tuple[list[QAPair], ReadReport]:
    report = ReadReport()
    return list(read(path, column_map, report)), report


def test_medquad_from_zip_and_folder_alike(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "m.zip", {"MedQuAD-master/2_GARD_QA/0000001.xml": DOCUMENT})
    folder = tmp_path / "MedQuAD" / "2_GARD_QA"
    folder.mkdir(parents=True)
    (folder / "0000001.xml").write_text(DOCUMENT, "utf-8")
    pairs, report = read_all(archive)
    assert pairs == [
        QAPair(
            id="GARD/0000001-1",
            question="What causes it ?",
            answer="A & B.",
            collection="2_GARD_QA",
            document="0000001",
            question_id="0000001-1",
            question_type="causes",
            focus="Test disease",
            synonyms=("Disease of tests",),
            cuis=("C1", "C2"),
            semantic_types=("T047",),
            semantic_group="Disorders",
            source="GARD",
            url="https://rarediseases.info.nih.gov/1",
            urls=("https://rarediseases.info.nih.gov/1",),
        )
    ]
    assert (report.files, report.read, report.unanswered, report.answered) == (1, 2, 1, 1)
    assert read_all(tmp_path / "MedQuAD")[0] == pairs
    assert read_all(folder)[0] == pairs
    assert read_all(folder / "0000001.xml")[0] == pairs


def test_a_document_id_shared_by_two_files_gives_two_ids(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "m.zip", {"a/f/0000001.xml": DOCUMENT, "a/f/0000001_2.xml": DOCUMENT})
    assert [pair.id for pair in read_all(archive)[0]] == ["GARD/0000001-1", "GARD/0000001_2-1"]


def test_the_starter_source_marks_demonstration_text(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(DOCUMENT.replace('source="GARD"', 'source="medcite starter"'), "utf-8")
    pair = read_all(tmp_path)[0][0]
    assert pair.demonstration
    assert pair.id == "starter/a-1"


def test_a_broken_file_is_skipped_and_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    archive = make_zip(
        tmp_path / "m.zip",
        {"a/f/1.xml": "<Document><QAPairs>", "a/f/2.xml": b"\xff\xfe\x00", "a/f/3.xml": "<p/>", "a/f/4.xml": DOCUMENT},
    )
    pairs, report = read_all(archive)
    assert len(pairs) == 1
    assert report.skipped == 3
    assert [name.split(":")[0] for name in report.skipped_names] == ["a/f/1.xml", "a/f/2.xml", "a/f/3.xml"]
    assert any("3 broken files" in line for line in report.lines())


def test_a_damaged_entry_of_a_zip_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a/f/1.xml", "<Document>DAMAGE-ME</Document>")
        archive.writestr("a/f/2.xml", DOCUMENT)
    path.write_bytes(path.read_bytes().replace(b"DAMAGE-ME", b"damage-me"))
    pairs, report = read_all(path)
    assert len(pairs) == 1
    assert report.skipped_names[0].startswith("a/f/1.xml: Bad CRC-32")


@pytest.mark.parametrize("name", ["../evil.xml", "/etc/evil.xml", "a/../../evil.xml", "..\\evil.xml", "C:\\evil.xml"])
def test_zip_paths_that_escape_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="points outside"):
        read_all(make_zip(tmp_path / "m.zip", {name: DOCUMENT}))


def test_zip_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a/link.xml")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="symbolic link"):
        read_all(tmp_path / "m.zip")


def test_zip_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="zip bomb"):
        read_all(make_zip(tmp_path / "one.zip", {"a/b.xml": b" " * 2**22}))
    many = {f"a/{number}.xml": b" " * 2**19 for number in range(8)}  # each too small to be judged alone
    with pytest.raises(UserError, match="zip bomb"):
        read_all(make_zip(tmp_path / "many.zip", many))
    monkeypatch.setattr(files, "MAX_TOTAL", 100)
    with pytest.raises(UserError, match="over the limit"):
        read_all(make_zip(tmp_path / "large.zip", {"a/b.xml": DOCUMENT}))


def test_a_file_over_the_limit_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE", len(DOCUMENT))
    archive = make_zip(tmp_path / "m.zip", {"a/1.xml": DOCUMENT, "a/2.xml": DOCUMENT + " "})
    pairs, report = read_all(archive)
    assert (len(pairs), report.skipped) == (1, 1)


@pytest.mark.parametrize(
    "bomb", [BOMB, '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Document><Focus>&x;</Focus></Document>']
)
def test_xml_entities_are_refused(tmp_path: Path, bomb: str) -> None:
    with pytest.raises(UserError, match=r"a/1\.xml declares XML entities"):
        read_all(make_zip(tmp_path / "m.zip", {"a/1.xml": bomb, "a/2.xml": DOCUMENT}))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("not.zip", b"hello", "not a zip file"),
        ("tables.zip", None, "no XML file"),
        ("notes.docx", b"x", "of no kind"),
        ("bad.parquet", b"PAR1", "not a Parquet file"),
        ("bad.json", b"{", "not JSON"),
        ("number.json", b"7", "list of records"),
        ("latin.csv", "question,answer\ncaf\xe9,x\n".encode("latin-1"), "not UTF-8.*0xe9"),
        ("utf16.csv", "question,answer\na,b\n".encode("utf-16"), "not UTF-8"),
        ("semi.csv", b"question;answer\na;b\n", "semicolons"),
        ("twice.csv", b"question,question\na,b\n", "twice"),
        ("other.csv", b"title,text\na,b\n", "fits no column map: it has title, text"),
        ("empty.csv", b"", "fits no column map: it has none"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(tmp_path: Path, name: str, data: bytes | None, said: str) -> None:
    path = tmp_path / name
    if data is None:
        make_zip(path, {"a.csv": "question,answer"})
    else:
        path.write_bytes(data)
    with pytest.raises(UserError, match=said):
        read_all(path)


def test_a_missing_path_and_a_folder_with_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_all(tmp_path / "absent.csv")
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(UserError, match="holds nothing to read"):
        read_all(tmp_path)


def test_a_named_map_says_which_columns_are_missing_and_present(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,reply\na,b\n")
    with pytest.raises(UserError, match=r"lacks answer, which the column map 'plain' reads; it has: question, reply"):
        read_all(tmp_path / "a.csv", "plain")
    with pytest.raises(UserError, match="no column map 'nope': give one of afrimedqa, chatdoctor"):
        read_all(tmp_path / "a.csv", "nope")


RECORDS = [
    {"question": "What is A?", "answer": "A thing.", "url": "https://a.example", "synonyms": "alpha|first||alpha"},
    {"question": "What is B?", "answer": "", "url": "", "synonyms": ""},
    {"question": "What is C,\nthen?", "answer": 'Said "so".', "url": "", "synonyms": ""},
]


def write(path: Path, records: list[dict[str, object]]) -> Path:
    import pandas as pd

    frame = pd.DataFrame(records)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        path.write_text(json.dumps(records if path.stem != "wrapped" else {"data": records}), "utf-8")
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.json", "wrapped.json", "a.jsonl", "a.parquet"])
def test_every_table_format_gives_the_same_pairs(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, RECORDS)
    pairs, report = read_all(path)
    assert [(pair.question, pair.answer) for pair in pairs] == [
        ("What is A?", "A thing."),
        ("What is C,\nthen?", 'Said "so".'),
    ]
    assert pairs[0].url == "https://a.example"
    assert pairs[0].synonyms == ("alpha", "first")
    assert [pair.id for pair in pairs] == [f"{path.stem}/1", f"{path.stem}/3"]
    assert (report.read, report.unanswered, report.answered) == (3, 1, 2)


def test_saved_datasets_and_parquet_folders(tmp_path: Path) -> None:
    import datasets

    split = datasets.Dataset.from_list(RECORDS)
    datasets.DatasetDict({"train": split, "test": split}).save_to_disk(str(tmp_path / "splits"))
    split.save_to_disk(str(tmp_path / "one"))
    (tmp_path / "hub" / "data").mkdir(parents=True)
    write(tmp_path / "hub" / "data" / "train-00000-of-00002.parquet", RECORDS[:1])
    write(tmp_path / "hub" / "data" / "train-00001-of-00002.parquet", RECORDS[1:])
    (tmp_path / "hub" / "data" / "zz.parquet").write_bytes(b"broken")
    assert len(read_all(tmp_path / "splits")[0]) == 4
    assert [pair.question for pair in read_all(tmp_path / "one")[0]] == ["What is A?", "What is C,\nthen?"]
    pairs, report = read_all(tmp_path / "hub")
    assert len(pairs) == 2
    assert report.skipped_names[0].startswith("data/zz.parquet")


def test_broken_lines_and_rows_are_skipped_and_named(tmp_path: Path) -> None:
    lines = ['{"question": "q", "answer": "a"}', "{oops", "[1]", "", '{"question": "r", "answer": "b"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    pairs, report = read_all(tmp_path / "a.jsonl")
    assert [pair.question for pair in pairs] == ["q", "r"]
    assert [name.split(":")[0] for name in report.skipped_names] == ["a.jsonl line 2", "a.jsonl line 3"]
    (tmp_path / "a.csv").write_text("question,answer\nq,a\nonly one\nr,b\n")
    pairs, report = read_all(tmp_path / "a.csv")
    assert [pair.question for pair in pairs] == ["q", "r"]
    assert report.skipped_names == ["a.csv line 3: 1 cells for 2 columns"]


def test_a_json_file_of_one_object_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"question": "q", "answer": "a"}\n{"question": "r", "answer": "b"}\n')
    assert len(read_all(tmp_path / "a.json")[0]) == 2


LAVITA = {
    "document_id": "0000559",
    "document_source": "GHR",
    "document_url": "https://ghr.nlm.nih.gov/x",
    "category": None,
    "umls_cui": "C0000001|C0000002",
    "umls_semantic_types": "T047|T191",
    "umls_semantic_group": "Disorders",
    "synonyms": "one|two",
    "question_id": "0000559-1",
    "question_focus": "keratoderma",
    "question_type": "information",
    "question": "What is keratoderma ?",
    "answer": "A skin condition.",
}
AFRIMED = {
    "sample_id": "s1",
    "question_type": "SAQ",
    "question": "Which vector?",
    "answer_options": None,
    "correct_answer": None,
    "answer_rationale": "A mosquito.",
}
ALPACA = {"instruction": "Answer this question truthfully", "input": "What is A?", "output": "A thing."}


@pytest.mark.parametrize(
    ("name", "records", "column_map", "expected"),
    [
        ("train.parquet", [LAVITA, LAVITA | {"answer": None}], "lavita_medquad", "What is keratoderma ?"),
        ("train.csv", [{"qtype": "causes", "Question": "Why?", "Answer": "So."}], "keivalya_medquad", "Why?"),
        ("medical_meadow_x.json", [ALPACA], "medical_meadow", "What is A?"),
        ("HealthCareMagic-100k.json", [ALPACA], "chatdoctor", "What is A?"),
        ("a.csv", [AFRIMED, AFRIMED | {"question_type": "MCQ"}], "afrimedqa", "Which vector?"),
        ("a.jsonl", RECORDS[:1], "plain", "What is A?"),
    ],
)
def test_shipped_maps_are_picked_by_their_columns(
    tmp_path: Path, name: str, records: list[dict[str, object]], column_map: str, expected: str
) -> None:
    path = write(tmp_path / name, records)
    pairs, _ = read_all(path)
    assert [pair.question for pair in pairs] == [expected]
    assert maps.choose(list(records[0]), path, None).name == column_map
    assert read_all(path, column_map)[0] == pairs


def test_lavita_keeps_all_provenance(tmp_path: Path) -> None:
    pair = read_all(write(tmp_path / "train.parquet", [LAVITA]))[0][0]
    assert pair.id == "GHR/0000559-1"
    assert (pair.document, pair.question_id, pair.question_type) == ("0000559", "0000559-1", "information")
    assert (pair.focus, pair.synonyms, pair.cuis) == ("keratoderma", ("one", "two"), ("C0000001", "C0000002"))
    assert (pair.semantic_types, pair.semantic_group) == (("T047", "T191"), "Disorders")
    assert (pair.source, pair.url, pair.institute) == ("GHR", LAVITA["document_url"], "Genetics Home Reference (NLM)")


def test_columns_of_two_maps_need_a_name_and_never_a_guess(tmp_path: Path) -> None:
    """Guessing wrongly here would leave patients' telephone numbers in."""
    path = write(tmp_path / "a.json", [ALPACA])
    with pytest.raises(UserError, match=r"more than one column map \(chatdoctor, medical_meadow\)"):
        read_all(path)


def test_dialogues_are_deidentified(tmp_path: Path) -> None:
    record = {"instruction": "", "input": "Write to me@x.org or 415-555-2671.", "output": "Call 1-800-273-8255."}
    pairs, report = read_all(write(tmp_path / "a.json", [record]), "chatdoctor")
    assert (pairs[0].question, pairs[0].answer) == ("Write to [email] or [phone].", "Call [phone].")
    assert (report.emails, report.phones) == (1, 2)


def test_a_users_own_map(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [{"Title": "Gout", "Body": "Painful."}])
    own = tmp_path / "own.toml"
    own.write_text('question = "What is {Title}?"\nanswer = "{Body}"\nfocus = "{Title}"\nsource = "Ours"\n')
    pair = read_all(tmp_path / "a.csv", str(own))[0][0]
    assert (pair.question, pair.answer, pair.focus, pair.source) == ("What is Gout?", "Painful.", "Gout", "Ours")
    own.write_text('question = "{Title}"\nanswer = "{Body}"\nfocuss = "x"\n')
    with pytest.raises(UserError, match="focuss: Extra inputs"):
        read_all(tmp_path / "a.csv", str(own))


@pytest.mark.medquad
def test_medquad_whole(medquad: Path) -> None:
    start = time.perf_counter()
    pairs, report = read_all(medquad)
    assert time.perf_counter() - start < 30
    assert len(pairs) == len({pair.id for pair in pairs}) == 16_407
    assert len({" ".join(pair.question.split()).casefold() for pair in pairs}) == 14_345
    assert len({" ".join(pair.answer.split()) for pair in pairs}) == 15_809
    assert sum(not pair.focus for pair in pairs) == 14
    assert report.read == 47_441
    assert report.skipped == 4
    assert len(report.answered_by_source) == 9
    assert all(pair.institute != pair.source for pair in pairs)


@pytest.mark.medquad
@pytest.mark.parametrize(
    ("name", "count"), [("medical_meadow_small.json", 5942), ("chatdoctor5k.json", 5452), ("afrimedqa_saq.csv", 912)]
)
def test_public_corpora(medquad: Path, name: str, count: int) -> None:
    path = medquad.parent / "corpora" / name
    if not path.exists():
        pytest.skip(f"no {name} beside MedQuAD")
    assert len(read_all(path)[0]) == count


def balanced(report: ReadReport) -> bool:
    """Whether every row of a cleaned read is in one of the report's counts."""
    dropped = report.duplicates + report.empty + report.too_short + report.too_long
    return (
        report.read == report.left_out + report.unanswered + report.answered
        and report.answered == report.kept + dropped
        and len(report.skipped_names) == report.skipped
    )


LEAVING = [
    {"question": "What is A?", "answer": "A thing of some kind."},
    {"question": "What is A?", "answer": "A thing of some kind."},
    {"question": "What is B?", "answer": "nan"},
    {"question": "What is C?", "answer": None},
    {"question": "What is D?", "answer": "!"},
    {"question": "N/A", "answer": "Words enough to be kept."},
    {"question": "What is E?", "answer": "Two words"},
    {"question": "What is F?", "answer": "One two three four five six seven."},
]


def clear(text: object) -> str:
    """A cell as XML has it, where an empty element says that there is nothing."""
    return "" if text in (None, "nan", "N/A") else str(text)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl", "a.parquet", "saved", "folder", "a.zip"])
def test_every_row_that_goes_is_in_a_count(tmp_path: Path, name: str) -> None:
    import datasets

    path, broken = tmp_path / name, 0
    if name == "saved":
        datasets.Dataset.from_list(LEAVING).save_to_disk(str(path))
    elif name == "folder":
        path.mkdir()
        write(path / "a.jsonl", LEAVING)
        (path / "b.csv").write_text('question,answer\nq\n"What is G?","It is not closed.\n')
        broken = 1
    elif name == "a.zip":
        asked = "".join(
            f"<QAPair><Question>{clear(row['question'])}</Question><Answer>{clear(row['answer'])}</Answer></QAPair>"
            for row in LEAVING
        )
        make_zip(path, {"a/b/1.xml": f"<Document><QAPairs>{asked}</QAPairs></Document>", "a/b/2.xml": "<Document>"})
        broken = 1
    else:
        write(path, LEAVING)
        if name in ("a.csv", "a.jsonl"):
            with path.open("a") as out:
                out.write("only one\n")
            broken = 1
    report = ReadReport()
    settings = Cleaning(min_answer_words=3, max_answer_words=6)
    kept = clean_pairs(read(path, None, report), settings, report)
    assert balanced(report), report
    assert report.skipped == broken
    assert report.read == len(LEAVING) + (name == "folder")
    assert (report.duplicates, report.empty, len(report.empty_names)) == (1, 2, 2)
    assert (report.unanswered, report.too_short, report.too_long) == (2, 1, 1)
    assert report.kept == len(kept) == 1 + (name == "folder")


@pytest.mark.parametrize("word", ["nan", "NaN", "NULL", "None", "N/A", " n/a "])
@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl", "a.parquet"])
def test_a_word_for_nothing_is_no_answer(tmp_path: Path, name: str, word: str) -> None:
    rows = [
        {"question": "What is A?", "answer": word, "focus": "A"},
        {"question": "What is B?", "answer": f"{word.strip()} of them.", "focus": word},
    ]
    pairs, report = read_all(write(tmp_path / name, rows))
    assert [(pair.question, pair.focus) for pair in pairs] == [("What is B?", "")]
    assert (report.read, report.unanswered) == (2, 1)


def test_a_filter_may_ask_for_such_a_word(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,a,risk\nWhy?,So.,none\nWhen?,Now.,high\n")
    own = tmp_path / "own.toml"
    own.write_text('question = "{q}"\nanswer = "{a}"\nwhere = {risk = ["none"]}\n')
    assert [pair.question for pair in read_all(tmp_path / "a.csv", str(own))[0]] == ["Why?"]


@pytest.mark.parametrize(
    "record",
    [
        {"question": {"0": "What is A?", "1": "What is B?"}, "answer": {"0": "A thing.", "1": "Another."}},
        {"question": "What is A?", "answer": {"text": "A thing.", "rating": 5}},
        {"question": "What is A?", "answer": [{"text": "A thing."}]},
    ],
)
def test_an_object_is_no_answer_but_a_named_row(tmp_path: Path, record: dict[str, object]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{json.dumps(record)}\n{{"question": "Why?", "answer": ["So.", "And so."]}}\n')
    pairs, report = read_all(path)
    assert [(pair.question, pair.answer) for pair in pairs] == [("Why?", "So., And so.")]
    assert report.skipped_names[0].startswith("a.jsonl line 1: ")
    assert "an object, not text" in report.skipped_names[0]


def test_files_beside_those_that_are_read_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "1.xml").write_text(DOCUMENT, "utf-8")
    (folder / "a.csv").write_text("question,answer\nq,a\n")
    (folder / "b.xlsx").write_bytes(b"x")
    (folder / "readme.txt").write_text("x")
    (folder / "c.jsonl").symlink_to(folder / "a.csv")
    pairs, report = read_all(folder)
    assert len(pairs) == 1
    assert [name.split(": ")[0] for name in report.passed_over_names] == ["a.csv", "b.xlsx", "c.jsonl"]
    assert any("3 files passed over" in line for line in report.lines())
    _, report = read_all(folder, "plain")
    assert [name.split(": ")[0] for name in report.passed_over_names] == ["1.xml", "b.xlsx", "c.jsonl"]
    entries = {"a/f/1.xml": DOCUMENT, "a/f/2.csv": "question,answer\nq,a\n"}
    _, report = read_all(make_zip(tmp_path / "m.zip", entries))
    assert [name.split(": ")[0] for name in report.passed_over_names] == ["a/f/2.csv"]


KAGGLE = """question,answer,source,focus_area
What is (are) Gout ?,"Gout is a painful ""attack"" of a joint.",NIHSeniorHealth,Gout
What causes Gout ?,Crystals of uric acid.,NIDDK,Gout
What is (are) Croup ?,,GARD,Croup
"""


def test_the_widely_shared_csv_of_medquad(tmp_path: Path) -> None:
    (tmp_path / "medquad.csv").write_text(KAGGLE)
    pairs, report = read_all(tmp_path / "medquad.csv")
    assert [(pair.focus, pair.title, pair.institute) for pair in pairs] == [
        ("Gout", "Gout", "NIH Senior Health (NIA)"),
        ("Gout", "Gout", "National Institute of Diabetes and Digestive and Kidney Diseases (NIDDK)"),
    ]
    assert (report.read, report.unanswered, report.answered) == (3, 1, 2)


@pytest.mark.parametrize(
    "name", ["focus", "focus_area", "Focus Area", "DISEASE", "condition", "Topic", "question-focus"]
)
def test_other_names_of_the_focus_and_the_type(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(f"question,answer,{name},QType\nq,a,Gout,causes\nr,b,,\n")
    pairs, _ = read_all(tmp_path / "a.csv", "plain")
    assert [(pair.focus, pair.question_type) for pair in pairs] == [("Gout", "causes"), ("", "")]


def test_the_first_named_focus_with_text_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer,disease,focus\nq,a,Joint disease,Gout\nr,b,Croup,\n")
    assert [pair.focus for pair in read_all(tmp_path / "a.csv")[0]] == ["Gout", "Croup"]


def test_an_unclosed_quotation_mark_in_a_csv_costs_no_other_row(tmp_path: Path) -> None:
    rows = [f"What is {n}?,It is number {n}.\n" for n in range(1000)]
    rows[400] = 'What is 400?,"It is number 400.\n'
    (tmp_path / "a.csv").write_text("question,answer\n" + "".join(rows))
    pairs, report = read_all(tmp_path / "a.csv")
    assert [pair.answer for pair in pairs] == [f"It is number {n}." for n in range(1000)]
    assert report.mended_names == ["a.csv line 402: a quotation mark is out of place: read as text"]
    assert any("mended a.csv line 402" in line for line in report.lines())
