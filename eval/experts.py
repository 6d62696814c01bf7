"""What is quoted, against experts' summaries of the same answers: `medcite eval experts --data FOLDER [--json FILE]`.

MEDIQA-2021: 50 questions of consumers, the 2 to 9 answers that were found for each, and an extractive and an
abstractive summary of them by medical experts. The answers are cut as the index cuts them and handed to the functions
that quote; all are taken to be on the question, so what is measured is the choice of sentences, not retrieval. What is
fitted on these questions (`eval/calibration/digest.py`) is cross-validated by question. `--generator` has the profile's
generator write, too, over the sentences that it would be shown of them. 95% intervals by question.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs import entry
from configs.files import said, write_json
from eval.calibration.digest import beside, cross_validate, excerpt, orders
from eval.datasets.experts import Expert, as_hit, as_sources, leads, read
from eval.metrics.bootstrap import ClusterBootstrap
from eval.metrics.text import BertScore, plain, rouge
from index.embedder import EmbedderLike
from rag.answer import Source
from rag.attribution.details import NAMES, detailed
from rag.attribution.digest import Digest, candidates
from rag.attribution.selection import MAX_WORDS, pick, scored
from rag.retrieval.reading import Line, Piece

if TYPE_CHECKING:
    from configs.schema import Profile
    from rag.generators.base import Generator

SHORT = "default form, cross-validated"
LONG = "long form, cross-validated"
CUT = f"long form's order, {MAX_WORDS} words, cross-validated"
WRITTEN = "written by the generator"
FIRST_THREE = "first three sentences of each answer"
MEASURES = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True, slots=True)
class Short:
    """A question's answers as the default form reads them, and what it quotes of them."""

    sources: list[Source]
    pieces: list[Piece]
    lines: list[Line]
    core: list[Line]
    chosen: list[Line]


def short(experts: Sequence[Expert], embedder: EmbedderLike, max_tokens: int) -> list[Short]:
    """The default form of each question, its details by an order that did not see the question."""
    read = [as_sources(one, embedder, max_tokens) for one in experts]
    lines = [scored([one.question], pieces, embedder.encode) for one, (_, pieces) in zip(experts, read, strict=True)]
    found = [beside(its, pieces) for its, (_, pieces) in zip(lines, read, strict=True)]
    return [
        Short(sources, pieces, its, core := pick(its), detailed(its, pieces, core, order=order))
        for (sources, pieces), its, order in zip(read, lines, orders(experts, found, NAMES), strict=True)
    ]


def quoted(experts: Sequence[Expert], embedder: EmbedderLike, max_tokens: int) -> dict[str, list[str]]:
    """What each system quotes for each question, by the system's name."""
    model = Digest.load()
    texts = [" ".join(line.text for line in one.chosen) for one in short(experts, embedder, max_tokens)]
    found = []
    for one in experts:
        _, pieces = as_sources(one, embedder, max_tokens)
        found.append(candidates([one.question], pieces, embedder.encode, model.kinds))
    unseen = cross_validate(experts, found)
    models = list(zip(found, unseen.orders, unseen.per_root, strict=True))
    return {
        SHORT: texts,
        LONG: [excerpt(*one) for one in models],
        CUT: [excerpt(*one, max_words=MAX_WORDS) for one in models],
        FIRST_THREE: [leads(one.answers, 3) for one in experts],
        "first five sentences of each answer": [leads(one.answers, 5) for one in experts],
        "first eight sentences of each answer": [leads(one.answers, 8) for one in experts],
        "first answer": [one.answers[0] for one in experts],
        "all answers": [" ".join(one.answers) for one in experts],
    }


