"""Files and folders are written whole or not at all; digests are what other programs would compute."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from configs import files
from configs.errors import UserError
from finetune.store import MANIFEST, SCHEMA, add_results, read_manifest
from finetune.sweep import Sweep, runs, table
from index import splits
from index.linear import Linear
from tests.fakes import pair

FullDisk = Callable[[], AbstractContextManager[None]]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stopped(path: Path) -> None:
    """Write half a file; then somebody presses Ctrl-C."""
    path.write_text("half")
    raise KeyboardInterrupt


def test_digests_are_the_standard_ones() -> None:
    assert files.digest("abc") == files.digest(b"abc")
    assert files.digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.digest_json({"b": [1, "é"], "a": None}) == files.digest('{"a": null, "b": [1, "\\u00e9"]}')
    assert files.key("abc").hex() == "cf4ab791c62b8d2b2109c90275287816"
    assert len(files.key("\ud800")) == 16


def test_a_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert files.digest_file(tmp_path / "file") == files.digest(b"abc" * 100_000)
    with pytest.raises(FileNotFoundError):
        files.digest_file(tmp_path / "none")


def test_what_is_written_is_there_under_its_name_alone(tmp_path: Path) -> None:
    files.write(tmp_path / "new" / "deep" / "text", "é\r\n\n")
    files.write(tmp_path / "bytes", b"\x00\xff")
    files.write(tmp_path / "bytes", b"again")
    files.write_json(tmp_path / "data.json", {"b": "é", "a": 1})
    assert tree(tmp_path) == {
        "new/deep/text": "é\r\n\n".encode(),
        "bytes": b"again",
        "data.json": b'{\n  "b": "\\u00e9",\n  "a": 1\n}\n',
    }
    plain = tmp_path / "plain"
    plain.write_text("")
    assert (tmp_path / "bytes").stat().st_mode == plain.stat().st_mode


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path, full_disk: FullDisk) -> None:
    files.write(tmp_path / "file", "old")
    with full_disk(), pytest.raises(OSError, match="too large"):
        files.write(tmp_path / "file", "new")
    with full_disk(), pytest.raises(OSError, match="too large"):
        files.write(tmp_path / "other", "new")
    assert tree(tmp_path) == {"file": b"old"}


def test_a_disk_that_is_full_only_when_flushed_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path / "file", "old")
    (tmp_path / "folder").mkdir()
    files.write(tmp_path / "folder" / "one", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(tmp_path / "file", "new")
    with pytest.raises(OSError, match="No space"), files.folder(tmp_path / "folder") as new:
        (new / "one").write_text("new")
    assert tree(tmp_path) == {"file": b"old", "folder/one": b"old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_block_that_fails_leaves_the_old(tmp_path: Path) -> None:
    files.write(tmp_path / "file", "old")
    with pytest.raises(KeyboardInterrupt), files.aside(tmp_path / "file") as new:
        stopped(new)
    with pytest.raises(UnicodeEncodeError):
        files.write(tmp_path / "file", "\ud800")
    assert tree(tmp_path) == {"file": b"old"}


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "x", tmp_path / "folder"):
        line = rf"{place}: cannot be written: [\w ]+; try again"
        with pytest.raises(UserError, match=line), files.said(place, then="; try again"):
            files.write(place, "new")
    with pytest.raises(UserError), files.said(tmp_path), files.folder(tmp_path / "file" / "x"):
        pass
    assert tree(tmp_path) == {"file": b"old"}


def test_a_link_or_a_device_is_written_in_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    files.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    reader, writer = os.pipe()
    files.write(Path(f"/dev/fd/{writer}"), "piped")
    assert os.read(reader, 99) == b"piped"
    os.close(reader)
    os.close(writer)


def test_a_reader_sees_the_old_or_the_new_and_each_whole(tmp_path: Path) -> None:
    whole = {mark * 2_000_000 for mark in (b"a", b"b")}
    path, seen, done = tmp_path / "file", list[bytes](), threading.Event()
    files.write(path, b"a" * 2_000_000)

    def read() -> None:
        while not done.is_set():
            seen.append(path.read_bytes())
            del seen[:-50]
            assert seen[-1] in whole

    failed: list[Any] = []
    before, threading.excepthook = threading.excepthook, failed.append
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(40):
            files.write(path, (b"b", b"a")[turn % 2] * 2_000_000)
    finally:
        done.set()
        reader.join()
        threading.excepthook = before
    assert not failed
    assert seen


def test_a_folder_takes_anothers_place_whole(tmp_path: Path) -> None:
    for content in ({"one": "1", "deep/two": "2"}, {"three": "3"}):
        with files.folder(tmp_path / "up" / "folder") as new:
            for name, text in content.items():
                files.write(new / name, text)
            held = tree(tmp_path / "up" / "folder")
        assert tree(tmp_path / "up" / "folder") == {name: text.encode() for name, text in content.items()}
    assert held == {"one": b"1", "deep/two": b"2"}, "while the second was written"
    with pytest.raises(KeyboardInterrupt), files.folder(tmp_path / "up" / "folder") as new:
        stopped(new / "four")
    with pytest.raises(OSError, match="not empty"), files.folder(tmp_path / "up" / "folder", over=False) as new:
        files.write(new / "four", "4")
    assert tree(tmp_path / "up") == {"folder/three": b"3"}
    assert [path.name for path in (tmp_path / "up").iterdir()] == ["folder"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert (tmp_path / "up" / "folder").stat().st_mode == plain.stat().st_mode


def test_a_folder_that_cannot_take_the_place_gives_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with files.folder(tmp_path / "folder") as new:
        files.write(new / "one", "old")
    rename = os.rename

    def refuse(old: Path, new: Path) -> None:
        if Path(old).name == "new":
            raise PermissionError(13, "Permission denied")
        rename(old, new)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(PermissionError), files.folder(tmp_path / "folder") as new:
        files.write(new / "one", "new")
    assert tree(tmp_path) == {"folder/one": b"old"}


def test_what_rooms_keep_outlives_a_full_disk(tmp_path: Path, full_disk: FullDisk) -> None:
    made = splits.make([pair(row) for row in range(40)], "corpus")
    made.save(tmp_path / "splits")
    model = Linear(("one",), (1.0,), 0.0)
    model.save(tmp_path / "model.json")
    sweep = Sweep(name="test", recipe="exir", factors={"lora.r": [8]})
    rows = [{"values": dict(run.values), "loss": 1.0} for run in runs(sweep)]
    (tmp_path / "sweep").mkdir()
    table(sweep, rows, tmp_path / "sweep")
    before = tree(tmp_path)
    with full_disk(), pytest.raises(UserError, match=r"splits: cannot be written"):
        made.save(tmp_path / "splits")
    with full_disk(), pytest.raises(UserError, match=r"model\.json: cannot be written"):
        model.save(tmp_path / "model.json")
    with full_disk(), pytest.raises(OSError, match="too large"):
        table(sweep, rows, tmp_path / "sweep")
    assert tree(tmp_path) == before
    assert splits.Splits.open(tmp_path / "splits").hash == made.hash


def test_an_adapter_stays_usable_where_its_results_find_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path(__file__).parents[2] / "finetune" / "adapters" / "embedded"
    manifest = read_manifest(shipped)
    assert "optimizer" in manifest["recipe"], "keys of 0.1.0 have their present names"
    (tmp_path / "README.md").write_text("the card")
    manifest |= {"schema": SCHEMA, "files": {"README.md": files.digest("the card")}}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    calls = 0

    def full_at_the_manifest(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_at_the_manifest)
        with pytest.raises(UserError, match="cannot be written: No space left"):
            add_results(tmp_path, ["| a | table |"])
    assert read_manifest(tmp_path) == manifest
    add_results(tmp_path, ["| a | table |"])
    assert read_manifest(tmp_path)["results"] == ["| a | table |"]
    assert "| a | table |" in (tmp_path / "README.md").read_text("utf-8")
