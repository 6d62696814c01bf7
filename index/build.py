"""Corpus to index: cut, embed, write aside, swap in; where embedding takes long, in stages that answer before its end.

    build(corpus, folder, ...)    # from the corpus on
    go_on(folder, ...)            # from the stage that is there on, without the corpus

A stage is a whole generation of the index but for vectors that are still missing (`index/growing.py` reads it). The
last one is the index, the same as if there had been no stages.
"""

from __future__ import annotations

import datetime
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs import files
from configs.errors import UserError
from configs.schema import Embedder as EmbedderSettings
from configs.schema import IndexSettings, Passages, Profile
from index import cache, growing, passages, shipped, store, vectors
from index.corpus import QAPair
from index.embedder import EmbedderLike
from index.lexical import Lexical
from index.store import Index, Manifest
from index.tokens import TokenCounts
from index.vocabulary import Vocabulary

if TYPE_CHECKING:
    from index.sources import Corpus

Report = Callable[[str, int, int], None]
"""Called with a step's name, how many items are done and how many there are."""

LIBRARIES = ("faiss-cpu", "bm25s", "sentence-transformers", "torch", "onnxruntime", "numpy", "pyarrow")
PAIRS_AT_ONCE = 256
"""Between two words on the progress of cutting."""
QUESTIONS_AT_ONCE = 4096
STAGED = 2_048
"""Texts without a vector past which an index is put in use in stages: two minutes of embedding on two cores."""
EVERY, MORE = 60.0, 1.25
"""Least seconds between two stages, and how many times as many vectors there have to be: some 20 stages to 200,000."""
FORMAT = 3
"""Part of every config hash. Raise it when cutting, embedding or writing gives another index for the same input."""


def _silent(*_: object) -> None:
    pass


def config_hash(cutting: Passages, embedder: EmbedderSettings, settings: IndexSettings) -> str:
    """What decides an index besides its corpus, as a SHA-256. The batch size and the backend decide nothing."""
    parts = [cutting.model_dump(), embedder.model_dump(exclude={"batch_size", "backend"}), settings.model_dump()]
    return files.digest_json([FORMAT, *parts])


def is_current(folder: Path, corpus_digest: str, config: str) -> bool:
    """Whether the index in `folder` is whole and made from just this."""
    manifest = _whole(folder)
    return manifest is not None and not manifest.growing and _is_of(manifest, corpus_digest, config)


def _whole(folder: Path) -> Manifest | None:
    """The manifest in use where all of its files are there."""
    try:
        manifest, place = store.read_manifest(folder)
        store.check_sizes(manifest, place)
    except UserError:
        return None
    return manifest


def _in_use(folder: Path) -> bool:
    """Whether a whole index is in use, which stays so until another is whole."""
    manifest = _whole(folder)
    return manifest is not None and not manifest.growing


def _is_of(manifest: Manifest, corpus_digest: str, config: str) -> bool:
    return (manifest.corpus_digest, manifest.config_hash) == (corpus_digest, config)


def cut_all(
    pairs: Sequence[QAPair], embedder: EmbedderLike, max_tokens: int, say: Report | None = None
) -> list[passages.Passage]:
    """The passages of all pairs, in order."""
    found: list[passages.Passage] = []
    count = TokenCounts(embedder.count_tokens)
    for row in range(0, len(pairs), PAIRS_AT_ONCE):
        if say:
            say("cutting", row, len(pairs))
        found += passages.cut_many(row, pairs[row : row + PAIRS_AT_ONCE], count, max_tokens)
    if say:
        say("cutting", len(pairs), len(pairs))
    return found


def embedded_texts(
    pairs: Sequence[QAPair], cuts: Sequence[passages.Passage], embedder: EmbedderLike, max_tokens: int
) -> list[str]:
    """What is embedded of a corpus: every pair's question, then every passage under its question."""
    questions = [pair.question for pair in pairs]
    count, heads = TokenCounts(embedder.count_tokens), list[str]()
    for row in range(0, len(pairs), QUESTIONS_AT_ONCE):
        heads += passages.headings(questions[row : row + QUESTIONS_AT_ONCE], count, max_tokens)
    return [*questions, *(passages.embedding_text(heads[one.pair], one) for one in cuts)]


def counted(step: str, total: int, say: Report) -> Callable[[int], None]:
    """A progress that adds up what it is given."""
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        say(step, done, total)

    return add


def lexical_text(pair: QAPair, passage: passages.Passage) -> str:
    """What the lexical index reads of a passage: its question, the focus and its synonyms, the text."""
    return "\n".join((pair.question, pair.focus, " ; ".join(pair.synonyms), passage.lead_in, passage.text))


@dataclass(frozen=True)
class Work:
    """What a build is done with: the embedder, the index's settings, the folder of the vector cache (None: none), who
    is told of its progress (`report`) and of its stages (`notify`, a line), and whether the first stage is enough.
    """

    embedder: EmbedderLike
    settings: IndexSettings
    embeddings: Path | None = None
    report: Report = _silent
    notify: Callable[[str], None] = _silent
    first: bool = False


