"""Corpus to index: cut, embed, write aside, swap in."""

from __future__ import annotations

import datetime
import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from configs import files
from configs.errors import UserError
from configs.schema import Embedder as EmbedderSettings
from configs.schema import IndexSettings, Passages, Profile
from index import cache, passages, shipped, store, vectors
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

LIBRARIES = ("faiss-cpu", "bm25s", "sentence-transformers", "torch", "numpy", "pyarrow")
PAIRS_AT_ONCE = 256
"""Between two words on the progress of cutting."""
QUESTIONS_AT_ONCE = 4096
FORMAT = 3
"""Part of every config hash. Raise it when cutting, embedding or writing gives another index for the same input."""


def config_hash(cutting: Passages, embedder: EmbedderSettings, settings: IndexSettings) -> str:
    """What decides an index besides its corpus, as a SHA-256. The batch size decides nothing."""
    parts = [cutting.model_dump(), embedder.model_dump(exclude={"batch_size"}), settings.model_dump()]
    return files.digest_json([FORMAT, *parts])


def is_current(folder: Path, corpus_digest: str, config: str) -> bool:
    """Whether the index in `folder` is whole and made from just this."""
    try:
        manifest, place = store.read_manifest(folder)
        store.check_sizes(manifest, place)
    except UserError:
        return False
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
    named: bool = False,
    commit: str = "",
) -> Index:
    """Build the index of `corpus` in `folder` and put it in use; the one there stays in use until then.

    `embeddings` is the folder of the vector cache, `config` the `config_hash` to remember, `named` whether a
    person named this corpus, which is then not replaced unasked, `commit` the checkout's, for the manifest.
    Raises UserError if another build of the same folder is running or the disk cannot be written.
    """
    say = report or (lambda step, done, total: None)
    with files.said(folder, "the index could not be written"):
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder):
            for stale in (*folder.glob(f"{files.ASIDE}*"), *folder.glob("new-*")):  # a killed build's; an older name
                if stale.is_dir():
                    shutil.rmtree(stale, ignore_errors=True)
                else:
                    stale.unlink(missing_ok=True)
            final = folder / f"gen-{secrets.token_hex(4)}"
            with files.folder(final, over=False) as place:
                manifest = _write(corpus, place, cutting, embedder, settings, config, embeddings, say, named, commit)
            store.publish(folder, final, manifest)
    return Index.open(folder)


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


def _write(
    corpus: Corpus,
    place: Path,
    cutting: Passages,
    embedder: EmbedderLike,
    settings: IndexSettings,
    config: str,
    embeddings: Path | None,
    say: Report,
    named: bool,
    commit: str,
) -> Manifest:
    pairs = corpus.pairs
    cuts = cut_all(pairs, embedder, cutting.max_tokens, say)
    everything = embedded_texts(pairs, cuts, embedder, cutting.max_tokens)
    ready = shipped.load(embedder.fingerprint)
    matrix = cache.encode(everything, embedder, embeddings, counted("embedding", len(set(everything)), say), ready)
    say("writing", 0, 1)
    vectors.write(vectors.make(matrix[: len(pairs)], settings.hnsw_above), place / store.QUESTION_VECTORS)
    vectors.write(vectors.make(matrix[len(pairs) :], settings.hnsw_above), place / store.PASSAGE_VECTORS)
    Lexical.build([lexical_text(pairs[one.pair], one) for one in cuts]).save(place / store.LEXICAL)
    store.write_tables(place, pairs, cuts)
    Vocabulary.of(pairs).save(place / store.VOCABULARY)
    contents = {
        str(file.relative_to(place)): {"size": file.stat().st_size, "sha256": files.digest_file(file)}
        for file in sorted(place.rglob("*"))
        if file.is_file()
    }
    say("writing", 1, 1)
    return Manifest(
        schema=store.SCHEMA,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        corpus_name=corpus.name,
        corpus_digest=corpus.digest,
        config_hash=config,
        embedder=embedder.fingerprint,
        precision=embedder.precision,
        dimensions=embedder.dimensions,
        pairs=len(pairs),
        passages=len(cuts),
        demonstration=sum(pair.demonstration for pair in pairs),
        versions={name: version(name) for name in LIBRARIES},
        commit=commit,
        files=contents,
        sources=[asdict(one) for one in corpus.parts],
        spec=list(corpus.spec),
        named=named,
    )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system frees when a build is killed."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another build is running there; wait for it") from None
        yield
