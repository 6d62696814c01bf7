"""What every fine-tuning command starts from: the corpus, its splits, and the training examples, kept on disk.

    prepared = prepare(profile, recipe, spec, Work(data))

Each is made once: a folder is named by the hash of what decides it, written aside and renamed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from configs import files
from configs.errors import UserError
from configs.recipes import Recipe
from configs.schema import Profile
from finetune import data, forms
from index.sources import Corpus
from index.splits import Split, Splits, caveat, make
from rag.retrieval.hits import Hit, Retrieval
from rag.retrieval.hybrid import HybridRetriever
from rag.retrieval.reading import Piece
from rag.versions import versions

if TYPE_CHECKING:
    from datasets import DatasetDict

    from index.corpus import QAPair
    from rag.generators.template import Template

FORMAT = 4
"""Part of the examples' hash. Raise it when the same recipe makes other examples."""
Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Work:
    """Where things lie in the data folder."""

    data: Path

    @property
    def splits(self) -> Path:
        return self.data / "splits"

    @property
    def examples(self) -> Path:
        return self.data / "examples"

    @property
    def runs(self) -> Path:
        return self.data / "runs"

    @property
    def adapters(self) -> Path:
        return self.data / "adapters"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def embeddings(self) -> Path:
        return self.data / "cache" / "embeddings"


def split(corpus: Corpus, work: Work, by: Literal["topic", "row"] = "topic", seed: int = 0) -> tuple[Splits, Path]:
    """The splits of `corpus`, read from disk or made now, and their folder."""
    folder = work.splits / f"{by}-{seed}-{corpus.digest[:12]}"
    if (folder / "manifest.json").exists():
        splits = Splits.open(folder)
        if splits.corpus != corpus.digest:
            raise UserError(f"{folder}: splits of another corpus; delete the folder")
        return replace(splits, caveat=caveat(corpus.pairs)), folder
    splits = make(corpus.pairs, corpus.digest, seed, by)
    splits.save(folder)
    return splits, folder


def examples_hash(profile: Profile, recipe: Recipe, splits: Splits) -> str:
    """What decides the examples: recipe, forms, corpus, splits, code versions, retriever, passages, generator."""
    parts = [
        FORMAT,
        versions(),
        files.digest(forms.FORMS.read_text("utf-8")),
        recipe.data.model_dump(mode="json"),
        _digest(recipe.data.questions),
        recipe.seed,
        recipe.schedule.validation,
        splits.hash,
        splits.corpus,
        profile.prompt.sources,
        *(section.model_dump(mode="json") for section in (profile.retriever, profile.passages)),
        profile.embedder.model_dump(mode="json", exclude={"backend"}),
        profile.generator.model,
        profile.generator.gguf_file,
    ]
    return files.digest_json(parts)


def _digest(file: str | None) -> str:
    try:
        return files.digest_file(Path(file)) if file else ""
    except OSError as error:
        raise UserError(f"data.questions: {file}: {error.strerror}") from None


def examples(
    profile: Profile, recipe: Recipe, corpus: Corpus, splits: Splits, template: Template, work: Work, say: Say
) -> tuple[DatasetDict, dict[str, Any], Path]:
    """Train and validation examples, their report a split, and the folder they lie in; made where they are not."""
    from datasets import load_from_disk

    digest = examples_hash(profile, recipe, splits)
    folder = work.examples / f"{recipe.name}-{digest[:12]}"
    if not (folder / "manifest.json").exists():
        _make_examples(profile, recipe, corpus, splits, template, work, folder, digest, say)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    return load_from_disk(str(folder / "data")), manifest["report"], folder


def _make_examples(
    profile: Profile,
    recipe: Recipe,
    corpus: Corpus,
    splits: Splits,
    template: Template,
    work: Work,
    folder: Path,
    digest: str,
    say: Say,
) -> None:
    from datasets import Dataset, DatasetDict

    parts: dict[str, Any] = {}
    reports: dict[str, Any] = {}
    limits: dict[Split, int | None] = {"train": None, "validation": recipe.schedule.validation}
    for name, limit in limits.items():
        retriever = None
        if recipe.data.grounded:
            retriever = retriever_over(profile, corpus.pairs, corpus.name, splits, name, work, say)
        made, report = data.make(
            corpus.pairs,
            splits,
            name,
            recipe.data,
            template,
            retriever,
            sources=profile.prompt.sources,
            seed=recipe.seed,
            limit=limit,
            progress=lambda done, total, name=name: say(f"{name} examples", done, total),  # type: ignore[misc]
        )
        if not made:
            raise UserError(f"the {name} split gives no examples; give a larger corpus")
        columns = data.as_columns(made)
        parts[name] = Dataset.from_dict(columns | {"length": [example.tokens for example in made]})
        reports[name] = report.as_dict()
    with files.said(folder), files.folder(folder) as place:
        DatasetDict(parts).save_to_disk(str(place / "data"))
        manifest = {"hash": digest, "recipe": recipe.model_dump(mode="json"), "splits": splits.hash, "report": reports}
        files.write_json(place / "manifest.json", manifest)


def retriever_over(
    profile: Profile, pairs: Sequence[QAPair], corpus: str, splits: Splits, name: Split, work: Work, say: Say
) -> PassagesOfPairs:
    """A retriever over an index that holds the pairs of that split and no others; `corpus` is their corpus's name."""
    from index.build import subset
    from index.embedder import embedder_of

    embedder = embedder_of(profile.embedder)
    index = subset(
        [pairs[row] for row in splits.rows(pairs, name)],
        f"{corpus}, {name} split",
        f"{splits.hash} {splits.corpus} {name}",
        work.examples / f"index-{name}-{splits.hash[:12]}",
        profile,
        embedder,
        work.embeddings,
        say,
    )
    return PassagesOfPairs(HybridRetriever.create(index, embedder, profile.retriever))


class PassagesOfPairs:
    """A retriever, and what reads its passages, that can also give a pair's own."""

    def __init__(self, retriever: HybridRetriever) -> None:
        self.retriever = retriever
        self.rows: dict[str, list[int]] = {}
        for row, passage in enumerate(retriever.index.passages):
            self.rows.setdefault(retriever.index.pairs[passage.pair].id, []).append(row)

    def retrieve(self, question: str, k: int | None = None) -> Retrieval:
        """As the retriever does."""
        return self.retriever.retrieve(question, k)

    def piece(self, hit: Hit) -> Piece:
        """As the retriever does."""
        return self.retriever.piece(hit)

    def word_weights(self, question: str) -> dict[str, float]:
        """As the retriever does."""
        return self.retriever.word_weights(question)

    def encode(self, texts: list[str]) -> np.ndarray:
        """As the retriever does."""
        return self.retriever.encode(texts)

    def passages_of(self, pair: Any) -> list[Hit]:
        """The pair's passages in order, unscored."""
        index = self.retriever.index
        return [Hit(row, index.passages[row], pair, 0.0, 0.0, 0.0, 0.0) for row in self.rows.get(pair.id, ())]