def build(
    corpus: Corpus,
    folder: Path,
    cutting: Passages,
    embedder: EmbedderLike,
    settings: IndexSettings,
    *,
    config: str = "",
    embeddings: Path | None = None,
    report: Report | None = None,
    notify: Callable[[str], None] | None = None,
    named: bool = False,
    commit: str = "",
    first: bool = False,
) -> Index:
    """Build the index of `corpus` in `folder` and put it in use; the one there stays in use until then.

    `embeddings` is the folder of the vector cache, `config` the `config_hash` to remember, `named` whether a
    person named this corpus, which is then not replaced unasked, `commit` the checkout's, for the manifest. Where more
    than STAGED texts have no vector yet, stages of the index are put in use before; `notify` gets a line on each, and
    with `first` the first of them is all that is built.
    Raises UserError if another build of the same folder is running or the disk cannot be written.
    """
    work = Work(embedder, settings, embeddings, report or _silent, notify or _silent, first)
    with _building(folder):
        pairs = corpus.pairs
        cuts = cut_all(pairs, embedder, cutting.max_tokens, work.report)
        manifest = Manifest(
            schema=store.SCHEMA,
            created="",
            corpus_name=corpus.name,
            corpus_digest=corpus.digest,
            config_hash=config,
            embedder=embedder.fingerprint,
            precision=embedder.precision,
            dimensions=embedder.dimensions,
            pairs=len(pairs),
            passages=len(cuts),
            demonstration=sum(pair.demonstration for pair in pairs),
            versions=_installed(),
            commit=commit,
            files={},
            sources=[asdict(one) for one in corpus.parts],
            spec=list(corpus.spec),
            named=named,
        )
        _Build(folder, pairs, cuts, manifest, cutting.max_tokens, work).run()
    return Index.open(folder, growing=first)


def unfinished(folder: Path, corpus_digest: str, config: str) -> bool:
    """Whether the index in `folder` is a stage of just this, whole as far as it goes."""
    manifest = _whole(folder)
    return manifest is not None and bool(manifest.growing) and _is_of(manifest, corpus_digest, config)


def go_on(folder: Path, work: Work, commit: str = "") -> Index:
    """Finish the index of which a stage is in use in `folder`; one that is whole stays as it is.

    Raises UserError as `build`, and where the stage was made with another embedder.
    """
    with _building(folder):
        index = Index.open(folder, growing=True)
        if not index.manifest.growing:
            return index
        if index.manifest.embedder != work.embedder.fingerprint:
            raise UserError(f"{folder}: begun with another embedder; build it anew: medcite index build --force")
        manifest = replace(
            index.manifest,
            precision=work.embedder.precision,
            commit=commit,
            versions=_installed(),
        )
        pairs, cuts = list(index.pairs), list(index.passages)
        _Build(folder, pairs, cuts, manifest, manifest.growing["max_tokens"], work).run()
    return Index.open(folder)


@contextmanager
def _building(folder: Path) -> Iterator[None]:
    """The folder's lock held, and what killed builds left behind removed."""
    with files.said(folder, "the index could not be written"):
        folder.mkdir(parents=True, exist_ok=True)
        with growing.locked(folder):
            for stale in (*folder.glob(f"{files.ASIDE}*"), *folder.glob("new-*")):  # a killed build's; an older name
                if stale.is_dir():
                    shutil.rmtree(stale, ignore_errors=True)
                else:
                    stale.unlink(missing_ok=True)
            yield


