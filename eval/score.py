"""Predictions to figures: `results = score(run, modes, regimes, ...)`, the dictionary that `results.json` holds.

Every figure has a 95% interval of the cluster bootstrap by topic. An abstention is an empty answer.
"""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.modes import Mode
from eval import views
from eval.generation.predict import CLOSED, REFERENCE_TOKENS, Prediction, Regime, Run
from eval.metrics.bootstrap import ClusterBootstrap, Figure
from eval.metrics.text import ROUGE, Metrics, Scored
from rag.versions import versions as code_versions

if TYPE_CHECKING:
    from eval.checker.checker import Checker
    from eval.metrics.citations import Judgement

SCHEMA = 1
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
    "textstat",
)  # fmt: skip


def score(
    run: Run,
    modes: Sequence[Mode],
    regimes: Sequence[Regime],
    checker: Checker,
    calibration: dict[str, Any],
    encoder: str | None,
    retrieval: dict[str, Any],
    command: str,
    commit: str,
) -> dict[str, Any]:
    """All figures of a run; `commit` is the checkout's. What is missing of its predictions is generated first."""
    from eval.bench.machine import machine

    begun = datetime.datetime.now(datetime.UTC)
    predictions = {(mode, regime): run.answers(mode, regime) for regime in regimes for mode in modes}
    perplexities = {key: run.perplexity(*key) for key in predictions}
    latencies = {mode: run.latency(mode) for mode in modes}
    references = [pair.answer for pair in run.pairs]
    bootstrap = ClusterBootstrap(run.topics)
    metrics = Metrics(encoder)
    scored: dict[tuple[Mode, Regime], Scored] = {}
    made: dict[tuple[Mode, Regime], Scored] = {}
    for at, (key, found) in enumerate(predictions.items()):
        run.say("scoring", at, len(predictions))
        same = next((other for other in scored if other[0] == key[0] and key[0] in CLOSED), None)
        if same:
            scored[key] = scored[same]
            continue
        scored[key] = Scored([one.text for one in found], references, metrics)
        if key[0] not in CLOSED:
            texts = [one.forced for one in found]
            made[key] = scored[key] if texts == scored[key].texts else Scored(texts, references, metrics)
    run.say("scoring", len(predictions), len(predictions))
    judged = _citations(predictions, checker, run)
    table = [
        _row(key, predictions[key], scored[key], judged.get(key), perplexities[key], bootstrap, metrics)
        for key in predictions
    ]
    return {
        "schema": SCHEMA,
        "created": begun.isoformat(timespec="seconds"),
        "seconds": round((datetime.datetime.now(datetime.UTC) - begun).total_seconds(), 1),
        "spent": run.spent(),
        "command": command,
        **_identity(run, commit),
        "machine": machine(),
        "modes": list(modes),
        "regimes": list(regimes),
        "metrics": metrics.described(),
        "table": table,
        "forced": [
            {
                "mode": mode, "regime": regime, "sources": True, "n": len(run.pairs),
                "answered": sum(bool(text) for text in one.texts),
                "figures": {
                    **_overlap(one, bootstrap, metrics), "answered_share": _share(map(bool, one.texts), bootstrap),
                },
            }
            for (mode, regime), one in made.items()
        ],
        "differences": _differences(scored, bootstrap, metrics),
        "slices": views.slices(run, scored, bootstrap),
        "risk_coverage": [views.risk(key, predictions[key], one) for key, one in made.items()],
        "latency": [views.latency(mode, rows) for mode, rows in latencies.items()],
        "peak_memory_gb": _peak(),
        "checker": calibration,
        "retrieval": retrieval,
        "examples": views.examples(run, predictions, scored),
    }  # fmt: skip


def _identity(run: Run, commit: str) -> dict[str, Any]:
    """What was asked of what: two runs that differ here are not to be compared as one."""
    profile, setup = run.profile, run.setup
    counts = run.splits.counts()
    return {
        "profile": _portable(profile.name),
        "model": _portable(profile.generator.model),
        "config_hash": run.hash,
        "corpus": {
            "name": run.pipeline.index.manifest.corpus_name,
            "digest": run.corpus,
            "pairs": len(run.pipeline.index.pairs),
        },
        "splits": {
            "hash": run.splits.hash,
            "by": setup.by,
            "seed": setup.split_seed,
            **{name: counts.get(name, 0) for name in ("train", "validation", "test")},  # type: ignore[call-overload]
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
            "latency": f"one question at a time, as the chat: generator.precision {profile.generator.precision}",
        },
        "questions": {"n": len(run.pairs), "topics": len(set(run.topics)), "split": "test", "seed": setup.seed},
    }


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


