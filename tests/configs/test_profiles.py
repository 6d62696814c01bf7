"""Profiles: every TOML that ships loads, and every mistake is named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import configs
from configs import PROFILES, load, names
from configs.errors import UserError

SHIPPED = sorted(Path(configs.__file__).parent.rglob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_toml_parses(path: Path) -> None:
    assert tomllib.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("name", names())
def test_every_shipped_profile_loads(name: str) -> None:
    profile, why = load(name)
    assert profile.name == name
    assert why == "asked for"


def test_the_five_profiles_ship() -> None:
    assert names() == ["embedded", "llama-3-8b", "llama-3.2-1b", "mistral-7b", "tinyllama"]


@pytest.mark.parametrize(("cuda", "expected"), [(True, "tinyllama"), (False, "embedded")])
def test_auto_follows_cuda_and_says_why(monkeypatch: pytest.MonkeyPatch, cuda: bool, expected: str) -> None:
    monkeypatch.setattr(configs, "cuda_found", lambda: cuda)
    profile, why = load("auto")
    assert profile.name == expected
    assert "CUDA" in why


def test_overrides_are_typed() -> None:
    given = ["generator.max_new_tokens=64", "answering.strict=true", "generator.adapter=some/dir"]
    profile, _ = load("embedded", given)
    assert profile.generator.max_new_tokens == 64
    assert profile.answering.strict is True
    assert profile.generator.adapter == "some/dir"


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["generator.color=1"], "unknown key 'generator.color'"),
        (["retriever.k=many"], "retriever.k"),
        (["retriever.k=0"], "retriever.k"),
        (["retriever.k"], "section.key=value"),
        (["name.x=1"], "'name' is a value"),
        (["passages.max_tokens=512"], "passages.max_tokens is more than embedder.max_tokens"),
        (["prompt.max_tokens=4096"], "more than generator.context_tokens"),
        (["answering.mode=magic"], "answering.mode"),
    ],
)
def test_mistakes_are_named(overrides: list[str], named: str) -> None:
    with pytest.raises(UserError) as error:
        load("embedded", overrides)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_profile_lists_the_known() -> None:
    with pytest.raises(UserError, match="embedded") as error:
        load("gpt-9")
    assert "gpt-9" in str(error.value)


def test_a_profile_file_of_ones_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text((PROFILES / "embedded.toml").read_text("utf-8") + "\n[app]\nport = 9000\n", "utf-8")
    assert load(str(mine))[0].app.port == 9000
    mine.write_text("[app\n", "utf-8")
    with pytest.raises(UserError, match=r"mine\.toml"):
        load(str(mine))


def test_profiles_are_frozen() -> None:
    profile, _ = load("embedded")
    with pytest.raises(ValueError, match="frozen"):
        profile.retriever.k = 3  # type: ignore[misc]