def _installed() -> dict[str, str]:
    """The versions of what took part, by name: of LIBRARIES those that are installed."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def subset(
    pairs: Iterable[QAPair],
    name: str,
    digest: str,
    folder: Path,
    profile: Profile,
    embedder: EmbedderLike,
    embeddings: Path,
    report: Report,
) -> Index:
    """The index over some of a corpus's pairs: the one in `folder` where it is of just these, else built there.

    `digest` tells it from others and so has to name both the corpus and the choice of pairs; `name` is for people,
    `embeddings` the folder of the vector cache. Raises UserError as `build`.
    """
    from index.readers import ReadReport
    from index.sources import Corpus

    config = config_hash(profile.passages, profile.embedder, profile.index)
    if is_current(folder, digest, config):
        index = Index.open(folder)
        if index.manifest.embedder == embedder.fingerprint:
            return index
    part = Corpus(list(pairs), digest, name, ReadReport())
    return build(
        part, folder, profile.passages, embedder, profile.index, config=config, embeddings=embeddings, report=report
    )


class _Build:
    """One build on its way: what it embeds and the generation that is in use.

    `manifest` is what all generations have in common; its `files` are those of the stage that is there already, if any.
    """

    def __init__(
        self,
        folder: Path,
        pairs: Sequence[QAPair],
        cuts: Sequence[passages.Passage],
        manifest: Manifest,
        max_tokens: int,
        work: Work,
    ) -> None:
        self.folder, self.pairs, self.cuts, self.work = folder, pairs, cuts, work
        self.manifest = manifest
        self.max_tokens = max_tokens
        self.texts = embedded_texts(pairs, cuts, work.embedder, max_tokens)
        self.total = len(set(self.texts))
        self.known: dict[str, np.ndarray] = {}
        self.shown, self.shown_at = 0, 0.0

    def run(self) -> None:
        """Embed what has no vector, in stages where that is much, and put the whole index in use."""
        work, embedder = self.work, self.work.embedder
        ready = shipped.load(embedder.fingerprint)
        count = counted("embedding", self.total, work.report)
        self.known = cache.find(self.texts, embedder, work.embeddings, count, ready)
        staged = self.total - len(self.known) > STAGED and (work.first or not _in_use(self.folder))
        if staged:
            self._stage()
            if work.first:
                return
        questions = {pair.question for pair in self.pairs}
        parts = cache.chunks(self.texts, self.known, work.embeddings, questions)
        opening = [part for part in parts if staged and 2 * sum(text in questions for text in part) > len(part)]
        for name, own in (("questions", opening), ("passages", parts[len(opening) :])):
            if staged:
                count = counted(name, sum(map(len, own)), work.report)
            for part in own:
                self.known |= cache.embed(part, embedder, work.embeddings, count)
                if staged and self._due(part is own[-1]):
                    self._stage()
        self._put_in_use({})

    def _due(self, last: bool) -> bool:
        """Whether a stage would be worth its writing: the last questions have vectors, or a quarter more texts."""
        later = time.monotonic() - self.shown_at >= EVERY
        return len(self.known) < self.total and (last or (later and len(self.known) >= MORE * self.shown))

    def _stage(self) -> None:
        """Put in use what has vectors by now, unless the stage that is there has as much."""
        have = np.fromiter((text in self.known for text in self.texts), bool, len(self.texts))
        questions, cuts = int(have[: len(self.pairs)].sum()), int(have[len(self.pairs) :].sum())
        self.shown, self.shown_at = len(self.known), time.monotonic()
        there = self.manifest.vectors
        if not self.manifest.files or questions > there[0] or cuts > there[1]:
            self._put_in_use({"questions": questions, "passages": cuts, "max_tokens": self.max_tokens}, have)
        self.work.notify(f"{self.folder}: questions can be asked; {growing.progress(self.manifest)}")

    def _put_in_use(self, have_of: dict[str, int], have: np.ndarray | None = None) -> None:
        """Write a generation, `have` telling which texts have vectors (None: all), and put it in use."""
        self.work.report("writing", 0, 1)
        before = store.read_manifest(self.folder)[1] if self.manifest.files else None
        final = self.folder / f"gen-{secrets.token_hex(4)}"
        with files.folder(final, over=False) as place:
            self._write_vectors(place, have)
            known = self._write_words(place, before)
            self.manifest = replace(
                self.manifest,
                created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                growing=have_of,
                files={
                    name: known.get(name) or {"size": file.stat().st_size, "sha256": files.digest_file(file)}
                    for file in sorted(place.rglob("*"))
                    if file.is_file() and (name := str(file.relative_to(place)))
                },
            )
            self.work.report("writing", 1, 1)
        store.publish(self.folder, final, self.manifest)

    def _write_vectors(self, place: Path, have: np.ndarray | None) -> None:
        dimensions, count = self.work.embedder.dimensions, len(self.pairs)
        for name, span in ((store.QUESTION_VECTORS, slice(0, count)), (store.PASSAGE_VECTORS, slice(count, None))):
            texts = self.texts[span]
            if have is None:
                made = vectors.make(cache.table(texts, self.known, dimensions), self.work.settings.hnsw_above)
            else:
                rows = np.flatnonzero(have[span])
                made = vectors.some(cache.table([texts[row] for row in rows], self.known, dimensions), rows)
            vectors.write(made, place / name)

    def _write_words(self, place: Path, before: Path | None) -> dict[str, dict[str, Any]]:
        """Write all but the vectors, or take it from the generation `before`; the entries of what was taken."""
        if before is None:
            Lexical.build([lexical_text(self.pairs[one.pair], one) for one in self.cuts]).save(place / store.LEXICAL)
            store.write_tables(place, self.pairs, self.cuts)
            Vocabulary.of(self.pairs).save(place / store.VOCABULARY)
            return {}
        for name in self.manifest.words:
            (place / name).parent.mkdir(exist_ok=True)
            try:
                os.link(before / name, place / name)
            except OSError:  # a file system without links
                shutil.copy2(before / name, place / name)
        return {name: self.manifest.files[name] for name in self.manifest.words}
