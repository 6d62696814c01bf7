"""Fine-tune the generator: `python -m finetune train`, or one step of it.

python -m finetune split | data | train | sweep | export | push   --help
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import run

if TYPE_CHECKING:
    from configs.recipes import Recipe
    from configs.schema import Profile


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m finetune", description="Fine-tune the generator with LoRA.")
    steps = result.add_subparsers(dest="step", required=True, metavar="STEP")
    one = _step(steps, "split", "split the corpus by topic into train, validation and test")
    one.add_argument("--by", choices=("topic", "row"), default="topic", help="row: as published figures do; it leaks")
    one = _step(steps, "data", "make the training examples", recipe=True)
    one.add_argument("--csv", type=Path, metavar="FOLDER", help="also write them there as CSV")
    one = _step(steps, "train", "train an adapter; goes on where a killed run stopped", recipe=True)
    one.add_argument("--name", help="of the run and its adapter (default: the profile's name, which the chat takes)")
    return result


def _step(steps: Any, name: str, text: str, recipe: bool = False) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = steps.add_parser(name, help=text, description=text)
    one.add_argument(
        "--corpus", action="append", metavar="SOURCE", help="instead of MedQuAD, as in python -m index; repeatable"
    )
    one.add_argument("--seed", type=int, default=0, help="of the splits (default: 0)")
    if recipe:
        one.add_argument("--recipe", default="grounded", help="a shipped recipe or a .toml file (default: grounded)")
        one.add_argument(
            "--recipe-set",
            dest="recipe_overrides",
            metavar="SECTION.KEY=VALUE",
            action="append",
            default=[],
            help="override one field of the recipe; may be repeated",
        )
        one.add_argument("--by", choices=("topic", "row"), default="topic", help="which splits (default: topic)")
    entry.add_arguments(one)
    return one


def main() -> int:
    """Run one step."""
    args = parser().parse_args()
    return {"split": _split, "data": _data, "train": _train}[args.step](args)


def _split(args: argparse.Namespace) -> int:
    from finetune import corpus as steps
    from finetune.splits import leaks

    profile = entry.load_for(args)
    work = steps.Work(entry.data_folder())
    corpus = steps.read(_spec(args), profile)
    splits, folder = steps.split(corpus, work, args.by, args.seed)
    counts = splits.counts()
    print(f"{folder}: hash {splits.hash[:16]}, {len(set(splits.topic_of.values())):,} topics")
    print(", ".join(f"{name} {counts.get(name, 0):,}" for name in ("train", "validation", "test", "left out")))
    shared = leaks(corpus.pairs, splits)
    print(
        f"of the test pairs {shared['topic']:.1%} have their topic in train, "
        f"{shared['question']:.1%} their very question"
    )
    return 0


def _data(args: argparse.Namespace) -> int:
    _, _, _, examples, _, report = _prepared(args)
    for name, part in report.items():
        print(name)
        for line in _lines(part):
            print(f"  {line}")
    if args.csv:
        args.csv.mkdir(parents=True, exist_ok=True)
        for name, rows in examples.items():
            columns = [column for column in rows.column_names if column.endswith("_ids")]
            rows.remove_columns(columns).to_csv(str(args.csv / f"{name}.csv"), index=False)
    return 0


def _train(args: argparse.Namespace) -> int:
    from finetune.corpus import Work
    from finetune.train import train

    profile, recipe, template, examples, provenance, report = _prepared(args)
    work = Work(entry.data_folder())
    name = args.name or profile.name
    out = work.adapters / name
    manifest = train(
        profile,
        recipe,
        examples,
        template,
        work.runs / f"{name}-{provenance['examples'][:8]}",
        out,
        work.models,
        provenance | {"report": report},
    )
    if manifest:
        found = manifest["trained"]["validation"]
        print(f"{out}: validation loss {found['loss']:.4f}, perplexity {found['perplexity']:.2f}")
    return 0


def _prepared(args: argparse.Namespace) -> tuple[Profile, Recipe, Any, Any, dict[str, Any], dict[str, Any]]:
    """Profile, recipe, chat template, examples, where they come from, and the report on them."""
    from configs.recipes import load_recipe
    from finetune import corpus as steps
    from finetune.formats import FORMATS
    from index.progress import shown
    from rag.generators.loading import tokenizer_of
    from rag.generators.template import Template

    profile = entry.load_for(args)
    recipe = load_recipe(args.recipe, args.recipe_overrides)
    work = steps.Work(entry.data_folder())
    spec = _spec(args)
    corpus = steps.read(spec, profile)
    splits, folder = steps.split(corpus, work, args.by, args.seed)
    print(f"splits {folder.name} ({splits.hash[:12]}), recipe {recipe.name}", file=sys.stderr, flush=True)
    template = Template(
        tokenizer_of(profile.generator, work.models), profile.generator.model, FORMATS[recipe.data.format]
    )
    with shown() as say:
        examples, report, place = steps.examples(profile, recipe, corpus, splits, template, work, say)
    provenance = {
        "corpus_name": corpus.name,
        "corpus": corpus.digest,
        "splits": splits.hash,
        "split_by": splits.by,
        "examples": steps.examples_hash(profile, recipe, splits),
        "commit": entry.commit(),
    }
    print(f"examples: {place}", file=sys.stderr, flush=True)
    return profile, recipe, template, examples, provenance, report


def _spec(args: argparse.Namespace) -> list[str]:
    from index.sources import default_corpus

    if args.corpus:
        return list(args.corpus)
    medquad = os.environ.get("MEDQUAD")
    return default_corpus(Path(medquad) if medquad else None, entry.data_folder() / "corpora", _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _lines(part: dict[str, dict[str, int]]) -> list[str]:
    from collections import Counter

    from finetune.data import Report

    return Report(**{name: Counter(values) for name, values in part.items()}).lines()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    run(main)
