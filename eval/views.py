"""Parts of a result that are looked at one by one: slices, risk and coverage, latency, answers side by side."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from configs.modes import Mode
from eval.generation import Regime
from eval.generation.predict import CLOSED, Prediction, Run
from eval.metrics.bootstrap import ClusterBootstrap

if TYPE_CHECKING:
    from eval.metrics.text import Scored

EXAMPLES = 3
"""Of the best, the worst, and those drawn at random, each."""
SLICES = 12
"""Most slices of one kind; the rest is one slice, `all others`."""
LEADING: tuple[Mode, Regime] = ("finetuned+rag", "indexed")
"""The mode and regime whose best and worst answers are shown."""


def slices(run: Run, scored: dict[tuple[Mode, Regime], Scored], bootstrap: ClusterBootstrap) -> list[dict[str, Any]]:
    """ROUGE by what kind of question it is; slices of under ten questions are joined."""
    kinds: dict[str, list[str]] = {
        "question type": [pair.question_type or "none" for pair in run.pairs],
        "source": [pair.source or "none" for pair in run.pairs],
        "answer length": [_band(len(pair.answer.split()), (50, 100, 200, 400)) + " words" for pair in run.pairs],
        "question length": [_band(len(pair.question.split()), (6, 8, 10)) + " words" for pair in run.pairs],
    }
    rows = []
    for kind, labels in kinds.items():
        members = {label: [at for at, own in enumerate(labels) if own == label] for label in dict.fromkeys(labels)}
        kept = sorted((label for label in members if len(members[label]) >= 10), key=lambda label: -len(members[label]))
        kept = kept[:SLICES] if "length" not in kind else sorted(kept[:SLICES], key=lambda band: int(band.split()[0]))
        groups = {label: members[label] for label in kept}
        if rest := [at for label in members if label not in groups for at in members[label]]:
            groups["all others"] = rest
        for label, those in groups.items():
            part = bootstrap.subset(those)
            for (mode, regime), one in scored.items():
                figures = {name: part.mean(one.values[name][those]).as_dict() for name in ("rouge1", "rougeL")}
                rows.append(
                    {"by": kind, "slice": label, "n": len(those), "mode": mode, "regime": regime, "figures": figures}
                )
    return rows


def _band(size: int, limits: Sequence[int]) -> str:
    below = 0
    for limit in limits:
        if size <= limit:
            return f"{below + 1} to {limit}"
        below = limit
    return f"{below + 1} or more"


def risk(key: tuple[Mode, Regime], found: Sequence[Prediction], one: Scored) -> dict[str, Any]:
    """Risk (1 - mean ROUGE-L) of the answered when only those of the highest confidence are.

    Coverage is the share of all questions. What the model itself declined is not answered at any confidence, so the
    curve ends where they begin.
    """
    given = [at for at in range(len(found)) if not found[at].declined]
    order = sorted(given, key=lambda at: -found[at].answer.confidence)
    values = one.values["rougeL"]
    points = []
    total = area = 0.0
    for rank, at in enumerate(order, 1):
        total += 1 - float(values[at])
        area += total / rank
        if rank == len(order) or rank % max(1, len(order) // 50) == 0:
            point = {"coverage": rank / len(found), "risk": total / rank, "confidence": found[at].answer.confidence}
            points.append({name: round(value, 4) for name, value in point.items()})
    return {"mode": key[0], "regime": key[1], "points": points, "area": round(area / len(order), 4) if order else None}


def latency(mode: Mode, rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Median and 95th percentile of the times to the first token and to the end, and tokens a second between them."""
    import numpy as np

    def spread(values: Sequence[float]) -> dict[str, float]:
        p50, p95 = np.percentile(np.asarray(values), [50, 95])
        return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}

    tokens = sum(row["new_tokens"] for row in rows)
    writing = sum(row["total_ms"] - row["first_token_ms"] for row in rows) / 1000
    found: dict[str, Any] = {
        "mode": mode, "regime": "indexed", "n": len(rows),
        "first_token_ms": spread([row["first_token_ms"] for row in rows]),
        "total_ms": spread([row["total_ms"] for row in rows]),
    }  # fmt: skip
    if tokens and writing > 0:
        found["tokens_per_second"] = round(tokens / writing, 1)
    return found


def examples(
    run: Run, predictions: dict[tuple[Mode, Regime], list[Prediction]], scored: dict[tuple[Mode, Regime], Scored]
) -> list[dict[str, Any]]:
    """Side by side: where the leading mode did best and worst by ROUGE-L, and some drawn at random."""
    leading = LEADING if LEADING in scored else next(iter(scored))
    values = scored[leading].values["rougeL"]
    order = sorted(range(len(run.pairs)), key=lambda at: (-float(values[at]), at))
    each = min(EXAMPLES, (len(order) + 1) // 3)  # no question stands twice
    worst = order[each:][-each:]
    rest = order[each : len(order) - len(worst)]
    drawn = random.Random(f"examples {run.setup.seed}").sample(rest, min(each, len(rest)))
    wanted = [("best", at) for at in order[:each]] + [("worst", at) for at in worst]
    found = []
    for why, at in [*wanted, *(("random", at) for at in drawn)]:
        pair = run.pairs[at]
        answers = []
        for (mode, regime), items in predictions.items():
            if mode in CLOSED and regime != "indexed" and (mode, "indexed") in predictions:
                continue
            item = items[at]
            answers.append(
                {
                    "mode": mode, "regime": regime, "status": item.status,
                    "text": item.text or item.answer.notice,
                    "rougeL": round(float(scored[mode, regime].values["rougeL"][at]), 4),
                    "confidence": round(item.answer.confidence, 4),
                    "sources": [
                        {"n": s.n, "title": s.title, "url": s.url, "text": s.text, "used": s.used}
                        for s in item.answer.sources
                    ] if item.status != "abstained" else [],
                }
            )  # fmt: skip
        found.append(
            {
                "why": why, "question": pair.question, "reference": pair.answer, "source": pair.source,
                "url": pair.url, "topic": pair.focus, "answers": answers,
            }
        )  # fmt: skip
    return found
