"""How long a person waits before anything can be asked: help texts, and the chat's first answer.

python -m eval.bench.startup
"""

from __future__ import annotations

import json
import os
import re
import select
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from configs import ROOT, entry, errors

HELP = ("rag", "index", "app")
RUNS = 5
PATIENCE = 120.0
"""Seconds after which the chat counts as not having started."""


def run(folder: Path | None = None) -> dict[str, Any]:
    """Median seconds of each `--help`, and from starting the chat to its page and to its first cited answer."""
    found: dict[str, Any] = {"runs": RUNS}
    for name in HELP:
        seconds = [_timed([sys.executable, "-m", name, "--help"]) for _ in range(RUNS)]
        found[f"{name}_help_s"] = round(statistics.median(seconds), 3)
    return found | first_answer(folder or entry.index_folder())


def _timed(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - begun


def first_answer(folder: Path) -> dict[str, Any]:
    """Start the chat, ask over its API at once, and stop it. Raises UserError if it does not come up."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "app", "--no-browser", "--no-history", "--port", "0", "--index", str(folder)]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "CI": "true"}
    )
    try:
        assert server.stdout is not None
        ready, _, _ = select.select([server.stdout], [], [], PATIENCE)
        line = server.stdout.readline() if ready else ""
        address = re.search(r"http://\S+", line)
        if not address:
            raise errors.UserError(f"the chat did not start: {line.strip() or 'it said nothing'}")
        page = time.perf_counter() - begun
        body = json.dumps({"question": "What are the symptoms of asthma?"}).encode()
        headers = {"Content-Type": "application/json"}
        answer: dict[str, Any] = {}
        while time.perf_counter() - begun < PATIENCE:
            request = urllib.request.Request(f"{address.group()}/api/ask", data=body, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                    answer = json.loads(reply.read())
                break
            except OSError:  # still loading: 503, or not listening yet
                time.sleep(0.2)
        if not answer:
            raise errors.UserError(f"the chat gave no answer in {PATIENCE:.0f} s")
        return {
            "chat_address_s": round(page, 2),
            "chat_first_answer_s": round(time.perf_counter() - begun, 2),
            "chat_first_answer_status": answer["status"],
        }
    finally:
        server.terminate()
        server.wait(timeout=20)


if __name__ == "__main__":
    errors.run(lambda: print(json.dumps(run(), indent=2)))
