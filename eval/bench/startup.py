"""How long a person waits before anything can be asked: help texts, and the chat's first answer."""

from __future__ import annotations

import json
import re
import select
import statistics
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from configs import ROOT
from configs.errors import UserError
from configs.schema import Profile
from eval.bench.machine import peak_gb, seconds

HELP = ("rag", "index", "app")
PATIENCE = 120.0
"""Seconds after which the chat counts as not having started."""


def run(profile: Profile, folder: Path, n: int) -> dict[str, Any]:
    """Median seconds of `n` starts of each `--help`, and from starting the chat to its page and its first cited answer.

    The most memory that the chat took until then, in GB.

    The chat starts with the profile that a person gets without asking. Raises UserError if it does not come up.
    """
    found: dict[str, Any] = {"runs": n}
    for room in HELP:
        start = partial(
            subprocess.run, [sys.executable, "-m", room, "--help"], cwd=ROOT, capture_output=True, check=True
        )
        found[f"{room}_help_s"] = round(statistics.median(seconds(start) for _ in range(n)), 3)
    return found | _first_answer(folder)


def _first_answer(folder: Path) -> dict[str, Any]:
    """Start the chat, ask over its API at once, and stop it."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "app", "--no-browser", "--no-history", "--port", "0", "--index", str(folder)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        ready, _, _ = select.select([server.stdout], [], [], PATIENCE)
        line = server.stdout.readline() if ready else ""
        address = re.search(r"http://\S+", line)
        if not address:
            raise UserError(f"the chat did not start: {line.strip() or 'it said nothing'}")
        page = time.perf_counter() - begun
        question = json.dumps({"question": "What are the symptoms of asthma?"}).encode()
        asked = urllib.request.Request(f"{address.group()}/api/ask", question, {"Content-Type": "application/json"})
        while time.perf_counter() - begun < PATIENCE:
            try:
                with urllib.request.urlopen(asked, timeout=PATIENCE) as reply:
                    answer = json.loads(reply.read())
            except OSError:  # still loading: 503, or not listening yet
                time.sleep(0.2)
                continue
            return {
                "chat_address_s": round(page, 2),
                "chat_first_answer_s": round(time.perf_counter() - begun, 2),
                "chat_first_answer_status": answer["status"],
                "chat_peak_gb": peak_gb(server.pid),
            }
        raise UserError(f"the chat gave no answer in {PATIENCE:.0f} s")
    finally:
        server.terminate()
        server.wait(timeout=20)
