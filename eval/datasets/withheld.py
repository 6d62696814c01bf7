"""The index without a split's topics: what an answer is when its source is not there. No command of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from configs import files
from configs.schema import Profile

if TYPE_CHECKING:
    from index.build import Report
    from index.splits import Split, Splits
    from rag.pipeline import Pipeline


def withheld(profile: Profile, whole: Pipeline, splits: Splits, split: Split, data: Path, say: Report) -> Pipeline:
    """A pipeline over an index without any passage of the split's topics; built where it is not there yet."""
    from index.build import subset
    from rag.pipeline import Pipeline

    index = whole.index
    # The splits' hash knows pairs by name; a corrected answer is another corpus with the same splits.
    both = files.digest(f"{splits.hash} {index.manifest.corpus_digest}")
    folder = data / "eval" / f"index-withheld-{both[:12]}{'' if split == 'test' else f'-{split}'}"
    out = {splits.topic_of[index.pairs[row].id] for row in splits.rows(index.pairs, split)}
    kept = (pair for pair in index.pairs if splits.topic_of[pair.id] not in out)
    name, digest = f"{index.manifest.corpus_name}, no {split} topic", f"{both} without {split} topics"
    subset(kept, name, digest, folder, profile, whole.retriever.embedder, data / "cache" / "embeddings", say)
    return Pipeline.open(abstention_disabled(profile), folder, data / "models")


def abstention_disabled(profile: Profile) -> Profile:
    """The profile with retrieval's threshold at 0: what is answered is told apart afterwards."""
    return profile.model_copy(update={"retriever": profile.retriever.model_copy(update={"abstain_below": 0.0})})