def written(experts: Sequence[Expert], embedder: EmbedderLike, profile: Profile, generator: Generator) -> list[str]:
    """What the generator writes for each question, as the chat shows it; empty where sources would be quoted."""
    from rag import prompt
    from rag.attribution.draft import unlooped
    from rag.checked import checked
    from rag.sources import Evidence

    found = []
    for one, its in zip(experts, short(experts, embedder, profile.passages.max_tokens), strict=True):
        sources = its.sources
        hits = [as_hit(source, at) for at, source in enumerate(sources)]
        read = Evidence(hits, its.pieces, its.lines, its.core, its.chosen)
        shown = read.shown()
        room = profile.prompt.model_copy(update={"sources": len(shown)})
        built = prompt.build(one.question, shown, generator.count_tokens, room)
        draft = "".join(str(chunk.content) for chunk in generator.stream(built.messages))
        order = [hit.row for hit in built.sources]
        order += [row for row in range(len(sources)) if row not in order]
        numbered = [sources[row].model_copy(update={"n": n}) for n, row in enumerate(order, 1)]
        sentences = checked(unlooped(draft), numbered, read, profile.answering, one.question)
        found.append(" ".join(sentence.text for sentence in sentences))
    return found


def figures(
    experts: Sequence[Expert], texts: dict[str, list[str]], bert: BertScore | None = None
) -> dict[str, dict[str, Any]]:
    """By system: the mean words, and every measure to both summaries with its interval; and what the long form's
    ROUGE-2 is more than that of the first three sentences, paired by question."""
    bootstrap = ClusterBootstrap(range(len(experts)))
    wanted = {
        "extractive": [one.extractive for one in experts],
        "abstractive": [one.abstractive for one in experts],
    }
    every: dict[str, dict[str, Any]] = {}
    second: dict[str, list[float]] = {}
    for name, own in texts.items():
        row: dict[str, Any] = {"words": round(float(np.mean([len(plain(text).split()) for text in own])), 1)}
        for summary, references in wanted.items():
            scores = rouge(own, references)
            row[summary] = {measure: bootstrap.mean(scores[measure]).as_dict() for measure in MEASURES}
            if bert:
                row[summary]["bertscore"] = bootstrap.mean(bert.f1(own, references)).as_dict()
            if summary == "extractive":
                second[name] = scores["rouge2"]
        every[name] = row
    for name in texts:
        if name not in (LONG, SHORT):
            difference = bootstrap.difference(second[LONG], second[name])
            every[name]["long form's ROUGE-2 less this"] = difference.as_difference()
    return every


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="MEDIQA-2021's folder")
    parser.add_argument("--bertscore", action="store_true", help="BERTScore by the profile's encoder too")
    parser.add_argument("--generator", action="store_true", help="what the profile's generator writes, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write figures and what was quoted there")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Quote, measure, print, and write where asked."""
    from index.embedder import embedder_of

    profile = entry.load_for(args, adapter=args.generator)
    experts = read(args.data)
    embedder = embedder_of(profile.embedder)
    texts = quoted(experts, embedder, profile.passages.max_tokens)
    if args.generator:
        from rag.generators.base import create

        generator = create(profile.generator, entry.data_folder() / "models")
        texts[WRITTEN] = written(experts, embedder, profile, generator)
    found = figures(experts, texts, BertScore(profile.bertscore_encoder) if args.bertscore else None)
    print(f"{len(experts)} questions; ROUGE F-measures, 95% intervals by question\n")
    print(f"{'':52} {'words':>6} {'to':>12}" + "".join(f"{name:>22}" for name in found[SHORT]["extractive"]))
    for name, row in found.items():
        for summary in ("extractive", "abstractive"):
            head = f"{name:52} {row['words']:6.0f}" if summary == "extractive" else " " * 59
            shown = "".join(f"  {m['value']:.3f} [{m['low']:.3f}, {m['high']:.3f}]" for m in row[summary].values())
            print(f"{head} {summary:>12}{shown}")
    difference = found[FIRST_THREE]["long form's ROUGE-2 less this"]
    print(
        f"\nlong form less first three sentences, ROUGE-2 to the extractive summary, paired by question: "
        f"{difference['value']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"
    )
    if args.json:
        with said(args.json):
            write_json(args.json, {"n": len(experts), "figures": found, "texts": texts})
    return 0
