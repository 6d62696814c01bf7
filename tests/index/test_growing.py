"""An index that grows: every stage answers, a kill costs one part, and the end is the index of a straight build."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from configs.errors import UserError
from configs.schema import IndexSettings
from index import build as building
from index import cache, growing, store
from index.build import Work, build, go_on, is_current, unfinished
from index.growing import Vectors, filled, line, progress
from index.store import Index, Manifest
from tests.fakes import FakeEmbedder, corpus
from tests.index.killed import CUTTING
from tests.inprocess import run_room

ROOT = Path(__file__).parent.parent.parent
SETTINGS = IndexSettings()
PAIRS = 40


class Besides(FakeEmbedder):
    """Vectors depend a little on what they are computed beside, as those of a real embedder do."""

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
        beside = int(hashlib.sha256("".join(texts).encode()).hexdigest()[:4], 16) / 2**16
        found = super().encode(texts, progress) + 1e-4 * beside
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


class Watching(Besides):
    """Calls `seen` before each part is embedded."""

    def __init__(self, seen: Callable[[], None]) -> None:
        super().__init__()
        self.seen = seen

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
        self.seen()
        return super().encode(texts, progress)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages for small corpora, as often as they may come."""
    monkeypatch.setattr(building, "STAGED", 10)
    monkeypatch.setattr(building, "EVERY", 0.0)
    monkeypatch.setattr(cache, "CHUNK", 16)


