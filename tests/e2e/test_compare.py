"""The compare view and the report's page in headless Chromium, on a stand-in pipeline with an adapter.

python -m tests.e2e.test_compare --port 7862     serves them
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from configs.errors import run
from tests.app.test_compare import ModesPipeline
from tests.app.test_report_page import DOCUMENT
from tests.e2e.test_page import ASTHMA, FRANCE, PILLS, Server, problems
from tests.e2e.test_page import chromium as chromium
from tests.e2e.test_page import visit as visit

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

SLOW = f"{ASTHMA} (slow)"
HOSTILE_REPORT = DOCUMENT.replace("{}", "this machine").replace(
    "</main>", "<script>window.pwned=1</script><p onclick='window.pwned=1'>x</p></main>"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The pages on the stand-in, with a report that carries a script."""
    folder = tmp_path_factory.mktemp("latest")
    (folder / "report.html").write_text(HOSTILE_REPORT, "utf-8")
    found = Server([sys.executable, "-m", "tests.e2e.test_compare", "--latest", str(folder)], {})
    found.start()
    yield found
    found.stop()


@pytest.fixture
def compared(visit: Callable[..., Any], server: Server) -> Callable[..., Any]:
    """Open the compare view."""
    return lambda **options: visit(f"{server.address}/compare", **options)


def start(page: Any, question: str) -> None:
    page.fill("#mc-box textarea", question)
    page.keyboard.press("Enter")


def done(page: Any, timeout: int = 60_000) -> None:
    page.wait_for_function(
        "() => document.querySelectorAll('.mc-column').length === 3"
        " && !document.querySelector('.mc-column[aria-busy=true]')"
        " && [...document.querySelectorAll('.mc-column')].every(c => !c.innerText.includes('Waiting for its turn'))",
        timeout=timeout,
    )
    page.wait_for_selector("#mc-ask", state="visible")


def test_three_columns_fill_one_after_the_other(compared: Callable[..., Any]) -> None:
    page = compared()
    start(page, SLOW)
    page.wait_for_selector(".mc-column[data-mode=base][aria-busy=true]")
    assert "Waiting for its turn" in page.inner_text(".mc-column[data-mode='finetuned+rag']")
    assert page.is_visible("#mc-stop")
    page.wait_for_selector(".mc-column[data-mode='finetuned+rag'] .mc-draft")
    assert page.locator(".mc-column[aria-busy=true]").count() == 1
    done(page)
    modes = page.eval_on_selector_all(".mc-column", "items => items.map(item => item.dataset.mode)")
    assert modes == ["base", "finetuned", "finetuned+rag"]
    assert [item.inner_text() for item in page.locator(".mc-memory").all()] == [
        "No sources: from the model's memory, may be wrong. Not advice."
    ] * 2
    assert "58" in page.inner_text(".mc-column[data-mode='finetuned+rag'] .mc-cost")
    boxes = [item.bounding_box() for item in page.locator(".mc-column").all()]
    assert len({round(box["y"]) for box in boxes}) == 1, "side by side"
    assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"]
    cite = page.locator(".mc-column a.mc-cite", has_text="[3]").first
    wanted = cite.get_attribute("href")[1:]
    cite.click()
    assert page.locator(f"#{wanted} details").evaluate("item => item.open")


def test_a_stop_stops_all_and_the_next_question_is_compared(compared: Callable[..., Any]) -> None:
    page = compared()
    start(page, SLOW)
    page.wait_for_selector(".mc-column[data-mode=finetuned][aria-busy=true]")
    page.click("#mc-stop")
    done(page, 10_000)
    assert "Not asked" in page.inner_text(".mc-column[data-mode='finetuned+rag']")
    start(page, FRANCE)
    page.wait_for_selector(".mc-column .mc-abstention")
    done(page)
    assert FRANCE in page.inner_text("#mc-asked")


