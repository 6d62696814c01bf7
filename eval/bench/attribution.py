"""How long attributing a draft takes: about 100 words against five passages, none seen before."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.schema import Profile
from eval.bench.machine import seconds


def run(profile: Profile, folder: Path, n: int) -> dict[str, Any]:
    """Median and 95th percentile over `n` drafts. Raises UserError for an index without long answers."""
    from eval.checker.altered import passages, source_of
    from eval.metrics.shares import milliseconds
    from index.store import Index
    from rag.attribution.attribute import attribute
    from rag.attribution.support import read

    rng = random.Random(0)
    pages = [pair for pair in Index.open(folder).pairs if len(pair.answer.split()) > 120]
    if not pages:
        raise UserError(f"{folder}: no answer of more than 120 words; index a larger corpus")
    taken = []
    for _ in range(n):
        given = rng.sample(pages, min(5, len(pages)))
        sources = [source_of(number, pair, passages(pair.answer)[0]) for number, pair in enumerate(given, 1)]
        draft = " ".join(" ".join(source.text.split()[:35]) + " [1]." for source in sources[:3])
        read.cache_clear()
        taken.append(seconds(partial(attribute, draft, sources, profile.answering)))
    return milliseconds(taken)
