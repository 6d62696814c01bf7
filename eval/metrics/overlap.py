"""Overlap of an answer with its reference: ROUGE (rouge-score, stemmed) and BLEU (sacrebleu), citations taken out.

An empty answer scores 0.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

ROUGE = ("rouge1", "rouge2", "rougeL")
_MARK = re.compile(r"\s*\[\d{1,3}\]")


def plain(text: str) -> str:
    """Text without citation marks."""
    return _MARK.sub("", text).strip()


def rouge(answers: Sequence[str], references: Sequence[str]) -> dict[str, list[float]]:
    """F-measures in 0..1, one an answer, by name."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    found: dict[str, list[float]] = {name: [] for name in ROUGE}
    for answer, reference in zip(answers, references, strict=True):
        scores = scorer.score(reference, plain(answer))
        for name in ROUGE:
            found[name].append(scores[name].fmeasure)
    return found


def bleu(answers: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU in 0..100 (sacrebleu's default: 13a tokens, exponential smoothing)."""
    from sacrebleu.metrics import BLEU

    return float(BLEU().corpus_score([plain(answer) for answer in answers], [list(references)]).score)


def interval(
    topics: Sequence[int], score: Callable[[Sequence[int]], float], rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95% bootstrap interval of `score` (of row numbers) when whole topics are drawn with replacement."""
    import numpy as np

    groups: dict[int, list[int]] = defaultdict(list)
    for row, topic in enumerate(topics):
        groups[topic].append(row)
    named = list(groups.values())
    dice = random.Random(seed)
    values = []
    for _ in range(rounds):
        drawn = [row for _ in named for row in named[dice.randrange(len(named))]]
        values.append(score(drawn))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def table(
    answers: dict[str, list[str]], references: Sequence[str], topics: Sequence[int], rounds: int = 1000
) -> dict[str, dict[str, Any]]:
    """For each way of answering: ROUGE, BLEU and the length ratio, each as value, low, high."""
    result: dict[str, dict[str, Any]] = {}
    for mode, texts in answers.items():
        scores = rouge(texts, references)
        row: dict[str, Any] = {}
        for name, values in scores.items():
            low, high = interval(topics, lambda rows, v=values: sum(v[r] for r in rows) / len(rows), rounds)  # type: ignore[misc]
            row[name] = [round(sum(values) / len(values), 4), round(low, 4), round(high, 4)]
        # BLEU is of the corpus, so each round counts anew: a tenth of the rounds keeps it to seconds.
        low, high = interval(
            topics,
            lambda rows, t=texts: bleu([t[r] for r in rows], [references[r] for r in rows]),  # type: ignore[misc]
            max(50, rounds // 10),
        )
        row["bleu"] = [round(bleu(texts, references), 2), round(low, 2), round(high, 2)]
        words = sum(len(plain(text).split()) for text in texts)
        row["length_ratio"] = round(words / max(1, sum(len(text.split()) for text in references)), 3)
        result[mode] = row
    return result
