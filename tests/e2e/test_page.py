"""The page in headless Chromium: on a stand-in pipeline, and on the real one over the starter corpus.

Set CHROMIUM to a browser elsewhere than /usr/bin/chromium.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parent.parent.parent
ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
ASTHMA = "What are the symptoms of asthma?"
PILLS = "I took a whole bottle of pills"
FRANCE = "What is the capital of France?"

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("no chromium on this machine (Debian: apt install chromium, or set CHROMIUM)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        browser.close()


class Server:
    """The program in a process of its own, which can be started again on the same data and port."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.command = command
        self.environment = environment
        self.address = ""
        self.seconds = 0.0
        self.load = os.getloadavg()[0]

    def start(self) -> None:
        """Start and wait until the page answers."""
        begun = time.monotonic()
        port = ["--port", self.address.rpartition(":")[2] or "0"]
        self.process = subprocess.Popen(
            [*self.command, *port], cwd=ROOT, env={**os.environ, **self.environment}, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        for line in self.process.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                self.address = found.group()
                break
        else:
            raise AssertionError("the server ended before it gave its address")
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/api/health", timeout=5).read()
                break
            except OSError:
                assert time.monotonic() - begun < 60
                time.sleep(0.1)
        self.seconds = time.monotonic() - begun

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page on the stand-in pipeline."""
    data = tmp_path_factory.mktemp("data")
    found = Server([sys.executable, "-m", "tests.app.fakes", "--history", str(data / "history.sqlite")], {})
    found.start()
    yield found
    found.stop()


@pytest.fixture
def visit(request: pytest.FixtureRequest, chromium: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Open the page in a fresh browser profile; at the end no request may have left loopback, nothing may be broken."""
    contexts = []
    elsewhere: list[str] = []
    broken: list[str] = []

    def opened(address: str = "", **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: outside(request.url) and elsewhere.append(request.url))
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda line: broken.append(line.text) if line.type == "error" else None)
        page.goto(address or server.address)
        page.wait_for_selector(".mc-welcome", timeout=30_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert elsewhere == [], "a request left loopback"
    if request.node.get_closest_marker("leaves"):
        broken = reported(broken)
    assert broken == [], "the page reported errors"


def reported(said: list[str]) -> list[str]:
    """The errors of a page, without those of leaving it: Gradio's client then aborts its stream, and a slow browser
    still tells of that, and of the connection that is gone."""
    aborted = [one for one in said if one.startswith("AbortError: signal is aborted") and ".close " in one]
    gone = ["Unexpected error Connection errored out."] if aborted else []
    return [one for one in said if one not in aborted and one.strip() not in gone]


def test_only_what_leaving_a_page_says_is_no_error() -> None:
    left = (
        "AbortError: signal is aborted without reason\n    at wt (index.js:4:1384)\n    at kn.close (index.js:4:21934)"
    )
    assert reported([left, "Unexpected error Connection errored out. "]) == []
    assert reported(["Unexpected error Connection errored out. "]) == ["Unexpected error Connection errored out. "]
    assert reported([left, "TypeError: x is undefined"]) == ["TypeError: x is undefined"]


def outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname not in ("127.0.0.1", "localhost")


def ask(page: Any, question: str, wait: bool = True, timeout: int = 120_000) -> None:
    page.fill("#mc-box textarea", question)
    page.keyboard.press("Enter")
    if wait:
        done(page, question, timeout)


def done(page: Any, question: str, timeout: int = 120_000) -> None:
    page.wait_for_function(
        "q => { const turn = document.querySelector('#mc-now .mc-turn');"
        "return turn && turn.getAttribute('aria-busy') === 'false' && turn.innerText.includes(q) }",
        arg=question,
        timeout=timeout,
    )


def open_source(page: Any) -> str:
    """The id of the source that has the focus and is open."""
    return page.evaluate(
        "() => { const item = document.activeElement.closest('.mc-source');"
        "return item && item.querySelector('details').open ? item.id : '' }"
    )


def test_an_answer_streams_and_its_citation_opens_the_source(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, ASTHMA, wait=False)
    page.wait_for_selector("#mc-now [aria-busy=true] .mc-draft")
    lengths = []
    for _ in range(6):
        lengths.append(len(page.inner_text("#mc-now .mc-text")))
        page.wait_for_timeout(150)
    assert len(set(lengths)) >= 3, f"the text did not grow: {lengths}"
    assert lengths == sorted(lengths)
    done(page, ASTHMA)
    cite = page.locator("#mc-now a.mc-cite", has_text="[3]").first
    wanted = cite.get_attribute("href")[1:]
    assert not page.locator(f"#{wanted} details").evaluate("item => item.open")
    cite.click()
    assert open_source(page) == wanted
    assert "dust mites" in page.inner_text(f"#{wanted} mark")
    assert "/#" not in page.url


def test_a_source_opened_while_the_answer_streams_stays_open(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, ASTHMA, wait=False)
    page.wait_for_selector("#mc-now .mc-source summary")
    # Playwright's own click waits until the line no longer moves, which it may do as long as the text grows.
    page.locator("#mc-now .mc-source summary").nth(1).dispatch_event("click")
    page.wait_for_timeout(400)
    assert page.locator("#mc-now .mc-source details").nth(1).evaluate("item => item.open")
    assert page.locator("#mc-now [aria-busy=true]").count() == 1
    done(page, ASTHMA)


def test_a_follow_up_says_how_it_was_understood_and_can_be_changed(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, ASTHMA)
    ask(page, "and how is it treated?")
    made = f"{ASTHMA} (and how is it treated?)"
    assert made in page.inner_text("#mc-now .mc-understood")
    page.click("#mc-now .mc-understood [data-edit]")
    assert page.input_value("#mc-box textarea") == made
    page.keyboard.type(" today")
    page.keyboard.press("Enter")
    done(page, f"{made} today")
    page.click("#mc-past .mc-understood [data-ask]")
    done(page, "and how is it treated?")
    assert page.locator("#mc-now .mc-understood").count() == 0


def test_an_abstention_looks_like_one_and_its_topics_ask(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, FRANCE)
    assert "do not cover" in page.inner_text("#mc-now .mc-abstention")
    assert page.locator("#mc-now .mc-cite").count() == 0
    page.click("#mc-now .mc-abstention button >> nth=0")
    done(page, "What is Asthma?")
    assert page.locator("#mc-past .mc-abstention").count() == 1


def test_an_emergency_notice_stands_first_and_in_sight(visit: Callable[..., Any]) -> None:
    page = visit(viewport={"width": 390, "height": 844})
    ask(page, ASTHMA)
    ask(page, PILLS)
    page.wait_for_timeout(900)
    box = page.locator("#mc-now [role=alert]").bounding_box()
    assert 0 <= box["y"] < 120
    assert box["y"] + box["height"] < 500
    first = page.evaluate("() => document.querySelector('#mc-now .mc-turn').firstElementChild.getAttribute('role')")
    assert first == "alert"
    assert "emergency number" in page.inner_text("#mc-now [role=alert]")


def test_the_keyboard_alone_is_enough(visit: Callable[..., Any]) -> None:
    page = visit()
    page.evaluate("document.activeElement.blur()")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#mc-box textarea')"):
            break
    else:
        pytest.fail("Tab never reached the question box")
    page.keyboard.type(ASTHMA)
    page.keyboard.press("Enter")
    done(page, ASTHMA)
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('#mc-now a.mc-cite')"):
            break
    else:
        pytest.fail("Tab never reached a citation")
    wanted = page.evaluate("document.activeElement.getAttribute('href').slice(1)")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert open_source(page) == wanted


@pytest.mark.parametrize("question", [ASTHMA, FRANCE, PILLS, "w" * 400])
def test_a_phone_scrolls_one_way_and_has_sources_below(visit: Callable[..., Any], question: str) -> None:
    page = visit(viewport={"width": 390, "height": 844})
    ask(page, question)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("#mc-settings > button")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if question == ASTHMA:
        text = page.locator("#mc-now .mc-text").bounding_box()
        panel = page.locator("#mc-now .mc-sources").bounding_box()
        assert panel["y"] >= text["y"] + text["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(visit: Callable[..., Any], scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    assert problems(axe, page) == []
    for question in (ASTHMA, FRANCE, PILLS):
        ask(page, question)
    page.click("#mc-settings > button")
    page.wait_for_timeout(400)
    assert problems(axe, page) == []


def problems(axe: Any, page: Any) -> list[str]:
    found = axe.run(page).response["violations"]
    return [
        f"{item['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


@pytest.mark.leaves
def test_a_reload_and_a_restart_keep_the_conversation_with_its_citations(
    visit: Callable[..., Any], server: Server
) -> None:
    page = visit()
    ask(page, ASTHMA)
    ask(page, FRANCE)
    page.reload()
    page.wait_for_selector("#mc-past .mc-cite")
    page.goto("about:blank")
    server.stop()
    server.start()
    page.goto(server.address)
    page.wait_for_selector("#mc-past .mc-cite")
    assert page.locator("#mc-past .mc-turn").count() == 2
    page.locator("#mc-past a.mc-cite").nth(1).click()
    assert open_source(page)
    other = visit()
    assert other.locator(".mc-turn").count() == 0, "another browser sees another's conversation"
    page.click("#mc-settings > button")
    page.click("#mc-clear")
    page.wait_for_selector(".mc-welcome")
    page.reload()
    page.wait_for_selector(".mc-welcome")
    assert page.locator(".mc-turn").count() == 0


def test_a_stop_stops_and_the_next_question_is_answered(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, ASTHMA, wait=False)
    page.wait_for_selector("#mc-now .mc-draft")
    page.click("#mc-stop")
    page.wait_for_selector("text=Stopped before the end", timeout=5_000)
    assert page.locator("#mc-now .mc-caret").count() == 0
    ask(page, FRANCE)
    assert page.locator("#mc-ask").is_visible()


def test_an_example_asks_itself(visit: Callable[..., Any]) -> None:
    page = visit()
    page.click(".mc-examples button >> nth=0")
    done(page, ASTHMA)
    assert page.locator("#mc-now .mc-cite").count() == 3


def test_an_attack_stays_text(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, "hostile <img src=x onerror='window.pwned=1'><script>window.pwned=1</script>", wait=False)
    page.wait_for_selector("#mc-now [aria-busy=false]")
    for control in page.locator("#mc-now summary").all():
        control.click()
    assert page.evaluate("window.pwned") is None
    assert page.locator("#mc-now img, #mc-now script").count() == 0


@pytest.mark.parametrize("question", ["explode", "x" * 110_000], ids=["broken", "too-long"])
def test_an_error_is_one_line_in_the_chat(visit: Callable[..., Any], question: str) -> None:
    page = visit()
    ask(page, question, wait=False)
    text = page.locator("#mc-now .mc-error").inner_text(timeout=10_000)
    assert "No answer." in text
    assert "Traceback" not in page.inner_text("body")


@pytest.fixture(scope="module")
def real(weights: None, model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program itself: the embedded profile over the starter corpus."""
    from configs import load
    from configs.schema import Cleaning
    from index.build import build
    from index.embedder import Embedder
    from index.sources import load_corpus
    from rag.pipeline import Pipeline

    data = tmp_path_factory.mktemp("real")
    profile, _ = load("embedded")
    folder = data / "index"
    build(load_corpus(["starter"], Cleaning()), folder, profile.passages, Embedder(profile.embedder), profile.index)
    # Converting the weights is the work of the first start ever, and is not what is timed here.
    assert Pipeline.open(profile, folder, model_cache).generator
    if not (data / "models").exists():
        (data / "models").symlink_to(model_cache, target_is_directory=True)
    command = [sys.executable, "-m", "app", "--profile", "embedded", "--no-browser"]
    found = Server(command, {"MEDCITE_DATA": str(data)})
    found.start()
    yield found
    found.stop()


@pytest.mark.weights
def test_the_real_path_answers_soon_after_its_start(real: Server, visit: Callable[..., Any]) -> None:
    begun = time.monotonic()
    page = visit(real.address)
    ask(page, ASTHMA)
    taken = real.seconds + time.monotonic() - begun
    print(f"page after {real.seconds:.1f} s, first whole answer {taken:.1f} s after the start, load {real.load:.1f}")
    # Threads of a busy machine wait on each other, so that time there says nothing of the program.
    # `make bench` measures the 20 s that a free machine should need; this says that it comes at all.
    assert taken < 110
    assert page.locator("#mc-now a.mc-cite").count() >= 1
    assert "Demonstration text, not from NIH." in page.inner_text("#mc-now .mc-main")
    page.locator("#mc-now a.mc-cite").first.click()
    opened = open_source(page)
    assert page.locator(f"#{opened} mark").count() >= 1
    ask(page, FRANCE)
    assert page.locator("#mc-now .mc-abstention").count() == 1
    ask(page, PILLS)
    assert page.evaluate("document.querySelector('#mc-now .mc-turn').firstElementChild.getAttribute('role')") == "alert"


@pytest.mark.weights
def test_dropped_streams_leave_the_real_generator_free(real: Server) -> None:
    import httpx

    dice = random.Random(0)
    for _ in range(4):
        with (
            httpx.stream("POST", f"{real.address}/api/ask/stream", json={"question": ASTHMA}, timeout=60) as stream,
            suppress(StopIteration),
        ):
            events = stream.iter_lines()
            ends = time.monotonic() + dice.uniform(0.3, 2.0)
            while time.monotonic() < ends:
                next(events)
        reply = httpx.post(f"{real.address}/api/ask", json={"question": FRANCE}, timeout=30)
        assert reply.json()["status"] == "abstained"
    health = httpx.get(f"{real.address}/api/health").json()
    assert (health["state"], health["waiting"]) == ("ready", 0)
