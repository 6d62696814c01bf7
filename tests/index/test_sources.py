"""Sources: merging, the digest, and where MedQuAD comes from with and without a network (a loopback server)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from configs.errors import UserError
from configs.schema import Cleaning
from index import sources
from tests.index.test_readers import DOCUMENT, make_zip


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_zip(tmp_path / "medquad.zip", {"MedQuAD-master/2_GARD_QA/0000001.xml": DOCUMENT})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "Own Table.csv"
    path.write_text("question,answer,url\nWhat causes it?,A & B.,https://b.example\nWhat is gout?,Painful.,\n")
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A loopback web server and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **more: object) -> None:
            super().__init__(*args, directory=str(folder), **more)  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}", folder
    running.shutdown()
    running.server_close()


def test_corpora_merge_and_duplicates_between_them_become_one(archive: Path, table: Path) -> None:
    corpus = sources.load_corpus([str(archive), f"{table}::plain"], Cleaning())
    assert [pair.id for pair in corpus.pairs] == ["GARD/0000001-1", "Own Table/2"]
    assert corpus.pairs[0].urls == ("https://rarediseases.info.nih.gov/1", "https://b.example")
    assert corpus.name == "medquad+own-table"
    assert corpus.report.answered == 3
    assert not corpus.demonstration


def test_the_digest_follows_content_settings_and_map_and_nothing_else(archive: Path, table: Path) -> None:
    spec = [str(archive), str(table)]
    first = sources.digest(spec, Cleaning())
    assert first == sources.digest(spec, Cleaning()) == sources.load_corpus(spec, Cleaning()).digest
    assert len(first) == 64
    others = {
        sources.digest(spec, Cleaning(min_answer_words=2)),
        sources.digest([str(archive), f"{table}::plain"], Cleaning()),
        sources.digest(spec[:1], Cleaning()),
    }
    table.write_text(table.read_text() + "And?,More.,\n")
    others.add(sources.digest(spec, Cleaning()))
    assert len(others | {first}) == 5
    table.touch()
    assert sources.digest(spec, Cleaning()) in others


def test_a_folders_digest_follows_names_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.xml").write_text(DOCUMENT)
    digests = {sources.digest([str(folder)], Cleaning())}
    (folder / "readme.txt").write_text("not part of it")
    assert {sources.digest([str(folder)], Cleaning())} == digests
    (folder / "a.xml").rename(folder / "b.xml")
    digests.add(sources.digest([str(folder)], Cleaning()))
    (folder / "b.xml").write_text(DOCUMENT + " ")
    digests.add(sources.digest([str(folder)], Cleaning()))
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("content", "said"), [("question,answer\nq,\n", "no answered question"), ("question,answer\n-,-\n", "no answered")]
)
def test_an_empty_corpus_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UserError, match=said):
        sources.load_corpus([str(tmp_path / "a.csv")], Cleaning())


def test_no_corpus_and_no_path_are_refused() -> None:
    with pytest.raises(UserError, match="no corpus was given"):
        sources.load_corpus([], Cleaning())
    with pytest.raises(UserError, match="needs a path"):
        sources.digest(["::plain"], Cleaning())


def test_a_given_medquad_is_used_and_must_exist(archive: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert sources.default_corpus(archive, tmp_path / "cache", said.append) == [str(archive)]
    with pytest.raises(UserError, match=r"nowhere\.zip, which does not exist"):
        sources.default_corpus(tmp_path / "nowhere.zip", tmp_path / "cache", said.append)
    assert said == []


def test_download_is_checked_by_content_and_cached(archive: Path, tmp_path: Path, server: tuple[str, Path]) -> None:
    url, served = server
    tree = sources.tree_digest(archive)
    # GitHub names the top folder of a commit's archive after the commit: other bytes, the same tree.
    make_zip(served / "m.zip", {"MedQuAD-577bd37/2_GARD_QA/0000001.xml": DOCUMENT, "MedQuAD-577bd37/readme.txt": "x"})
    cache, said = tmp_path / "cache", list[str]()
    spec = sources.default_corpus(None, cache, said.append, f"{url}/m.zip", tree)
    assert spec == [str(cache / "medquad.zip")]
    assert len(sources.load_corpus(spec, Cleaning()).pairs) == 1
    assert sorted(path.name for path in cache.iterdir()) == ["medquad.zip", "medquad.zip.sha256"]
    (served / "m.zip").unlink()
    assert sources.default_corpus(None, cache, said.append, f"{url}/m.zip", tree) == spec
    assert len(said) == 1
    (cache / "medquad.zip").write_bytes(b"tampered with")
    assert sources.default_corpus(None, cache, said.append, f"{url}/m.zip", tree) == ["starter"]
    assert "404" in said[-1]


@pytest.mark.parametrize(
    ("served_bytes", "said"), [(None, "404"), (b"<html>Log in</html>", "not a zip"), ("other", "content differs")]
)
def test_a_download_that_fails_falls_back_with_the_reason_and_leaves_nothing(
    tmp_path: Path, server: tuple[str, Path], served_bytes: bytes | str | None, said: str
) -> None:
    url, served = server
    if served_bytes == "other":
        make_zip(served / "m.zip", {"a/f/1.xml": DOCUMENT})
    elif isinstance(served_bytes, bytes):
        (served / "m.zip").write_bytes(served_bytes)
    told: list[str] = []
    assert sources.default_corpus(None, tmp_path / "cache", told.append, f"{url}/m.zip") == ["starter"]
    assert said in told[-1]
    assert "demonstration text, not from NIH" in told[-1]
    assert not list((tmp_path / "cache").iterdir())


def test_no_network_falls_back(tmp_path: Path) -> None:
    told: list[str] = []
    # Port 9 on loopback: nothing listens there, so the connection is refused at once.
    assert sources.default_corpus(None, tmp_path, told.append, "http://127.0.0.1:9/m.zip") == ["starter"]
    assert "could not be downloaded" in told[-1]


@pytest.mark.medquad
def test_the_pinned_tree_is_medquads(medquad: Path, medquad_corpus: sources.Corpus) -> None:
    assert sources.tree_digest(medquad) == sources.MEDQUAD_TREE
    corpus = medquad_corpus
    assert len(corpus.pairs) == 16_359
    assert corpus.report.duplicates == 48
    assert len({pair.question.casefold() for pair in corpus.pairs}) == 14_345


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with tables whose names a shell would cut or stumble over."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "it's.csv", "my files/häufige fragen.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("question,answer\nWhat is gout?,Painful.\n", "utf-8")
    (tmp_path / "own.toml").write_text('question = "{question}"\nanswer = "{answer}"\n')
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("  ", []),
        ("starter", ["starter"]),
        ("medquad a.csv", ["medquad", "a.csv"]),
        ("my files/häufige fragen.csv", ["my files/häufige fragen.csv"]),
        ("my files/häufige fragen.csv::plain", ["my files/häufige fragen.csv::plain"]),
        ("it's.csv", ["it's.csv"]),
        ("it's.csv a.csv", ["it's.csv", "a.csv"]),
        ("a.csv::plain it's.csv::own.toml", ["a.csv::plain", "it's.csv::own.toml"]),
        ("'my files/häufige fragen.csv' a.csv", ["my files/häufige fragen.csv", "a.csv"]),
        ('"my files/häufige fragen.csv"::plain "it\'s.csv"', ["my files/häufige fragen.csv::plain", "it's.csv"]),
    ],
)
def test_the_variable_names_one_source_or_several(files: Path, text: str, found: list[str]) -> None:
    assert sources.given([], text) == found


def test_the_option_wins_over_the_variable(files: Path) -> None:
    assert sources.given(["b.csv"], "a.csv") == ["b.csv"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone.csv", r"CORPUS: gone\.csv is not there: give"),
        ("a.csv gone.csv", r"CORPUS: gone\.csv is not there \(nor is the whole of a\.csv gone\.csv\)"),
        ("my files/other fragen.csv", r"CORPUS: my is not there"),
        ("a.csv::nomap", r"CORPUS: a\.csv::nomap is not there"),
    ],
)
def test_what_the_variable_names_and_is_not_there_is_named(files: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        sources.given([], text)


def test_the_parts_of_a_corpus_are_told_apart_and_counted(archive: Path, table: Path) -> None:
    corpus = sources.load_corpus([str(archive), str(table), "starter"], Cleaning())
    parts = [(one.kind, one.name, one.pairs) for one in corpus.parts]
    # One pair of the table is MedQuAD's own, word for word, and was merged into it.
    assert parts[:2] == [("medquad", "MedQuAD", 1), ("own", "Own Table", 1)]
    assert parts[2][:2] == ("starter", "starter")
    assert sum(count for *_, count in parts if count) == len(corpus.pairs)
    assert corpus.spec == (str(archive), str(table), "starter")


def test_a_table_of_medquads_is_medquads_and_an_own_source_code_is_not(tmp_path: Path) -> None:
    (tmp_path / "hub.csv").write_text("qtype,Question,Answer\ncauses,What causes it?,A gene.\n")
    (tmp_path / "mine.csv").write_text("question,answer,source\nWhat is gout?,Painful.,NHLBI\n")
    corpus = sources.load_corpus([str(tmp_path / "hub.csv"), str(tmp_path / "mine.csv")], Cleaning())
    assert [(one.kind, one.license) for one in corpus.parts] == [("medquad", "CC BY 4.0"), ("own", "")]
