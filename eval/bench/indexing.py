"""How fast a corpus is indexed, against a bare `SentenceTransformer.encode` of the same passages, sorted by length.

    python -m eval bench indexing [--limit PAIRS]

The build runs in a process of its own, whose peak memory is read; a second one finds nothing changed.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from configs import ROOT
from configs.schema import Profile

_BUILD = """
import json, resource, sys, time
from pathlib import Path
from configs import load
from eval.bench.indexing import build_once
work, spec, limit, overrides = json.loads(sys.argv[1])
profile, _ = load(sys.argv[2], overrides)
print(json.dumps(build_once(profile, spec, Path(work), limit)))
"""


def run(
    profile: Profile, spec: Sequence[str], work: Path, limit: int | None = None, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Rates, their ratio, the rebuild's share of the first build, and peak memory in GB.

    `limit`: so many pairs at random from a fixed seed, for a shorter run; None: the whole corpus.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    arguments = json.dumps([str(work), list(spec), limit, list(overrides)])
    results = []
    for _ in range(2):
        command = [sys.executable, "-c", _BUILD, arguments, profile.name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    first, again = results
    bare = bare_rate(profile, work / "index")
    shutil.rmtree(work, ignore_errors=True)
    return {
        "pairs": first["pairs"],
        "passages": first["passages"],
        "texts_embedded": first["texts"],
        "build_s": first["seconds"],
        "tokens_a_second": round(first["tokens"] / first["seconds"]),
        "bare_encode_tokens_a_second": round(bare),
        "ratio_to_bare": round(first["tokens"] / first["seconds"] / bare, 3),
        "rebuild_share": round(again["seconds"] / first["seconds"], 5),
        "peak_memory_gb": round(max(first["peak_gb"], again["peak_gb"]), 2),
    }


def build_once(profile: Profile, spec: Sequence[str], work: Path, limit: int | None) -> dict[str, Any]:
    """Read, build and time it; run in a process of its own."""
    from index import build, sources
    from index.embedder import Embedder
    from index.passages import embedding_text, headings

    embedder = Embedder(profile.embedder)
    embedder.encode(["warm"])
    config = build.config_hash(profile.passages, profile.embedder, profile.index)
    begun = time.perf_counter()
    if build.is_current(work / "index", sources.digest(spec, profile.cleaning), config):
        return {"seconds": time.perf_counter() - begun, "peak_gb": 0.0}
    corpus = sources.load_corpus(spec, profile.cleaning)
    if limit and limit < len(corpus.pairs):
        corpus = replace(corpus, pairs=random.Random(0).sample(corpus.pairs, limit))
    index = build.build(
        corpus, work / "index", profile.passages, embedder, profile.index, config=config, embeddings=work / "cache"
    )
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    questions = [pair.question for pair in corpus.pairs]
    heads = headings(questions, embedder.count_tokens, profile.passages.max_tokens)
    texts = list({*questions, *(embedding_text(heads[one.pair], one) for one in index.passages)})
    return {
        "pairs": len(corpus.pairs),
        "passages": len(index.passages),
        "texts": len(texts),
        "tokens": sum(embedder.count_tokens(texts)),
        "seconds": round(seconds, 1),
        "peak_gb": peak,
    }


def bare_rate(profile: Profile, folder: Path, share: int = 8) -> float:
    """Tokens a second of `SentenceTransformer.encode` over every `share`-th passage, sorted by length."""
    from index.embedder import Embedder
    from index.passages import embedding_text, headings
    from index.store import Index

    index = Index.open(folder)
    embedder = Embedder(profile.embedder)
    heads = headings([pair.question for pair in index.pairs], embedder.count_tokens, profile.passages.max_tokens)
    texts = sorted((embedding_text(heads[one.pair], one) for one in index.passages), key=len)[::share]
    embedder.model.encode(texts[:8])
    begun = time.perf_counter()
    embedder.model.encode(texts, normalize_embeddings=True)
    return sum(embedder.count_tokens(texts)) / (time.perf_counter() - begun)
