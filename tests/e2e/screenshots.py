"""Take the screenshots that the README shows, from a running chat: `python -m tests.e2e.screenshots http://127.0.0.1:7860`."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.e2e.test_page import ARGS, ask

QUESTION = "What are the symptoms of asthma?"
DOCS = Path(__file__).parent.parent.parent / "docs"


def main() -> None:
    """Ask one question at desk and at phone width, and keep what is seen."""
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
    question = sys.argv[2] if len(sys.argv) > 2 else QUESTION
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        for name, width, height in (("screenshot", 1280, 800), ("screenshot-phone", 390, 844)):
            page = browser.new_context(viewport={"width": width, "height": height}).new_page()
            page.goto(address)
            page.wait_for_selector(".mc-welcome")
            page.wait_for_selector(".mc-engine-ready", timeout=120_000)
            ask(page, question, timeout=300_000)
            page.wait_for_timeout(900)
            page.evaluate("document.activeElement.blur()")
            page.screenshot(path=str(DOCS / f"{name}.png"))
        browser.close()


if __name__ == "__main__":
    main()
