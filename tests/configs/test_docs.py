"""Pages that are made from the code are what the code gives now, and hold what there is to know."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from configs import docs, drawing, load
from configs.cli import COMMANDS
from configs.errors import UserError
from configs.recipes import load_recipe
from tests.conftest import ROOT

MADE = docs.pages()


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_committed_page_is_what_the_code_gives(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == MADE[name], f"docs/{name} is stale; run: make docs"


def test_every_option_of_every_command_is_on_the_page() -> None:
    for name, command in COMMANDS.items():
        if command.does:
            text = MADE["commands.md"].partition(f"## medcite {name}\n")[2]
            _, parser = next(docs.parsers(name))
            options = [action.option_strings[-1] for action in parser._actions if action.option_strings]
            assert all(f"{option}" in text for option in options if option != "--help")
    assert "### medcite index build" in MADE["commands.md"]
    assert "### medcite eval people" in MADE["commands.md"]


def test_the_page_lists_what_the_table_of_commands_and_its_rooms_do() -> None:
    from eval.__main__ import COMMANDS as EVAL

    found = [words for name in COMMANDS for words, _ in docs.parsers(name)]
    assert [words for words in found if words.startswith("eval")] == [
        "eval",
        *(f"eval {words}" for words in [*EVAL][1:]),
    ]
    assert {words.split()[0] for words in found} == set(COMMANDS)
    listed = re.findall(r"^#+ medcite (.*)$", MADE["commands.md"], re.M)
    assert {words for words in found if words != "docs"} <= set(listed)


def test_every_field_is_on_the_page_of_settings() -> None:
    profile, _ = load("embedded")
    for model in (profile, load_recipe("grounded")):
        for name, value in model.model_dump().items():
            assert f"`{name}`" in MADE["settings.md"]
            for key in value if isinstance(value, dict) else ():
                assert f"| `{key}` |" in MADE["settings.md"]
    assert "| `abstain_below` | number | `0.5` |" in MADE["settings.md"]
    assert "≥ 0, ≤ 1" in MADE["settings.md"]


def test_a_stale_page_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["docs", "--out", str(tmp_path)])
    assert docs.main() == 0
    monkeypatch.setattr(sys, "argv", ["docs", "--out", str(tmp_path), "--check"])
    assert docs.main() == 0
    (tmp_path / "settings.md").write_text("old", "utf-8")
    with pytest.raises(UserError, match=r"settings\.md are stale"):
        docs.main()


def test_the_drawing_shows_the_one_way_rule() -> None:
    found = drawing.parts(ROOT)
    uses = drawing.edges(found)
    assert set(uses) == set(drawing.ROOMS)
    for number, room in enumerate(drawing.ROOMS):
        assert uses[room] <= set(drawing.ROOMS[:number]), f"{room} imports what is above it"
    assert not any("app" in others for others in uses.values())
    tree = ET.fromstring(MADE["architecture.svg"])
    texts = [text.text or "" for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    for name in found:
        assert f"{name.rpartition('/')[2]}/" in texts


def test_an_import_that_goes_up_is_drawn(tmp_path: Path) -> None:
    for room in drawing.ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("", "utf-8")
    (tmp_path / "rag" / "inner").mkdir()
    (tmp_path / "rag" / "inner" / "one.py").write_text("def f():\n    from index import store\n", "utf-8")
    found = drawing.parts(tmp_path)
    assert found["rag/inner"] == {"index"}
    assert drawing.edges(found)["rag"] == {"index"}
    assert drawing.edges(found)["index"] == set()


def test_every_link_between_the_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 30
    for page in pages:
        if page.parent.name == "report":
            continue  # `eval.report` writes it, with links to what lies beside it in a run's folder
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            place, _, anchor = link.partition("#")
            if "://" in place:
                continue
            target = (page.parent / place).resolve() if place else page
            assert target.is_file(), f"{page.relative_to(ROOT)} links to {link}"
            if anchor and target.suffix == ".md":
                titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.M)
                assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_in_its_index() -> None:
    for folder in ("decisions", "measurements"):
        index = (ROOT / "docs" / folder / "README.md").read_text("utf-8")
        assert all(f"({page.name})" in index for page in (ROOT / "docs" / folder).glob("*.md") if page.stem != "README")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 180
