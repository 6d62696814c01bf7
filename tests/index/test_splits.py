"""Splits: nothing that ties two pairs together crosses from train to test."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import UserError
from configs.schema import Cleaning
from index.corpus import QAPair
from index.sources import Corpus, load_corpus
from index.splits import BOILERPLATE_TOPICS, Splits, caveat, leaks, make, normalize, topics
from tests.inprocess import run_room


def pair(
    n: int, focus: str = "", document: str = "", question: str = "", answer: str = "", source: str = "S"
) -> QAPair:
    return QAPair(
        id=f"p{n}",
        question=question or f"question {n}?",
        answer=answer or f"answer {n}",
        focus=focus,
        document=document,
        collection="c",
        source=source,
    )


def crossings(pairs: Sequence[QAPair], splits: Splits, key: Callable[[QAPair], Hashable]) -> list[Hashable]:
    """The keys that occur in more than one split, pairs left out aside."""
    seen: dict[Hashable, set[str]] = defaultdict(set)
    for item in pairs:
        if key(item) and splits.split_of[item.id] != "left out":
            seen[key(item)].add(splits.split_of[item.id])
    return [value for value, found in seen.items() if len(found) > 1]


small = st.integers(0, 12).map(str)


@given(st.lists(st.tuples(small, small, small, small), min_size=30, max_size=120))
def test_no_tie_crosses(rows: list[tuple[str, str, str, str]]) -> None:
    pairs = [
        pair(
            n,
            focus=f and f"focus {f}{n % 7}",
            document=f"{d}{n % 9}",
            question=f"q {q}{n % 11}",
            answer=f"a {a}{n % 8}",
        )
        for n, (f, d, q, a) in enumerate(rows)
    ]
    try:
        splits = make(pairs, "digest", seed=1)
    except UserError:
        assert len(set(topics(pairs)[0])) < 3
        return
    _, boilerplate = topics(pairs)
    common = {item.answer for item, flag in zip(pairs, boilerplate, strict=True) if flag}
    assert not crossings(pairs, splits, lambda item: normalize(item.focus))
    assert not crossings(pairs, splits, lambda item: item.document)
    assert not crossings(pairs, splits, lambda item: normalize(item.question))
    assert not crossings(pairs, splits, lambda item: "" if item.answer in common else item.answer)
    assert not [item for item in pairs if item.answer in common and splits.split_of[item.id] in ("validation", "test")]


def test_shares_hold_in_every_source() -> None:
    pairs = [pair(n, focus=f"f{n // 3}", source="AB"[n % 6 >= 3]) for n in range(1200)]
    splits = make(pairs, "digest", seed=3)
    for source in "AB":
        rows = [item for item in pairs if item.source == source]
        share = sum(splits.split_of[item.id] == "train" for item in rows) / len(rows)
        assert share == pytest.approx(0.8, abs=0.02)


def test_boilerplate_joins_nothing_and_is_not_tested_on() -> None:
    pairs = [pair(n, focus=f"f{n}", answer="This condition is inherited.") for n in range(BOILERPLATE_TOPICS + 1)]
    pairs += [pair(n, focus=f"f{n}") for n in range(100, 200)]
    numbers, boilerplate = topics(pairs)
    assert len(set(numbers)) == len(pairs)
    assert sum(boilerplate) == BOILERPLATE_TOPICS + 1
    splits = make(pairs, "digest")
    common = {splits.split_of[item.id] for item in pairs[: BOILERPLATE_TOPICS + 1]}
    assert common <= {"train", "left out"}
    twins = [pair(0, focus="a", answer="same"), pair(1, focus="b", answer="same"), pair(2, focus="c")]
    assert topics(twins)[0] == [0, 0, 1]


def test_the_seed_decides_and_the_hash_tells(tmp_path: Path) -> None:
    pairs = [pair(n) for n in range(300)]
    one, again, other = make(pairs, "d", seed=1), make(pairs, "d", seed=1), make(pairs, "d", seed=2)
    assert one == again
    assert one.hash == again.hash != other.hash
    one.save(tmp_path / "splits")
    other.save(tmp_path / "splits")
    assert Splits.open(tmp_path / "splits") == other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["splits"]


def test_altered_or_missing_splits_are_refused(tmp_path: Path) -> None:
    pairs = [pair(n) for n in range(30)]
    folder = tmp_path / "splits"
    with pytest.raises(UserError, match="no splits"):
        Splits.open(folder)
    make(pairs, "d").save(folder)
    table = folder / "splits.csv"
    text = table.read_text("utf-8")
    table.write_text(text.replace(",train", ",test", 1), "utf-8")
    with pytest.raises(UserError, match="hash"):
        Splits.open(folder)
    table.write_text(text, "utf-8")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}), "utf-8")
    with pytest.raises(UserError, match="schema"):
        Splits.open(folder)


def test_a_pair_that_the_splits_do_not_know() -> None:
    pairs = [pair(n) for n in range(30)]
    with pytest.raises(UserError, match="corpus changed"):
        make(pairs, "d").rows([*pairs, pair(99)], "train")


def test_what_topics_cannot_tell_is_said_with_its_share(tmp_path: Path) -> None:
    named = [pair(n, focus=f"f{n}") for n in range(30)]
    assert caveat(named) == make(named, "d").caveat == ""
    bare = [pair(n) for n in range(30)]
    said = caveat(bare)
    assert said.startswith("no pair names a focus (disease) or a document: only equal questions or answers make")
    assert said.endswith("a leak of topics is a lower bound")
    paged = [pair(n, document=f"d{n // 3}") for n in range(30)]
    assert caveat(paged).startswith("no pair names a focus (disease): only equal documents, questions or answers")
    assert caveat([*named, *bare[:10]]).startswith("10 of 40 pairs (25.0%) name no focus")
    assert caveat([pair(n, focus="" if n == 7 else f"f{n}") for n in range(5000)]).startswith(
        "1 of 5,000 pairs (under 0.1%)"
    )
    assert caveat([pair(n, focus="f" if n == 7 else "?!") for n in range(5000)]).startswith(
        "4,999 of 5,000 pairs (99.9%)"
    )
    splits = make(bare, "d")
    splits.save(tmp_path / "splits")
    assert Splits.open(tmp_path / "splits").caveat == said
    assert json.loads((tmp_path / "splits" / "manifest.json").read_text("utf-8"))["caveat"] == said
    assert splits.hash == replace(splits, caveat="").hash, "the hash names the assignment alone"


def shared_disease(focus: str) -> str:
    """A table on twelve diseases with four questions each, under a fourth column of this name."""
    rows = [f"question,answer,source,{focus}"]
    for n in range(12):
        name = f"{'abcdefghijkl'[n]}pox"
        rows += [
            f"What {word} {name} ?,It {word} {name} in some way.,GARD,{name}" for word in ("is", "has", "does", "can")
        ]
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("focus", "topics_said", "lower"), [("focus_area", "12 topics", False), ("x", "48 topics", True)]
)
def test_the_split_command_says_what_it_knows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    focus: str,
    topics_said: str,
    lower: bool,
) -> None:
    from finetune.__main__ import main

    table = tmp_path / "medquad.csv"
    table.write_text(shared_disease(focus) + "\nno answer\n")
    monkeypatch.setenv("MEDCITE_DATA", str(tmp_path / "data"))
    for _ in range(2):  # made, then read again
        monkeypatch.setattr("sys.argv", ["finetune", "split", "--corpus", str(table)])
        assert main() == 0
        out, err = capsys.readouterr()
        assert topics_said in out
        assert f"of the test pairs {'at least ' if lower else ''}0.0% have their topic in train" in out
        assert ("no pair names a focus (disease) or a document" in out and "lower bound" in out) == lower
        assert "skipped medquad.csv line 50: 1 cells for 4 columns" in err
    pairs = load_corpus([str(table)], Cleaning()).pairs
    splits = Splits.open(next((tmp_path / "data" / "splits").iterdir()))
    parted = crossings(pairs, splits, lambda item: item.question.split()[-1])
    assert bool(parted) == lower, "with the column read no disease is in two splits; without it some are"


TEMPLATES = ("What is (are) {} ?", "What are the symptoms of {} ?", "What are the treatments for {} ?")


def fifteen_diseases(column: str) -> str:
    """Ten rows on each of fifteen diseases, under three of MedQuAD's question templates; no two answers are equal."""
    rows = [f"question,answer,source,{column}"]
    for n in range(15):
        name = f"{'abcdefghijklmno'[n]}osis"
        rows += [f"{TEMPLATES[k % 3].format(name)},Remark {k} on {name}.,GARD,{name}" for k in range(10)]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("by", ["topic", "row"])
