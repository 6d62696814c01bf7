"""Questions as people put them: those that MedQuAD does not cover, and consumers' questions that it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import UserError

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
    from eval.datasets import judged
    from index.splits import normalize

    alexa = [item.question for item in judged.mediqa(mediqa, "alexa") if judged.on_pages(item, retriever.index.pairs)]
    kept_apart = [normalize(item.message) for item in judged.liveqa(liveqa)]
    messages = []
    for message in dict.fromkeys(item.message for item in judged.rqe(mediqa, "validation")):
        flat = normalize(message)
        if any(known and known in flat for known in kept_apart):
            continue
        if retriever.names_topic(message):
            messages.append(message)
    return alexa, messages
