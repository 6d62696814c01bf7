"""Which corpus `python -m index build` reads: one that a person named stays until another one is named."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.errors import UserError
from index import sources, store
from tests.fakes import FakeEmbedder
from tests.index.test_readers import DOCUMENT, make_zip
from tests.inprocess import run_room

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder's index, not built yet."""
    return tmp_path / "data" / "index"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """`python -m index` with a fake embedder, without a network, in an empty folder; variables by name."""
    import index.__main__

    def offline(*_: object) -> Path:
        raise UserError("no network.")

    monkeypatch.setattr(sources, "download", offline)
    monkeypatch.setattr(index.__main__, "_embedder", lambda profile: FakeEmbedder())
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.delenv("CORPUS", raising=False)
        place = {"MEDCITE_DATA": str(tmp_path / "data"), "PROFILE": "embedded"}
        return run_room("index", list(words), place | variables, monkeypatch, capfd)

    return run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "my faq.csv"
    path.write_text("question,answer\nWhat is gout?,A painful joint.\nHow to prevent it?,Drink water.\n", "utf-8")
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_zip(tmp_path / "MedQuAD-master.zip", {"MedQuAD-master/2_GARD_QA/0000001.xml": DOCUMENT})


def held(folder: Path) -> store.Manifest:
    return store.read_manifest(folder)[0]


def in_use(folder: Path) -> str:
    return (folder / store.CURRENT).read_text()


def forget(folder: Path) -> None:
    """Make the manifest one of before it had an identity."""
    _, place = store.read_manifest(folder)
    data = json.loads((place / store.MANIFEST).read_text())
    for name in ("sources", "spec", "named"):
        del data[name]
    (place / store.MANIFEST).write_text(json.dumps(data))


@pytest.mark.parametrize("words", [(), ("--force",)], ids=["again", "force"])
def test_a_named_corpus_stays_where_none_is_named(
    command: Command, folder: Path, table: Path, archive: Path, words: tuple[str, ...]
) -> None:
    assert command("build", "--corpus", "my faq.csv").returncode == 0
    first = in_use(folder)
    found = command("build", *words, MEDQUAD=str(archive))
    assert found.returncode == 0, found.stderr
    assert held(folder).corpus_name == "my-faq"
    assert (in_use(folder) == first) == (not words)
    assert "my faq (2 pairs)" in found.stderr
    if not words:
        said = [line for line in found.stderr.splitlines() if "up to date" in line]
        assert len(said) == 1
        assert "CORPUS=medquad or --corpus medquad replaces it" in said[0]
        assert "MEDQUAD is not asked" in said[0]


def test_a_named_corpus_that_changed_is_read_again(command: Command, folder: Path, table: Path) -> None:
    command("build", "--corpus", "my faq.csv::plain")
    table.write_text(table.read_text("utf-8") + "What else?,More of it.\n", "utf-8")
    found = command("build")
    assert found.returncode == 0, found.stderr
    assert held(folder).pairs == 3
    assert held(folder).spec == [f"{table}::plain"]
    assert "changed since the index was built" in found.stderr


def test_a_named_corpus_whose_file_is_gone_is_kept_and_says_so(command: Command, folder: Path, table: Path) -> None:
    command("build", "--corpus", "my faq.csv")
    first = in_use(folder)
    table.unlink()
    found = command("build")
    assert found.returncode == 0, found.stderr
    assert in_use(folder) == first
    assert f"kept as it is: the index holds my faq (2 pairs), and {table} is not there now" in found.stderr
    forced = command("build", "--force")
    assert forced.returncode == 2
    assert "name the corpus to read" in forced.stderr


def test_an_explicit_corpus_wins_and_says_what_it_replaces(
    command: Command, folder: Path, table: Path, archive: Path
) -> None:
    command("build", "--corpus", "my faq.csv")
    found = command("build", "--corpus", "medquad", MEDQUAD=str(archive))
    assert found.returncode == 0, found.stderr
    assert "replacing my faq (2 pairs) by MedQuAD-master.zip" in found.stderr
    assert [(one.kind, one.pairs) for one in held(folder).parts] == [("medquad", 1)]
    found = command("build", CORPUS=str(table))
    assert "replacing MedQuAD (1 pair) by my faq.csv" in found.stderr
    assert held(folder).named