@pytest.fixture
def straight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The manifest of an index that was built without stages."""
    with monkeypatch.context() as patch:
        patch.setattr(building, "STAGED", 10**6)
        said: list[str] = []
        folder = tmp_path / "straight"
        build(corpus(PAIRS), folder, CUTTING, Besides(), SETTINGS, embeddings=tmp_path / "other", notify=said.append)
    assert not said
    return store.read_manifest(folder)[0]


def staged(folder: Path, embedder: FakeEmbedder, first: bool = False, pairs: int = PAIRS) -> tuple[Index, list[str]]:
    said: list[str] = []
    cached = folder.parent / "cache"
    index = build(
        corpus(pairs),
        folder,
        CUTTING,
        embedder,
        SETTINGS,
        config="c",
        embeddings=cached,
        notify=said.append,
        first=first,
    )
    return index, said


def test_the_end_is_the_same_as_without_stages(tmp_path: Path, straight: Manifest) -> None:
    index, said = staged(tmp_path / "index", Besides())
    assert len(said) > 3
    assert index.manifest.files == straight.files
    assert index.manifest.growing == {}
    assert store.verify(tmp_path / "index") == index.manifest


def test_parts_are_those_of_the_lengths_whatever_comes_first(tmp_path: Path) -> None:
    texts = [f"{'long ' * (n % 9)}text {n}" for n in range(100)]
    ordered = sorted(texts, key=len, reverse=True)
    expected = [ordered[at : at + cache.CHUNK] for at in range(0, len(texts), cache.CHUNK)]
    first = set(expected[2])
    assert cache.chunks(texts, (), tmp_path) == list(reversed(expected))
    assert cache.chunks(texts, (), tmp_path, first) == [
        expected[2],
        *(part for part in reversed(expected) if part != expected[2]),
    ]
    done = {*expected[2], *expected[-1]}
    assert cache.chunks(texts, done, tmp_path) == [part for part in reversed(expected) if part[0] not in done]


def test_every_stage_is_whole_and_a_reader_is_never_blocked(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    seen: list[tuple[int, int]] = []

    def read() -> None:
        index = Index.open(folder, growing=True)
        assert store.verify(folder) == index.manifest
        assert growing.building(folder)
        assert "still growing" in growing.told(index)
        rows = index.lexical.scores("sign3x1")
        assert index.passages[int(rows.argmax())].pair == 3
        seen.append(index.manifest.vectors)
        assert index.manifest.vectors == (index.question_vectors.ntotal, index.passage_vectors.ntotal)
        with pytest.raises(UserError, match="not all of it has vectors yet"):
            Index.open(folder)
        with pytest.raises(UserError, match="another build is running"):
            staged(folder, FakeEmbedder())

    index, said = staged(folder, Watching(read))
    assert seen[0] == (0, 0)
    assert seen == sorted(seen)
    assert any(questions == PAIRS and passages < len(index.passages) // 2 for questions, passages in seen)
    assert said[0].endswith(f"questions can be asked; 0 of {len(index.passages)} passages have vectors")
    assert growing.told(index) == line(index.manifest, False) == ""
    assert not growing.building(folder)
    assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == [".lock", "current", "gen"]


def test_an_index_with_few_new_texts_and_one_that_ships_has_no_stages(tmp_path: Path) -> None:
    staged(tmp_path / "index", Besides())
    again = Besides()
    _, said = staged(tmp_path / "index", again)
    assert (said, again.encoded) == ([], [])
    _, said = staged(tmp_path / "index", Besides(), pairs=PAIRS + 1)
    assert said == []


def test_the_first_stage_is_enough_where_that_is_asked_for(tmp_path: Path, straight: Manifest) -> None:
    folder, embedder = tmp_path / "index", Besides()
    index, said = staged(folder, embedder, first=True)
    assert embedder.encoded == []
    assert len(said) == 1
    assert index.manifest.vectors == (0, 0)
    assert unfinished(folder, corpus(PAIRS).digest, "c")
    assert not unfinished(folder, corpus(PAIRS).digest, "other")
    assert not is_current(folder, corpus(PAIRS).digest, "c")
    assert "not finished: 0 of" in growing.told(index)
    after = go_on(folder, Work(Besides(), SETTINGS, tmp_path / "cache"))
    assert after.manifest.files == straight.files
    assert is_current(folder, corpus(PAIRS).digest, "c")
    idle = Besides()
    assert go_on(folder, Work(idle, SETTINGS, tmp_path / "cache")).manifest == after.manifest
    assert idle.encoded == []


def test_a_killed_build_goes_on_where_it_was(tmp_path: Path, straight: Manifest) -> None:
    folder = tmp_path / "index"
    parts = 0

    def stop() -> None:
        nonlocal parts
        parts += 1
        if parts == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        staged(folder, Watching(stop))
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    index = Index.open(folder, growing=True)
    assert store.verify(folder) == index.manifest
    assert sum(index.manifest.vectors) > 2 * cache.CHUNK
    assert "not finished" in growing.told(index)
    after = Besides()
    whole = go_on(folder, Work(after, SETTINGS, tmp_path / "cache"))
    assert whole.manifest.files == straight.files
    total = len(set(building.embedded_texts(whole.pairs, whole.passages, after, CUTTING.max_tokens)))
    assert len(after.encoded) == total - 3 * cache.CHUNK - total % cache.CHUNK, "four parts were done"


def test_a_stage_of_another_embedder_is_not_gone_on_with(tmp_path: Path) -> None:
    staged(tmp_path / "index", Besides(), first=True)
    with pytest.raises(UserError, match="begun with another embedder; build it anew"):
        go_on(tmp_path / "index", Work(FakeEmbedder(name="other"), SETTINGS, tmp_path / "cache"))


def test_missing_vectors_are_made_in_one_call_and_remembered(tmp_path: Path, straight: Manifest) -> None:
    whole = Index.open(tmp_path / "straight")
    staged(tmp_path / "index", Watching(lambda: None), first=True)
    embedder = FakeEmbedder()
    calls: list[list[str]] = []

    def encode(texts: list[str]) -> np.ndarray:
        calls.append(texts)
        return embedder.encode(texts)

    index = filled(Index.open(tmp_path / "index", growing=True), embedder, encode)
    assert isinstance(index.passage_vectors, Vectors)
    rows = np.array([7, 3, 7, 11])
    assert not index.passage_vectors.there(rows).any()
    found = index.passage_vectors.reconstruct_batch(rows)
    assert np.allclose(found, whole.passage_vectors.reconstruct_batch(rows), atol=1e-3)
    assert not index.passage_vectors.there(rows).any(), "what may be asked for does not hang on what was"
    assert [len(texts) for texts in calls] == [3]
    index.passage_vectors.reconstruct_batch(rows)
    assert len(calls) == 1
    asked = index.question_vectors.reconstruct_batch(np.array([2]))
    assert np.allclose(asked, whole.question_vectors.reconstruct_batch(np.array([2])), atol=1e-3)
    assert index.passage_vectors.search(found[:1], 3)[1].tolist() == [[-1, -1, -1]]
    assert filled(whole, embedder, encode) is whole


def test_vectors_that_are_stored_are_not_made(tmp_path: Path, straight: Manifest) -> None:
    def stop() -> None:
        if (tmp_path / "index" / store.CURRENT).exists() and sum(
            store.read_manifest(tmp_path / "index")[0].vectors
        ) > PAIRS + 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        staged(tmp_path / "index", Watching(stop))
    whole, embedder = Index.open(tmp_path / "straight"), FakeEmbedder()
    index = filled(Index.open(tmp_path / "index", growing=True), embedder, embedder.encode)
    rows = np.arange(len(index.passages))
    there = index.passage_vectors.there(rows)
    assert 20 < there.sum() < len(rows)
    found = index.passage_vectors.reconstruct_batch(rows)
    assert np.array_equal(found[there], whole.passage_vectors.reconstruct_batch(rows[there]))
    assert len(embedder.encoded) == (~there).sum()
    assert index.passage_vectors.search(found[:1], 1)[1][0, 0] in rows[there]


def test_the_words_of_a_later_stage_are_taken_from_the_one_before(tmp_path: Path) -> None:
    first, _ = staged(tmp_path / "index", Besides(), first=True)
    go_on(tmp_path / "index", Work(Besides(), SETTINGS, tmp_path / "cache"))
    later = Index.open(tmp_path / "index", before=first)
    assert later.lexical is first.lexical
    assert later.pairs is first.pairs
    assert later.question_vectors.ntotal == PAIRS
    build(corpus(PAIRS + 1), tmp_path / "index", CUTTING, Besides(), SETTINGS, embeddings=tmp_path / "cache")
    assert Index.open(tmp_path / "index", before=first).lexical is not first.lexical


def test_a_look_at_the_lock_does_not_keep_a_build_from_starting(tmp_path: Path) -> None:
    build(corpus(3), tmp_path, CUTTING, FakeEmbedder(), SETTINGS)
    with (tmp_path / growing.LOCK).open() as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        child = os.fork()
        if child == 0:
            with growing.locked(tmp_path):
                os._exit(7)
            os._exit(1)
        time.sleep(0.1)
        fcntl.flock(look, fcntl.LOCK_UN)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_line_says_how_far_it_is(tmp_path: Path) -> None:
    index, _ = staged(tmp_path / "index", Besides(), first=True)
    count = f"0 of {len(index.passages)} passages have vectors"
    assert progress(index.manifest) == count
    assert line(index.manifest, True) == f"The index is still growing: {count}. Answers get better as it grows."
    assert line(index.manifest, False) == f"The index is not finished: {count}. `make index` goes on with it."


TABLE = "question,answer\n" + "".join(f"What is ailment {n}?,It is number {n}.\n" for n in range(30))
SLOW = """
import sys
import index.__main__ as room
from configs.errors import run
from index import build
from tests.fakes import FakeEmbedder
build.STAGED = 10
embedder = FakeEmbedder(pause=float(sys.argv.pop(1)))
room._embedder = lambda profile: embedder
run(room.main)
"""


def command(data: Path, pause: float, *words: str) -> subprocess.Popen[str]:
    """`python -m index` in a process of its own with an embedder that takes `pause` seconds a text."""
    env = {**os.environ, "PROFILE": "embedded", "MEDCITE_DATA": str(data), "PYTHONPATH": str(ROOT)}
    env.pop("MEDQUAD", None)
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(pause), *words],
        cwd=data.parent,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_stops_at_the_first_stage_and_goes_on_without_reading_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import index.__main__
    from index import sources

    monkeypatch.setattr(index.__main__, "_embedder", lambda profile: FakeEmbedder())
    table, folder = tmp_path / "my.csv", tmp_path / "data" / "index"
    table.write_text(TABLE, "utf-8")
    place = {"MEDCITE_DATA": str(tmp_path / "data"), "PROFILE": "embedded", "CORPUS": str(table)}

    def run(*words: str) -> str:
        found = run_room("index", ["build", *words], place, monkeypatch, capfd)
        assert found.returncode == 0, found.stderr
        return found.stderr

    assert "questions can be asked; 0 of 30 passages have vectors" in run("--first")
    assert store.read_manifest(folder)[0].growing
    monkeypatch.setattr(sources, "load_corpus", lambda *_: pytest.fail("the corpus was read again"))
    assert "not finished: 0 of 30 passages" in run("--first")
    assert "going on; 0 of 30 passages have vectors" in run()
    assert len(Index.open(folder).pairs) == 30
    assert "up to date" in run("--first")


def test_a_build_beside_another_program_ends_with_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "my.csv").write_text(TABLE, "utf-8")
    first = command(data, 0.0, "build", "--first", "--corpus", str(tmp_path / "my.csv"))
    assert first.wait(60) == 0, first.stderr and first.stderr.read()
    beside = command(data, 2.0, "build", "--beside")
    assert beside.stdin is not None
    deadline = time.monotonic() + 60
    while not growing.building(data / "index"):
        assert beside.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    beside.stdin.close()
    assert beside.wait(60) == 130
    assert not growing.building(data / "index")
    manifest = store.verify(data / "index")
    assert manifest.growing
    last = command(data, 0.0, "build", "--beside")
    assert last.wait(60) == 0
    assert not store.verify(data / "index").growing
