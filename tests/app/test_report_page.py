"""GET /report: which report is shown, what is said of it, and what it may do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from app import report
from tests.app.fakes import FakePipeline

DOCUMENT = (
    '<!doctype html><html lang="en"><head><title>Evaluation</title><style>p{}</style></head>'
    '<body class="wide" data-x="1"><main><h1>Figures of {}</h1><svg role="img"></svg></main></body></html>'
)


def write(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(DOCUMENT.replace("{}", name), "utf-8")
    return folder


def test_the_report_made_here_comes_before_the_shipped_one_and_says_when_it_was_made(tmp_path: Path) -> None:
    own, shipped = write(tmp_path / "latest", "this machine"), write(tmp_path / "docs", "the release")
    os.utime(own / "report.html", (1_800_000_000, 1_800_000_000))
    text = report.page(own, shipped)
    assert "Figures of this machine" in text
    assert "Made on this machine" in text
    assert "2027-01-15 08:00 UTC" in text
    assert "Shipped" not in text


@pytest.mark.parametrize("latest", [None, "missing", "empty"])
def test_the_shipped_report_says_that_it_was_not_measured_here(tmp_path: Path, latest: str | None) -> None:
    shipped = write(tmp_path / "docs", "the release")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "report.html").write_text("")
    text = report.page(tmp_path / latest if latest else None, shipped)
    assert "Figures of the release" in text
    assert "Shipped with the program" in text
    assert "not measured on this machine" in text
    assert "Made on this machine" not in text


def test_without_a_report_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    text = report.page(tmp_path / "latest", tmp_path / "docs")
    assert "<h1>No evaluation report yet</h1>" in text
    assert "<code>make eval</code>" in text


def test_where_it_is_from_stands_first_in_the_body_and_the_rest_is_untouched(tmp_path: Path) -> None:
    text = report.page(write(tmp_path / "latest", "x"), tmp_path / "docs")
    body = text.index('data-x="1">') + len('data-x="1">')
    assert text[body:].startswith("<aside aria-label=")
    start, end = text.index("<aside"), text.index("</aside>") + len("</aside>")
    assert text[:start] + text[end:] == DOCUMENT.replace("{}", "x")


def test_a_report_that_cannot_be_read_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latest" / "report.html").mkdir(parents=True)
    text = report.page(tmp_path / "latest", write(tmp_path / "docs", "the release"))
    assert "Shipped with the program" in text
    assert "latest/report.html: cannot be read" in capsys.readouterr().err


@pytest.fixture
def served(tmp_path: Path) -> Any:
    from starlette.testclient import TestClient

    from app import server
    from app.engine import Engine
    from app.history import History

    engine = Engine(FakePipeline)
    engine.start()
    app = server.create(engine, History(None), "s" * 24, latest=tmp_path / "latest")
    with TestClient(app, base_url="http://localhost") as found:
        yield found


def test_it_is_served_under_a_policy_that_runs_and_loads_nothing(served: Any, tmp_path: Path) -> None:
    write(tmp_path / "latest", "this machine")
    reply = served.get("/report")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert "Figures of this machine" in reply.text
    policies = reply.headers.get_list("content-security-policy")
    assert policies == [report.POLICY]
    assert "default-src 'none'" in policies[0]
    assert "script-src" not in policies[0]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-cache"
    assert served.get("/report", headers={"host": "evil.example"}).status_code == 400


def test_a_newer_report_shows_without_a_restart(served: Any, tmp_path: Path) -> None:
    folder = write(tmp_path / "latest", "the first run")
    assert "the first run" in served.get("/report").text
    (folder / "report.html").write_text(DOCUMENT.replace("{}", "the second run"), "utf-8")
    assert "the second run" in served.get("/report").text


def test_the_other_pages_keep_their_own_policy_and_link_here(served: Any) -> None:
    for path in ("/", "/compare"):
        reply = served.get(path)
        assert reply.status_code == 200, path
        assert len(reply.headers.get_list("content-security-policy")) == 1
        assert "script-src 'self'" in reply.headers["content-security-policy"]
        # The page's HTML travels as JSON inside the page.
        assert "./report" in reply.text
        assert "How well does it answer?" in reply.text
