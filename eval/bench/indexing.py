"""How fast a corpus is indexed, against a bare `SentenceTransformer.encode` of the same passages, sorted by length.

The corpus is the one that the index was built from. The build runs in a process of its own, whose peak memory is read;
a second one finds nothing changed.
"""

from __future__ import annotations

import multiprocessing
import random
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.schema import Profile
from eval.bench.machine import peak_gb, seconds

SHARE = 8
"""The bare rate is taken over every eighth passage."""


def run(profile: Profile, folder: Path, n: int | None) -> dict[str, Any]:
    """Rates, their ratio, the rebuild's share of the first build, and peak memory in GB.

    `n`: so many pairs at random from a fixed seed; None: all. Raises UserError where the corpus is not there any more.
    """
    from index import sources
    from index.embedder import Embedder
    from index.passages import embedding_text, headings
    from index.store import Index, read_manifest

    spec = read_manifest(folder)[0].spec
    if lost := sources.missing(spec) if spec else "the corpus":
        raise UserError(
            f"{folder}: {lost}, of which it was built, is not known or not there; build it again: make index"
        )
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        runs = []
        for _ in range(2):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                runs.append(alone.submit(_build, profile, spec, Path(place), n).result())
        index = Index.open(Path(place) / "index")
        pairs, passages = list(index.pairs), list(index.passages)
    (first, peak), (again, _) = runs
    embedder = Embedder(profile.embedder)
    questions = [pair.question for pair in pairs]
    heads = headings(questions, embedder.count_tokens, profile.passages.max_tokens)
    texts = sorted((embedding_text(heads[one.pair], one) for one in passages), key=len)
    embedded = list({*questions, *texts})
    tokens = sum(embedder.count_tokens(embedded))
    sample = texts[::SHARE]
    embedder.model.encode(sample[:8])
    bare = sum(embedder.count_tokens(sample)) / seconds(
        lambda: embedder.model.encode(sample, normalize_embeddings=True)
    )
    return {
        "pairs": len(pairs),
        "passages": len(passages),
        "texts_embedded": len(embedded),
        "build_s": round(first, 1),
        "tokens_a_second": round(tokens / first),
        "bare_encode_tokens_a_second": round(bare),
        "ratio_to_bare": round(tokens / first / bare, 3),
        "rebuild_share": round(again / first, 5),
        "peak_memory_gb": peak,
    }


def _build(profile: Profile, spec: Sequence[str], work: Path, n: int | None) -> tuple[float, float]:
    """Read and build where it is not there yet; seconds and peak memory in GB. Run in a process of its own."""
    from index import build, sources
    from index.embedder import embedder_of

    embedder = embedder_of(profile.embedder)
    embedder.encode(["warm"])
    config = build.config_hash(profile.passages, profile.embedder, profile.index)
    begun = time.perf_counter()
    if not build.is_current(work / "index", sources.digest(spec, profile.cleaning), config):
        corpus = sources.load_corpus(spec, profile.cleaning)
        if n and n < len(corpus.pairs):
            corpus = replace(corpus, pairs=random.Random(0).sample(corpus.pairs, n))
        build.build(
            corpus, work / "index", profile.passages, embedder, profile.index, config=config, embeddings=work / "cache"
        )
    return time.perf_counter() - begun, peak_gb()
