"""Questions as people put them: those that MedQuAD does not cover, and consumers' questions that it does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import UserError
from eval.datasets import judged
from index.splits import normalize

if TYPE_CHECKING:
    from rag.retrieval.hybrid import HybridRetriever

QUESTIONS = Path(__file__).parent / "questions"


def uncovered(part: str, path: Path = QUESTIONS / "uncovered.jsonl") -> list[tuple[str, str]]:
    """(question, kind) of the calibration or the test half."""
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        return [(row["question"], row["kind"]) for row in rows if row["part"] == part]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read as questions ({error})") from None


def consumers(retriever: HybridRetriever, mediqa: Path, liveqa: Path) -> tuple[list[str], list[str]]:
    """Questions that people asked and the corpus answers: Alexa's of MEDIQA, and messages that name a topic.

    A message that holds a question of LiveQA-Med, which is for reporting, is left out.
    """
    known = {_address(url) for pair in retriever.index.pairs for url in (pair.url, *pair.urls)} - {""}
    alexa = [
        item.text
        for item in judged.read_mediqa(mediqa / judged.MEDIQA["alexa"])
        if any(answer.grade >= judged.CORRECT and _address(answer.url) in known for answer in item.answers)
    ]
    kept_apart = [text for item in judged.liveqa(liveqa) if (text := normalize(item.message))]
    messages = []
    pairs = judged.read_xml(mediqa / judged.RQE).iter("pair")
    for message in dict.fromkeys(judged.text_of(pair.find("chq")) for pair in pairs):
        flat = normalize(message)
        if not any(text in flat for text in kept_apart) and retriever.names_topic(message):
            messages.append(message)
    return alexa, messages


def _address(url: str) -> str:
    """A URL without what does not tell pages apart: scheme, www and the final slash."""
    return re.sub(r"^https?://(?:www\.)?", "", url.strip().lower()).rstrip("/")