def _overlap(one: Scored, bootstrap: ClusterBootstrap, metrics: Metrics) -> dict[str, Any]:
    names = (*ROUGE, "token_f1", "exact_match", *(("bertscore",) if "bertscore" in one.values else ()))
    figures = {name: bootstrap.mean(one.values[name]).as_dict() for name in names}
    figures["bleu"] = bootstrap.of_sums(one.statistics, metrics.bleu.score).as_dict()
    return figures


def _row(
    key: tuple[Mode, Regime],
    found: Sequence[Prediction],
    one: Scored,
    judged: Sequence[Sequence[Judgement]] | None,
    perplexity: Sequence[tuple[float, int]],
    bootstrap: ClusterBootstrap,
    metrics: Metrics,
) -> dict[str, Any]:
    mode, regime = key
    figures = _overlap(one, bootstrap, metrics)
    figures["length_ratio"] = bootstrap.ratio(*one.words).as_dict()
    for name in ("flesch_kincaid", "smog"):
        figures[name] = bootstrap.mean(one.values[name]).as_dict()
    if perplexity:
        part = bootstrap.subset(range(len(perplexity)))
        mean = part.ratio([loss for loss, _ in perplexity], [count for _, count in perplexity])
        figures["perplexity"] = Figure(*(math.exp(value) for value in mean)).as_dict() | {
            "n": len(perplexity),
            "of_tokens": REFERENCE_TOKENS,
        }
    figures["answered_share"] = _share((bool(item.text) for item in found), bootstrap)
    figures["empty_share"] = _share((not item.text and item.status != "abstained" for item in found), bootstrap)
    if mode not in CLOSED:
        figures["abstained_share"] = _share((item.status == "abstained" for item in found), bootstrap)
        figures["fallback_share"] = _share((item.answer.fallback and bool(item.text) for item in found), bootstrap)
    if judged is not None:
        sentences = [len(answer) for answer in judged]
        supported = [sum(one.supported for one in answer) for answer in judged]
        unsupported = [sum(not one.supported for one in answer) for answer in judged]
        citations = [sum(len(one.good) for one in answer) for answer in judged]
        good = [sum(sum(one.good) for one in answer) for answer in judged]
        numbers = [sum(len(one.invented) for one in answer) for answer in judged]
        figures["citation_recall"] = bootstrap.ratio(supported, sentences).as_dict()
        figures["citation_precision"] = bootstrap.ratio(good, citations).as_dict()
        figures["unsupported_share"] = bootstrap.ratio(unsupported, sentences).as_dict()
        figures["invented_numbers"] = bootstrap.ratio(numbers, sentences).as_dict() | {"count": sum(numbers)}
    return {
        "mode": mode, "regime": regime, "sources": mode not in CLOSED, "n": len(found),
        "answered": sum(bool(item.text) for item in found), "figures": figures,
    }  # fmt: skip


def _share(held: Iterable[bool], bootstrap: ClusterBootstrap) -> dict[str, Any]:
    import numpy as np

    return bootstrap.mean(np.array(list(held), float)).as_dict()


def _citations(
    predictions: dict[tuple[Mode, Regime], list[Prediction]], checker: Checker, run: Run
) -> dict[tuple[Mode, Regime], list[list[Judgement]]]:
    """Judgements a mode with sources and regime, one an answer; an abstention has no sentence to judge."""
    from eval.checker.numbers import source_text
    from eval.metrics import citations

    keys = [key for key in predictions if key[0] not in CLOSED]
    asked = []
    for key in keys:
        for item in predictions[key]:
            claims = tuple(citations.Claim(one.text, one.citations) for one in item.sentences)
            sources = {s.n: source_text(s.title, s.question, s.text) for s in item.answer.sources}
            asked.append(citations.Cited(claims, sources))
    run.say("citations", 0, len(asked))
    found = citations.judge(asked, checker)
    run.say("citations", len(asked), len(asked))
    size = len(run.pairs)
    return {key: found[at * size : (at + 1) * size] for at, key in enumerate(keys)}


def _differences(
    scored: dict[tuple[Mode, Regime], Scored], bootstrap: ClusterBootstrap, metrics: Metrics
) -> list[dict[str, Any]]:
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


def _peak() -> float:
    """Most memory resident in this process, in GB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20, 2)
    except (OSError, StopIteration):
        return 0.0
