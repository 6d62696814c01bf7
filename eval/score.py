"""Predictions to figures: `results = score(run, modes, regimes, ...)`, the dictionary that `results.json` holds.

Every figure has a 95% interval of the cluster bootstrap by topic. An abstention is an empty answer.
"""

from __future__ import annotations

import datetime
import math
import sys
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.modes import Mode
from eval import views
from eval.generation import Regime
from eval.generation.predict import CLOSED, REFERENCE_TOKENS, Prediction, Run
from eval.metrics.bootstrap import ClusterBootstrap, Figure
from eval.metrics.text import ROUGE, Metrics, Scored
from rag.versions import versions as code_versions

if TYPE_CHECKING:
    from eval.checker.checker import Checker
    from eval.metrics.citations import Judgement

SCHEMA = 1
OVERLAP = (*ROUGE, "token_f1", "exact_match", "bertscore")
COMPARED = ("rouge1", "rouge2", "rougeL", "bleu", "bertscore")
PAIRS: tuple[tuple[Mode, Mode], ...] = (
    ("finetuned", "base"),
    ("finetuned+rag", "finetuned"),
    ("finetuned+rag", "base"),
    ("finetuned+rag", "base+rag"),
    ("finetuned+rag", "extractive"),
)
"""Which modes are compared, the first minus the second."""
LIBRARIES = (
    "torch", "transformers", "peft", "sentence-transformers", "faiss-cpu", "rouge-score", "sacrebleu", "bert-score",
    "textstat", "xllamacpp",
)  # fmt: skip

Key = tuple[Mode, Regime]
Figures = dict[str, dict[str, Any]]


def score(
    run: Run, modes: Sequence[Mode], regimes: Sequence[Regime], checker: Checker, calibration: dict[str, Any],
    encoder: str | None, retrieval: dict[str, Any], command: str, commit: str,
) -> dict[str, Any]:  # fmt: skip
    """All figures of a run; `commit` is the checkout's. What is missing of its predictions is generated first."""
    from eval.bench.machine import machine, peak_gb

    created, begun = datetime.datetime.now(datetime.UTC), time.monotonic()
    predictions = {(mode, regime): run.answers(mode, regime) for regime in regimes for mode in modes}
    perplexities = {key: run.perplexity(*key) for key in predictions}
    latencies = {mode: run.latency(mode) for mode in modes}
    references = [pair.answer for pair in run.pairs]
    bootstrap = ClusterBootstrap(run.topics)
    metrics = Metrics(encoder)
    scored: dict[Key, Scored] = {}
    made: dict[Key, Scored] = {}
    for at, (key, found) in enumerate(predictions.items()):
        run.say("scoring", at, len(predictions))
        same = next((one for other, one in scored.items() if other[0] == key[0] in CLOSED), None)
        scored[key] = same or Scored([one.text for one in found], references, metrics)
        if key[0] not in CLOSED:
            texts = [one.without_abstention for one in found]
            made[key] = scored[key] if texts == scored[key].texts else Scored(texts, references, metrics)
    run.say("scoring", len(predictions), len(predictions))
    judged = _citations(predictions, checker, run)
    return {
        "schema": SCHEMA,
        "created": created.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - begun, 1),
        "spent": run.spent(),
        "command": command,
        **_identity(run, commit),
        "machine": machine(),
        "modes": list(modes),
        "regimes": list(regimes),
        "metrics": metrics.described(),
        "table": [
            _row(key, found, scored[key], judged.get(key), perplexities[key], bootstrap, metrics)
            for key, found in predictions.items()
        ],
        "forced": [
            {
                "mode": mode, "regime": regime, "sources": True, "n": len(run.pairs),
                "answered": sum(bool(text) for text in one.texts),
                "figures": _overlap(one, bootstrap, metrics)
                | {"answered_share": bootstrap.mean([bool(text) for text in one.texts]).as_dict()},
            }
            for (mode, regime), one in made.items()
        ],
        "differences": _differences(scored, bootstrap, metrics),
        "slices": views.slices(run, scored, bootstrap),
        "risk_coverage": [views.risk(key, predictions[key], one) for key, one in made.items()],
        "latency": [views.latency(mode, rows) for mode, rows in latencies.items()],
        "peak_memory_gb": peak_gb(),
        "checker": calibration,
        "retrieval": retrieval,
        "examples": views.examples(run, predictions, scored),
    }  # fmt: skip


def _identity(run: Run, commit: str) -> dict[str, Any]:
    """What was asked of what: two runs that differ here are not to be compared as one."""
    profile, setup, manifest = run.profile, run.setup, run.pipeline.index.manifest
    counts: dict[str, int] = dict(run.splits.counts())
    return {
        "profile": _portable(profile.name),
        "model": _portable(profile.generator.model),
        "config_hash": run.hash,
        "corpus": {"name": manifest.corpus_name, "digest": run.corpus, "pairs": len(run.pipeline.index.pairs)},
        "splits": {
            "hash": run.splits.hash, "by": setup.by, "seed": run.splits.seed,
            **{name: counts.get(name, 0) for name in ("train", "validation", "test")},
            **({"caveat": run.splits.caveat} if run.splits.caveat else {}),
        },
        "adapter": _adapter(profile.generator.adapter),
        "commit": commit,
        "versions": {name: version(name) for name in LIBRARIES} | {"python": sys.version.split()[0]},
        "code_versions": code_versions(),
        "decoding": {
            "max_new_tokens": setup.tokens,
            "greedy": True,
            "answers": "weights as loaded (fp32 on a CPU without bf16), many prompts at a time",
            "latency": "one question at a time, as the chat: "
            f"{profile.generator.backend}, precision {profile.generator.precision}",
        },
        "questions": {"n": len(run.pairs), "topics": len(set(run.topics)), "split": "test", "seed": setup.seed},
    }  # fmt: skip


