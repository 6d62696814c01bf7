"""Base, fine-tuned and fine-tuned + retrieval on held-out questions: `python -m eval [run] [-n 400]`.

It resumes an interrupted run, and generates nothing twice.
"""

from __future__ import annotations

import argparse
import errno
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from configs import entry
from configs.errors import UserError
from configs.extras import need
from configs.modes import MODES
from eval.generation import REGIMES

if TYPE_CHECKING:
    from configs.schema import Profile

Name = TypeVar("Name", bound=str)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("-n", type=int, default=400, help="questions (default: 400)")
    parser.add_argument("--modes", default="", help=f"of {','.join(MODES)} (default: all that there are)")
    parser.add_argument("--regimes", default=",".join(REGIMES), help=f"of {','.join(REGIMES)} (default: both)")
    parser.add_argument("--split", choices=("topic", "row"), default="topic", help="row: as published; topics leak")
    parser.add_argument("--seed", type=int, default=0, help="of the questions drawn (default: 0)")
    parser.add_argument(
        "--max-new-tokens", "--tokens", type=int, default=320, help="most a generated answer may have (default: 320)"
    )
    parser.add_argument("--adapter", type=Path, metavar="FOLDER", help="which (default: the one the chat takes)")
    parser.add_argument("--nli", type=Path, metavar="FOLDER", help="check citations by this NLI model, not by words")
    parser.add_argument("--no-bertscore", action="store_true", help="leave BERTScore out")
    parser.add_argument("--judged", type=Path, metavar="FOLDER", help="with mediqa2019/ and liveqa-med/ (default: "
                        "where the variable MEDQUAD's file is, if they are there)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="of the report (default: data/eval/latest)")
    parser.add_argument("--into-card", action="store_true", help="put the table into the adapter's model card too")
    parser.add_argument("--medquad", type=Path, help="MedQuAD's archive, for its judgements (default: MEDQUAD)")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Evaluate; a full disk is one line."""
    if args.n < 1:
        raise UserError(f"-n {args.n}: at least one question is needed")
    if args.max_new_tokens < 1:
        raise UserError(f"--max-new-tokens {args.max_new_tokens}: an answer needs at least one")
    need("evaluate", "the evaluation")  # said before hours of generation, not after
    with full_disk_said():
        return _evaluate(args)


@contextmanager
def full_disk_said() -> Iterator[None]:
    """A full disk is one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError("the disk is full; free some space and run the same command again to go on") from None
        raise


def _evaluate(args: argparse.Namespace) -> int:
    """Generate what is not there, score it, and write the report."""
    need("rouge_score", "the evaluation")  # said before hours of generation, not after
    from eval import report
    from eval.asked import asked
    from eval.checker import checker
    from eval.generation.predict import Run, Setup
    from eval.report.render import main_table, summary
    from eval.score import score
    from index.identity import counted
    from index.progress import shown

    profile = entry.load_for(args, adapter=True)
    if args.adapter:
        generator = profile.generator.model_copy(update={"adapter": str(args.adapter)})
        profile = profile.model_copy(update={"generator": generator})
    card = _card(profile) if args.into_card else None
    if args.judged and not args.judged.is_dir():
        raise UserError(f"--judged {args.judged}: no such folder; it should hold mediqa2019/ and liveqa-med/")
    data = entry.data_folder()
    regimes = _named(args.regimes, REGIMES, "--regimes")
    modes = _named(args.modes, MODES, "--modes") if args.modes else []
    judge = checker.NliChecker(args.nli) if args.nli else checker.SupportChecker.load()
    with shown() as say:
        run = Run(profile, Setup(n=args.n, by=args.split, seed=args.seed, tokens=args.max_new_tokens), data, say)
        modes = modes or [mode for mode in MODES if mode in run.pipeline.modes]
        run.available(modes)
        if not args.modes and len(modes) < len(MODES):
            print("no adapter: only base, base+rag and extractive are compared (make finetune)", file=sys.stderr)
        print(f"corpus {counted(run.pipeline.index.manifest.parts)}, as indexed", file=sys.stderr)
        print(f"{len(run.pairs)} test questions of {len(set(run.topics))} topics, run {run.hash[:12]}", file=sys.stderr)
        if run.splits.caveat:
            print(run.splits.caveat, file=sys.stderr)
        encoder = None if args.no_bertscore else profile.bertscore_encoder
        retrieval = _retrieval(profile, args.judged, args.medquad, data)
        results = score(
            run, modes, regimes, judge, _calibration(judge, run), encoder, retrieval, _command(), entry.commit()
        ) | asked(run, modes, args.judged)
    out = args.out or data / "eval" / "latest"
    report.write(results, out)
    if card:
        from finetune.store import add_results

        add_results(card, summary(results).splitlines())
    print(main_table(results))
    print(f"{out / 'report.html'}", file=sys.stderr)
    return 0


def _card(profile: Any) -> Path:
    """The folder of the adapter whose card takes the table. Raises UserError, before any work, where it cannot."""
    from finetune.store import read_manifest
    from rag.generators.loading import adapter_folder

    if not profile.generator.adapter:
        raise UserError("--into-card: there is no adapter whose card could take it (--adapter FOLDER)")
    folder = adapter_folder(profile.generator.adapter)
    read_manifest(folder)
    return folder


def _named(given: str, known: tuple[Name, ...], option: str) -> list[Name]:
    names = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise UserError(f"{option}: unknown {name!r}; there are: {', '.join(known)}")
    if not names:
        raise UserError(f"{option}: name at least one of {', '.join(known)}")
    return [one for name in names for one in known if one == name]


def _calibration(judge: Any, run: Any) -> dict[str, Any]:
    """How far the checker of citations can itself be trusted, on sentences of the test topics whose label is known."""
    from eval.checker import checker, trust
    from eval.checker.altered import labeled

    pairs = run.pipeline.index.pairs
    unseen = labeled(pairs, run.splits.rows(pairs, "test"), trust.SENTENCES)
    found = {"split": "test", "n": len(unseen), **trust.report(judge, unseen)}
    if isinstance(judge, checker.SupportChecker):
        found["threshold"] = judge.model.threshold
    return found


def _retrieval(profile: Profile, folder: Path | None, medquad: Path | None, data: Path) -> dict[str, Any]:
    """The retrieval tables: the index's own questions always, the judged sets where they are.

    A set that is not there is no mistake: a line says so.
    """
    from eval.retrieval import judged_sets

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    if folder is None:
        say("judged questions are not there (--judged FOLDER); retrieval is measured on the index's own questions")
    sets = judged_sets.SETS if folder else ("medquad",)
    cache = data / "cache" / "embeddings"
    return judged_sets.tables(
        profile, data / "index", folder or Path(), sets=sets, medquad=medquad, cache=cache, absent=say
    )


def _command() -> str:
    """What was typed, without this machine's folders."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", "-m", "eval", *words])