def test_an_emergency_is_once_above_and_in_sight(compared: Callable[..., Any]) -> None:
    page = compared(viewport={"width": 390, "height": 844})
    start(page, PILLS)
    done(page)
    assert page.locator("[role=alert]").count() == 1
    alarm = page.locator("[role=alert]").bounding_box()
    assert alarm["y"] + alarm["height"] <= page.locator(".mc-column").first.bounding_box()["y"] + 1
    page.locator(".mc-column").last.scroll_into_view_if_needed()
    assert page.locator("[role=alert]").bounding_box()["y"] >= 0, "it stays while one reads on"
    start(page, ASTHMA)
    page.wait_for_selector(".mc-column .mc-draft")
    assert page.locator("[role=alert]").count() == 0


@pytest.mark.parametrize("question", [ASTHMA, FRANCE, PILLS, "w" * 400])
@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_stacks_the_columns_and_scrolls_one_way(
    compared: Callable[..., Any], question: str, width: int
) -> None:
    page = compared(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    start(page, question)
    done(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = [item.bounding_box() for item in page.locator(".mc-column").all()]
    assert all(low["y"] >= high["y"] + high["height"] for high, low in pairwise(boxes))


def test_the_keyboard_alone_is_enough(compared: Callable[..., Any]) -> None:
    page = compared()
    page.evaluate("document.activeElement.blur()")
    for _ in range(15):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#mc-box textarea')"):
            break
    else:
        pytest.fail("Tab never reached the question box")
    page.keyboard.type(FRANCE)
    page.keyboard.press("Enter")
    done(page)
    for _ in range(15):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.mc-column .mc-ask')"):
            break
    else:
        pytest.fail("Tab never reached a nearest topic")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#mc-asked').innerText.includes('What is Asthma?')")
    done(page)


def test_an_example_asks_itself_and_an_attack_stays_text(compared: Callable[..., Any]) -> None:
    page = compared()
    page.click(".mc-examples button >> nth=0")
    page.wait_for_function("q => document.querySelector('#mc-asked').innerText.includes(q)", arg=ASTHMA)
    done(page)
    start(page, "hostile <img src=x onerror='window.pwned=1'><script>window.pwned=1</script>")
    page.wait_for_selector("#mc-asked .mc-question:has-text('hostile')")
    done(page)
    assert page.evaluate("window.pwned") is None
    assert page.locator("#mc-compare img, #mc-compare script, #mc-asked img, #mc-asked script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(compared: Callable[..., Any], scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = compared(color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    assert problems(axe, page) == []
    for question in (ASTHMA, FRANCE, PILLS):
        start(page, question)
        page.wait_for_function("q => document.querySelector('#mc-asked').innerText.includes(q)", arg=question)
        done(page)
        assert problems(axe, page) == []


def test_the_pages_lead_to_each_other(visit: Callable[..., Any], server: Server) -> None:
    page = visit()
    page.click(".mc-pages >> text=Compare")
    page.wait_for_selector("#mc-compare-ask")
    assert page.locator(".mc-pages [aria-current=page]").inner_text() == "Compare"
    assert page.locator(".nav-holder").is_visible() is False
    page.click(".mc-pages >> text=Chat")
    page.wait_for_selector("#mc-composer")


def test_the_report_is_linked_and_runs_no_script(chromium: Any, server: Server) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(server.address)
    page.click(".mc-footer >> text=The evaluation report")
    page.wait_for_selector("text=Made on this machine")
    page.click("main p")
    assert page.evaluate("window.pwned") is None
    page.click("text=Back to the chat")
    page.wait_for_selector("#mc-composer")
    context.close()


def main() -> None:
    """Serve the pages on the stand-in."""
    from app import server
    from app.engine import Engine
    from app.history import History

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latest", type=Path)
    parser.add_argument("--no-adapter", action="store_true")
    args = parser.parse_args()
    engine = Engine(lambda: ModesPipeline(0.06, adapter=not args.no_adapter))
    engine.start()
    sock = server.bind("127.0.0.1", args.port)
    app = server.create(engine, History(None), "a" * 24, latest=args.latest)
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    server.serve(app, sock)


if __name__ == "__main__":
    run(main)