def _portable(name: str) -> str:
    """A name that tells nothing of this machine's folders: of an absolute path, its last part."""
    return Path(name).name if Path(name).is_absolute() else name


def _adapter(adapter: str | None) -> dict[str, Any] | None:
    from eval.generation.identity import adapter_digest
    from finetune.store import MANIFEST, read_manifest
    from rag.generators.loading import adapter_folder

    if not adapter:
        return None
    folder = adapter_folder(adapter)
    found: dict[str, Any] = {"path": _portable(adapter), "weights": adapter_digest(folder)}
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        trained = manifest["trained"]
        earlier = sum(part["trained"]["examples"] for part in manifest.get("continues", []))
        found |= {
            "recipe": manifest["recipe"]["name"],
            "examples": trained["examples"] + earlier,
            "steps": trained["steps"],
            "commit": manifest["commit"],
        }
    return found


def _overlap(one: Scored, bootstrap: ClusterBootstrap, metrics: Metrics) -> Figures:
    figures = {name: bootstrap.mean(one.values[name]).as_dict() for name in OVERLAP if name in one.values}
    return figures | {"bleu": bootstrap.of_sums(one.statistics, metrics.bleu.score).as_dict()}


def _row(
    key: Key, found: Sequence[Prediction], one: Scored, judged: Sequence[Sequence[Judgement]] | None,
    perplexity: Sequence[tuple[float, int]], bootstrap: ClusterBootstrap, metrics: Metrics,
) -> dict[str, Any]:  # fmt: skip
    def ratio(pairs: Iterable[tuple[float, float]], of: ClusterBootstrap = bootstrap) -> Figure:
        above, below = zip(*pairs, strict=True)
        return of.ratio(above, below)

    mode, regime = key
    figures = _overlap(one, bootstrap, metrics)
    figures["length_ratio"] = bootstrap.ratio(*one.words).as_dict()
    figures |= {name: bootstrap.mean(one.values[name]).as_dict() for name in ("flesch_kincaid", "smog")}
    if perplexity:
        mean = ratio(perplexity, bootstrap.subset(range(len(perplexity))))
        count = {"n": len(perplexity), "of_tokens": REFERENCE_TOKENS}
        figures["perplexity"] = Figure(*(math.exp(value) for value in mean)).as_dict() | count
    held = {
        "answered_share": [bool(item.text) for item in found],
        "empty_share": [not item.text and item.status != "abstained" for item in found],
    }
    if mode not in CLOSED:
        held["abstained_share"] = [item.status == "abstained" for item in found]
        held["fallback_share"] = [item.answer.fallback and bool(item.text) for item in found]
    figures |= {name: bootstrap.mean(values).as_dict() for name, values in held.items()}
    if judged is not None:
        counted = {
            "citation_recall": [(sum(one.supported for one in answer), len(answer)) for answer in judged],
            "citation_precision": [
                (sum(sum(one.good) for one in answer), sum(len(one.good) for one in answer)) for answer in judged
            ],
            "unsupported_share": [(sum(not one.supported for one in answer), len(answer)) for answer in judged],
            "invented_numbers": [(sum(len(one.invented) for one in answer), len(answer)) for answer in judged],
        }
        figures |= {name: ratio(pairs).as_dict() for name, pairs in counted.items()}
        figures["invented_numbers"]["count"] = sum(count for count, _ in counted["invented_numbers"])
    return {
        "mode": mode, "regime": regime, "sources": mode not in CLOSED, "n": len(found),
        "answered": sum(held["answered_share"]), "figures": figures,
    }  # fmt: skip


def _citations(
    predictions: dict[Key, list[Prediction]], checker: Checker, run: Run
) -> dict[Key, list[list[Judgement]]]:
    """Judgements a mode with sources and regime, one an answer; an abstention has no sentence to judge."""
    from eval.checker.numbers import source_text
    from eval.metrics import citations

    keys = [key for key in predictions if key[0] not in CLOSED]
    asked = []
    for item in (item for key in keys for item in predictions[key]):
        claims = tuple(citations.Claim(one.text, one.citations) for one in item.sentences)
        sources = {one.n: source_text(one.title, one.question, one.text) for one in item.answer.sources}
        asked.append(citations.Cited(claims, sources))
    run.say("citations", 0, len(asked))
    found = iter(citations.judge(asked, checker))
    run.say("citations", len(asked), len(asked))
    return {key: [next(found) for _ in run.pairs] for key in keys}


def _differences(scored: dict[Key, Scored], bootstrap: ClusterBootstrap, metrics: Metrics) -> list[dict[str, Any]]:
    rows = []
    for regime in dict.fromkeys(key[1] for key in scored):
        for first, second in PAIRS:
            a, b = scored.get((first, regime)), scored.get((second, regime))
            if a is None or b is None:
                continue
            for name in COMPARED:
                if name == "bleu":
                    figure = bootstrap.difference_of_sums(a.statistics, b.statistics, metrics.bleu.score)
                elif name in a.values:
                    figure = bootstrap.difference(a.values[name], b.values[name])
                else:
                    continue
                rows.append({"regime": regime, "a": first, "b": second, "metric": name, **figure.as_difference()})
    return rows