@pytest.mark.parametrize("column", ["focus_area", "notes"])
def test_the_leak_that_is_printed_is_that_of_diseases_or_a_lower_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], by: str, column: str
) -> None:
    table = tmp_path / "diseases.csv"
    table.write_text(fifteen_diseases(column))
    variables = {"MEDCITE_DATA": str(tmp_path / "data")}
    words = ["split", "--corpus", str(table), "--by", by]
    done = run_room("finetune", words, variables, monkeypatch, capfd)
    assert done.returncode == 0, done.stderr
    pairs = load_corpus([str(table)], Cleaning()).pairs
    folder = next((tmp_path / "data" / "splits").iterdir())
    splits = Splits.open(folder)
    disease = {item.id: item.answer.split()[-1] for item in pairs}
    train = {disease[item.id] for item in pairs if splits.split_of[item.id] == "train"}
    test = [item.id for item in pairs if splits.split_of[item.id] == "test"]
    true = sum(disease[one] in train for one in test) / len(test)
    if column == "focus_area":
        assert f"of the test pairs {true:.1%} have their topic in train" in done.stdout
        assert "lower bound" not in done.stdout
        assert (true == 0) == (by == "topic"), "a split by topic parts no disease, one by row does"
    else:
        assert true > 0
        found = leaks(pairs, splits)["topic"]
        assert found <= true
        assert f"of the test pairs at least {found:.1%} have their topic in train" in done.stdout
        assert f"\n{caveat(pairs)}\n" in done.stdout
    # Splits of before this was kept open too, and the command says it all the same.
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest.pop("caveat") == splits.caveat == caveat(pairs)
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert replace(Splits.open(folder), caveat=splits.caveat) == splits
    assert run_room("finetune", words, variables, monkeypatch, capfd).stdout == done.stdout


@pytest.mark.medquad
def test_nothing_crosses_on_the_whole_of_medquad(medquad_corpus: Corpus) -> None:
    pairs = medquad_corpus.pairs
    splits = make(pairs, "medquad", seed=0)
    _, boilerplate = topics(pairs)
    common = {" ".join(item.answer.split()) for item, flag in zip(pairs, boilerplate, strict=True) if flag}
    flat = {item.id: " ".join(item.answer.split()) for item in pairs}
    assert not crossings(pairs, splits, lambda item: normalize(item.focus))
    assert not crossings(pairs, splits, lambda item: (item.collection, item.document))
    assert not crossings(pairs, splits, lambda item: normalize(item.question))
    assert not crossings(pairs, splits, lambda item: "" if flat[item.id] in common else flat[item.id])
    assert leaks(pairs, splits) == {"topic": 0.0, "question": 0.0}
    row = leaks(pairs, make(pairs, "medquad", seed=0, by="row"))
    assert row["topic"] > 0.75, "a random-row split leaks; if it does not, leaks() is wrong"
    assert 0.1 < row["question"] < 0.3
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert splits.counts()[split] / len(pairs) == pytest.approx(share, abs=0.03)
