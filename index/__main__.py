"""Corpora to an index on disk: `python -m index build | stats | verify | info | vectors`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from configs import entry
from configs.errors import UserError, run

if TYPE_CHECKING:
    from configs.schema import Profile
    from index.choice import Choice
    from index.embedder import EmbedderLike


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog=entry.prog("index"), description="Build and check the index.")
    commands = result.add_subparsers(dest="command", required=True)

    build = commands.add_parser("build", help="build the index; does nothing where it is up to date")
    stats = commands.add_parser("stats", help="counts and lengths of a corpus: tables, JSON, CSV and plots")
    made = commands.add_parser("vectors", help="write a corpus's vectors as they come with medcite, embedding the rest")
    for command in (build, stats, made):
        command.add_argument(
            "--corpus",
            action="append",
            default=[],
            metavar="PATH[::MAP]",
            help="a MedQuAD zip or folder, a CSV, JSON, JSONL or Parquet file (with a column map), medquad or starter; "
            "may be repeated (default: the variable CORPUS; else the corpus that was named when the index was built; "
            "else MedQuAD at the variable MEDQUAD, else downloaded, else starter)",
        )
    build.add_argument("--force", action="store_true", help="build even where nothing changed")
    build.add_argument("--first", action="store_true", help="end as soon as questions can be answered; goes on later")
    build.add_argument(
        "--beside",
        action="store_true",
        help="only go on with an index that is not whole, at a low priority and until standard input ends: what the "
        "chat runs",
    )
    stats.add_argument("--out", type=Path, metavar="FOLDER", help="where files are written (default: data/stats)")
    stats.add_argument("--tokens", action="store_true", help="lengths in the embedder's tokens too")

    made.add_argument("--out", type=Path, metavar="FOLDER", help="where the two files go (default: the package's)")

    verify = commands.add_parser("verify", help="check every file of the index against its hash")
    info = commands.add_parser("info", help="what the index was made from")
    for command in (build, verify, info):
        entry.add_index(command)
    for command in (build, stats, made):
        entry.add_arguments(command)
    return result


def main() -> int:
    """Run one command."""
    words = sys.argv[1:]
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["build", *words]
    args = parser().parse_args(words)
    commands = {"build": _build, "stats": _stats, "verify": _verify, "info": _info, "vectors": _vectors}
    commands[args.command](args)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _build(args: argparse.Namespace) -> None:
    from index import build, choice, growing, sources, store

    profile = entry.load_for(args)
    folder: Path = args.index
    config = build.config_hash(profile.passages, profile.embedder, profile.index)
    manifest = choice.manifest_of(folder)
    if args.beside:
        _while_attended()
        manifest = store.read_manifest(folder)[0]
        if manifest.growing and manifest.config_hash != config:
            raise UserError(f"{folder}: begun with other settings; build it again: make index")
        if manifest.growing:
            _go_on(profile, folder)
        return
    data = entry.data_folder()
    chosen = choice.of_command(args.corpus, os.environ, manifest, data, profile.cleaning, _say, args.force)
    if chosen.gone and manifest:
        if args.force:
            chosen.readable()
        if manifest.growing and manifest.config_hash == config and not (args.first or args.force):
            _go_on(profile, folder)
            return
        other = "" if manifest.config_hash == config else " (it was built with other settings)"
        _say(f"{folder}: kept as it is{other}: {chosen.gone} ({choice.REPLACE})")
        return
    digest = sources.digest(chosen.spec, profile.cleaning)
    if not args.force and build.is_current(folder, digest, config):
        store.remember(folder, sources.absolute(chosen.spec), chosen.named, choice.known(chosen, manifest))
        manifest, _ = store.read_manifest(folder)
        words = choice.kept(manifest, os.environ.get("MEDQUAD")) if manifest.named else ""
        _say(f"{folder}: up to date" + (f" with {words}" if words else ""))
        return
    if not args.force and build.unfinished(folder, digest, config):
        if not growing.building(folder):
            store.remember(folder, sources.absolute(chosen.spec), chosen.named)
        if args.first:
            _say(f"{folder}: {growing.line(store.read_manifest(folder)[0], growing.building(folder))}")
        else:
            _go_on(profile, folder)
        return
    if manifest is not None:
        _say(f"{folder}: {choice.change(manifest, chosen, digest)}")
    _read_and_build(args, profile, folder, chosen, config)


def _go_on(profile: Profile, folder: Path) -> None:
    from index import build, growing, store
    from index.progress import shown

    _say(f"{folder}: going on; {growing.progress(store.read_manifest(folder)[0])}")
    with shown() as report:
        cache = entry.data_folder() / "cache" / "embeddings"
        work = build.Work(_embedder(profile), profile.index, cache, report, _say)
        index = build.go_on(folder, work, entry.commit())
    _say(f"{folder}: {index.manifest.pairs:,} pairs in {index.manifest.passages:,} passages")


def _while_attended() -> None:
    """Give way to other programs, and stop when standard input ends: whoever started this holds it open."""
    import signal
    import threading

    def wait() -> None:
        while os.read(0, 4096):  # not `sys.stdin`, which a program cannot end under
            pass
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the chat was started in the background
    os.nice(10)
    threading.Thread(target=wait, daemon=True).start()


def _read_and_build(args: argparse.Namespace, profile: Profile, folder: Path, chosen: Choice, config: str) -> None:
    import gc

    from index import build, identity, sources
    from index.progress import shown

    # What is read stays: looking through it for garbage, again and again, takes a tenth of the time until the end.
    gc.disable()
    corpus = sources.load_corpus(chosen.spec, profile.cleaning)
    gc.freeze()
    gc.enable()
    for line in corpus.report.lines():
        _say(line)
    with shown() as report:
        index = build.build(
            corpus,
            folder,
            profile.passages,
            _embedder(profile),
            profile.index,
            commit=entry.commit(),
            config=config,
            embeddings=entry.data_folder() / "cache" / "embeddings",
            report=report,
            notify=_say,
            named=chosen.named,
            first=args.first,
        )
    _say(f"{folder}: {index.manifest.pairs:,} pairs in {index.manifest.passages:,} passages")
    if chosen.named:
        _say(f"Commands that name no corpus take {identity.named(index.manifest.parts)} from now on.")
    if corpus.demonstration:
        _say(
            "Part of this index is demonstration text, not from NIH."
            if index.manifest.demonstration < len(corpus.pairs)
            else "This index is demonstration text, not from NIH: set MEDQUAD to MedQuAD's zip for the real corpus."
        )


def _stats(args: argparse.Namespace) -> None:
    from index import choice, identity, sources, stats

    profile = entry.load_for(args)
    manifest = choice.manifest_of(entry.index_folder())
    data = entry.data_folder()
    chosen = choice.of_command(args.corpus, os.environ, manifest, data, profile.cleaning, _say).readable()
    corpus = sources.load_corpus(chosen.spec, profile.cleaning)
    _say(f"corpus: {identity.counted(corpus.parts)}")
    out = args.out or data / "stats"
    found = stats.run(corpus, out, _embedder(profile).count_tokens if args.tokens else None)
    stats.print_tables(found)
    _say(f"tables and plots are in {out}")


def _vectors(args: argparse.Namespace) -> None:
    """Embed what the cache lacks; a vector that came with medcite is not taken, for it is rounded."""
    from index import build, cache, choice, identity, shipped, sources
    from index.progress import shown

    profile = entry.load_for(args)
    data = entry.data_folder()
    manifest = choice.manifest_of(entry.index_folder())
    chosen = choice.of_command(args.corpus, os.environ, manifest, data, profile.cleaning, _say).readable()
    corpus = sources.load_corpus(chosen.spec, profile.cleaning)
    embedder = _embedder(profile)
    with shown() as report:
        cuts = build.cut_all(corpus.pairs, embedder, profile.passages.max_tokens, report)
        texts = build.embedded_texts(corpus.pairs, cuts, embedder, profile.passages.max_tokens)
        progress = build.counted("embedding", len(set(texts)), report)
        matrix = cache.encode(texts, embedder, data / "cache" / "embeddings", progress)
    made = shipped.write(
        dict(zip(texts, matrix, strict=True)),
        embedder.fingerprint,
        identity.counted(corpus.parts),
        corpus.digest,
        "medcite index vectors",
        args.out or shipped.FOLDER,
    )
    size = ((args.out or shipped.FOLDER) / shipped.VECTORS).stat().st_size
    print(f"{made.texts:,} vectors in {size:,} bytes")


def _verify(args: argparse.Namespace) -> None:
    from index import growing, store

    manifest = store.verify(args.index)
    print(f"{args.index}: whole; {manifest.pairs:,} pairs, {manifest.passages:,} passages, {len(manifest.files)} files")
    if manifest.growing:
        print(growing.line(manifest, growing.building(args.index)))


def _info(args: argparse.Namespace) -> None:
    import json
    from dataclasses import asdict

    from index import store

    manifest, _ = store.read_manifest(args.index)
    print(json.dumps(asdict(manifest), indent=2))


def _embedder(profile: Profile) -> EmbedderLike:
    from index.embedder import embedder_of

    return embedder_of(profile.embedder)


if __name__ == "__main__":
    run(main)
