"""The figures in the README and under docs/report are one run's, and no hand wrote them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eval import report
from eval.report.render import readme_block
from tests.conftest import ROOT

MODES = ("base", "finetuned", "finetuned+rag", "base+rag", "extractive")
REGIMES = ("indexed", "withheld")
FOLDER = ROOT / "docs" / "report"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "results.json").read_text("utf-8"))
    return found


def test_the_readmes_table_is_that_of_the_committed_run(results: dict[str, Any]) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    begin, end = "<!-- eval table -->", "<!-- /eval table -->"
    assert text.count(begin) == text.count(end) == 1
    block = text[text.index(begin) : text.index(end) + len(end)]
    assert block == readme_block(results).strip()


def test_the_committed_report_is_whole_and_of_the_shipped_adapter(results: dict[str, Any]) -> None:
    from eval.generation.identity import adapter_digest

    assert results["adapter"]["weights"] == adapter_digest(ROOT / "finetune" / "adapters" / "embedded")
    asked = {(mode, regime) for mode in results["modes"] for regime in results["regimes"]}
    assert {(row["mode"], row["regime"]) for row in results["table"]} == asked
    assert asked == {(mode, regime) for mode in MODES for regime in REGIMES}
    assert results["questions"]["n"] >= 400
    assert {row["n"] for row in results["table"]} == {results["questions"]["n"]}


def test_the_committed_pages_are_what_the_results_give(results: dict[str, Any], tmp_path: Any) -> None:
    report.write(results, tmp_path / "again")
    for name in ("report.md", "report.html"):
        again = (tmp_path / "again" / name).read_text("utf-8")
        assert _words(again) == _words((FOLDER / name).read_text("utf-8"))


def _words(text: str) -> list[str]:
    """The words of a page, its drawings left out: a font's version may draw them otherwise."""
    import re

    return re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).split()
