"""The index without a split's topics: what an answer is when its source is not there. No command of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from configs import files
from configs.schema import Profile

if TYPE_CHECKING:
    from index.splits import Splits
    from rag.pipeline import Pipeline

Say = Callable[[str, int, int], None]


def withheld(profile: Profile, whole: Pipeline, splits: Splits, split: str, data: Path, say: Say) -> Pipeline:
    """A pipeline over an index without any passage of the split's topics; built where it is not there yet."""
    from index import build
    from index.readers.report import ReadReport
    from index.sources import Corpus
    from rag.pipeline import Pipeline

    index = whole.index
    # The splits' hash knows pairs by name; a corrected answer is another corpus with the same splits.
    both = files.digest(f"{splits.hash} {index.manifest.corpus_digest}")
    folder = data / "eval" / f"index-withheld-{both[:12]}{'' if split == 'test' else f'-{split}'}"
    config = build.config_hash(profile.passages, profile.embedder, profile.index)
    digest = f"{both} without {split} topics"
    if not build.is_current(folder, digest, config):
        pairs = index.pairs
        out = {splits.topic_of[pairs[row].id] for row in splits.rows(pairs, split)}  # type: ignore[arg-type]
        kept = [pair for pair in pairs if splits.topic_of[pair.id] not in out]
        corpus = Corpus(kept, digest, f"{index.manifest.corpus_name}, no {split} topic", ReadReport())
        build.build(
            corpus,
            folder,
            profile.passages,
            whole.retriever.embedder,
            profile.index,
            config=config,
            embeddings=data / "cache" / "embeddings",
            report=say,
        )
    return Pipeline.open(abstention_disabled(profile), folder, data / "models")


def abstention_disabled(profile: Profile) -> Profile:
    """The profile with retrieval's threshold at 0: what is answered is told apart afterwards."""
    return profile.model_copy(update={"retriever": profile.retriever.model_copy(update={"abstain_below": 0.0})})