def test_a_named_medquad_that_cannot_be_had_is_not_replaced_by_another(
    command: Command, folder: Path, table: Path
) -> None:
    command("build", "--corpus", "my faq.csv")
    found = command("build", "--corpus", "medquad")
    assert found.returncode == 2
    assert "Set MEDQUAD" in found.stderr
    assert held(folder).corpus_name == "my-faq"


def test_the_starter_corpus_gives_way_to_medquad(command: Command, folder: Path, archive: Path) -> None:
    assert command("build").returncode == 0
    assert held(folder).corpus_name == "starter"
    found = command("build", MEDQUAD=str(archive))
    assert "replacing medcite's starter corpus" in found.stderr
    assert held(folder).corpus_name == "medquad-master"
    assert not held(folder).named
    assert "up to date" in command("build", MEDQUAD=str(archive)).stderr
    assert "up to date" in command("build").stderr, "no network: MedQuAD stays, from where it was read"
    assert command("build", "--force").returncode == 0
    assert held(folder).corpus_name == "medquad-master"


def test_an_older_index_of_an_own_corpus_is_kept(command: Command, folder: Path, table: Path, archive: Path) -> None:
    command("build", "--corpus", "my faq.csv")
    forget(folder)
    first = in_use(folder)
    found = command("build", MEDQUAD=str(archive))
    assert found.returncode == 0, found.stderr
    assert in_use(folder) == first
    assert "holds my-faq (2 pairs) and does not say where that was read from" in found.stderr
    command("build", "--corpus", "my faq.csv")
    assert in_use(folder) == first, "the same corpus is not embedded again"
    assert held(folder).spec == [str(table)]


def test_an_older_index_of_medquad_follows_the_variable(command: Command, folder: Path, archive: Path) -> None:
    other = archive.rename(archive.with_name("archive.zip"))
    command("build", MEDQUAD=str(other))
    forget(folder)
    first = in_use(folder)
    assert [one.kind for one in held(folder).parts] == ["own"], "all that the name archive tells"
    assert "up to date" in command("build", MEDQUAD=str(other)).stderr
    assert in_use(folder) == first
    assert [one.kind for one in held(folder).parts] == ["medquad"]


def test_a_file_that_moved_is_found_under_its_new_path(command: Command, folder: Path, table: Path) -> None:
    command("build", "--corpus", "my faq.csv")
    first = in_use(folder)
    (table.parent / "elsewhere").mkdir()
    moved = table.rename(table.parent / "elsewhere" / table.name)
    command("build", "--corpus", str(moved))
    assert in_use(folder) == first
    assert held(folder).spec == [str(moved)]


def test_statistics_are_of_the_corpus_that_the_index_holds(command: Command, table: Path, archive: Path) -> None:
    command("build", "--corpus", "my faq.csv")
    found = command("stats", MEDQUAD=str(archive))
    assert found.returncode == 0, found.stderr
    assert "corpus: my faq (2 pairs)" in found.stderr


def test_training_reads_the_corpus_that_the_index_holds_and_says_so(
    command: Command, table: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"What is ailment {n}?,It is number {n}.\n" for n in range(30))
    table.write_text("question,answer\n" + rows, "utf-8")
    command("build", "--corpus", "my faq.csv")
    data = {"MEDCITE_DATA": str(table.parent / "data"), "PROFILE": "embedded", "MEDQUAD": str(archive)}
    found = run_room("finetune", ["split"], data, monkeypatch, capfd)
    assert found.returncode == 0, found.stderr
    assert "corpus my faq (30 pairs)\n" in found.stderr
    other = run_room("finetune", ["split", "--corpus", "medquad"], data, monkeypatch, capfd)
    assert "corpus MedQuAD (1 pair): not what the index holds: that is my faq (30 pairs)" in other.stderr
    table.unlink()
    gone = run_room("finetune", ["split"], data, monkeypatch, capfd)
    assert gone.returncode == 2
    assert "name the corpus to read" in gone.stderr
