"""Fine-tune the generator: `python -m finetune train`, or one step of it.

python -m finetune split | data | estimate | train | sweep | export | push   --help
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry, files
from configs.errors import UserError, run
from configs.extras import need

if TYPE_CHECKING:
    from configs.recipes import Recipe
    from configs.schema import Profile
    from index.sources import Corpus

NEEDS = {"data": "datasets", "estimate": "peft", "train": "trl", "sweep": "trl", "export": "peft"}
"""What a step imports last of what the base install leaves out."""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog=entry.prog("finetune"), description="Fine-tune the generator with LoRA.")
    steps = result.add_subparsers(dest="step", required=True, metavar="STEP")
    one = _step(steps, "split", "split the corpus by topic into train, validation and test")
    one.add_argument("--by", choices=("topic", "row"), default="topic", help="row: as published figures do; it leaks")
    one = _step(steps, "data", "make the training examples", recipe=True)
    one.add_argument("--csv", type=Path, metavar="FOLDER", help="also write them there as CSV")
    _step(steps, "estimate", "how long a recipe will train on this machine, and in how much memory", recipe=True)
    one = _step(steps, "train", "train an adapter; resumes an interrupted run", recipe=True)
    one.add_argument("--name", help="of the run and its adapter (default: the profile's name, which the chat takes)")
    one.add_argument("--from", dest="start", type=Path, metavar="ADAPTER", help="begin with this adapter's weights")
    one = _step(steps, "sweep", "train the runs of a sweep and compare them; resumes an interrupted one")
    one.add_argument("sweep", metavar="SWEEP", help="a shipped sweep or a .toml file")
    one.add_argument("--by", choices=("topic", "row"), default="topic", help="which splits (default: topic)")
    one.add_argument(
        "--recipe-set", dest="recipe_overrides", metavar="SECTION.KEY=VALUE", action="append", default=[],
        help="override one field of every run's recipe; may be repeated",
    )  # fmt: skip
    one = steps.add_parser("export", help=(text := "merge an adapter into its base model, for other programs"))
    one.description = text
    one.add_argument("--to", choices=("merged", "gguf", "ollama"), required=True, help="safetensors, GGUF, or Ollama")
    one.add_argument("--quant", default=None, help="f16, q8_0 or q4_1 (default: f16; for Ollama q8_0)")
    one.add_argument("--adapter", type=Path, metavar="FOLDER", help="which (default: the one the chat takes)")
    one.add_argument("--out", type=Path, metavar="PATH", help="where to (default: data/exports/)")
    entry.add_arguments(one)
    one = steps.add_parser("push", help=(text := "upload an adapter or an export to a hub repository, after asking"))
    one.description = text
    one.add_argument("repository", metavar="OWNER/NAME")
    one.add_argument("--folder", type=Path, help="what (default: the adapter the chat takes)")
    one.add_argument("--public", action="store_true", help="make a new repository public (default: private)")
    one.add_argument("--yes", action="store_true", help="upload without asking")
    entry.add_arguments(one)
    return result


def _step(steps: Any, name: str, text: str, recipe: bool = False) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = steps.add_parser(name, help=text, description=text)
    one.add_argument(
        "--corpus",
        action="append",
        metavar="SOURCE",
        help="as in python -m index; repeatable (default: "
        "the variable CORPUS; else the corpus that was named when the index was built; else MedQuAD)",
    )
    one.add_argument("--seed", type=int, default=0, help="of the splits (default: 0)")
    if recipe:
        one.add_argument("--recipe", help="a shipped recipe or a .toml file (default: the profile's)")
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
    steps = {
        "split": _split,
        "data": _data,
        "estimate": _estimate,
        "train": _train,
        "sweep": _sweep,
        "export": _export,
        "push": _push,
    }
    if module := NEEDS.get(args.step):
        need(module, f"medcite finetune {args.step}")  # said before anything is downloaded
    return steps[args.step](args)


def _split(args: argparse.Namespace) -> int:
    from finetune import corpus as steps
    from index.splits import leaks

    profile = entry.load_for(args)
    work = steps.Work(entry.data_folder())
    corpus = _corpus(args, profile)
    splits, folder = steps.split(corpus, work, args.by, args.seed)
    counts = splits.counts()
    print(f"{folder}: hash {splits.hash[:16]}, {len(set(splits.topic_of.values())):,} topics")
    print(", ".join(f"{name} {counts.get(name, 0):,}" for name in ("train", "validation", "test", "left out")))
    shared = leaks(corpus.pairs, splits)
    least = "at least " if splits.caveat else ""
    print(
        f"of the test pairs {least}{shared['topic']:.1%} have their topic in train, "
        f"{shared['question']:.1%} their very question"
    )
    if splits.caveat:
        print(splits.caveat)
    return 0


def _data(args: argparse.Namespace) -> int:
    start = _Start(args)
    _, examples, report, _ = start.examples(start.recipe)
    for name, part in report.items():
        print(name)
        for line in _lines(part):
            print(f"  {line}")
    if args.csv:
        for name, rows in examples.items():
            columns = [column for column in rows.column_names if column.endswith("_ids")]
            with files.said(args.csv), files.aside(args.csv / f"{name}.csv") as new:
                rows.remove_columns(columns).to_csv(str(new), index=False)
    return 0


def _estimate(args: argparse.Namespace) -> int:
    from finetune.estimate import lines

    start = _Start(args)
    recipe = start.recipe
    print(f"recipe {recipe.name} on {start.profile.generator.model}, {start.corpus.name}")
    for line in lines(start.profile, recipe, len(start.splits.rows(start.corpus.pairs, "train")), start.work.models):
        print(line)
    return 0


def _train(args: argparse.Namespace) -> int:
    start = _Start(args)
    recipe = start.recipe
    name = args.name or start.profile.name
    out = start.work.adapters / name
    manifest = start.train(recipe, lambda run: start.work.runs / f"{name}-{run[:12]}", out, args.start)
    if manifest:
        found = manifest["trained"]["validation"]
        print(f"{out}: validation loss {found['loss']:.4f}, perplexity {found['perplexity']:.2f}")
    return 0


def _sweep(args: argparse.Namespace) -> int:
    from finetune.sweep import load_sweep, runs, sweep_all

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("a sweep runs in one process; start it without accelerate launch")
    sweep = load_sweep(args.sweep)
    chosen = runs(sweep, args.recipe_overrides)
    start = _Start(args)
    folder = start.work.data / "sweeps" / f"{sweep.name}-{start.identity[:12]}"
    sweep_all(sweep, chosen, folder, lambda recipe, work, out: start.train(recipe, lambda _: work, out))
    print((folder / "table.md").read_text("utf-8"), end="")
    print(f"{folder}: table.csv, table.md, plot.png", file=sys.stderr)
    return 0


def _export(args: argparse.Namespace) -> int:
    from finetune import export
    from finetune.corpus import Work

    profile = entry.load_for(args, adapter=True)
    section = profile.generator
    if args.adapter:
        section = section.model_copy(update={"adapter": str(args.adapter)})
    work = Work(entry.data_folder())
    name = Path(section.adapter or "adapter").name
    exports = work.data / "exports"
    if args.to == "merged":
        if args.quant:
            raise UserError("--quant is for gguf and ollama; merged weights are not quantized")
        out = export.merged(section, work.models, args.out or exports / f"{name}-merged")
    elif args.to == "gguf":
        quant = args.quant or "f16"
        out = export.gguf(section, work.models, args.out or exports / f"{name}-{quant}.gguf", quant)
    else:
        quant = args.quant or "q8_0"
        out = export.ollama(section, work.models, args.out or exports / f"{name}-ollama-{quant}", quant)
        print(f"now: ollama create {name} -f {out / 'Modelfile'}", file=sys.stderr)
    print(out)
    return 0


def _push(args: argparse.Namespace) -> int:
    from finetune.push import push
    from rag.generators.loading import adapter_folder

    folder = args.folder
    if folder is None:
        section = entry.load_for(args, adapter=True).generator
        if not section.adapter:
            raise UserError("no adapter to push; train one (make finetune) or name a folder: --folder FOLDER")
        folder = adapter_folder(section.adapter)
    print(push(folder, args.repository, private=not args.public, yes=args.yes))
    return 0


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Where several processes train (`accelerate launch`), a node's first makes what the others then read."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    from accelerate import PartialState

    with PartialState().local_main_process_first():
        yield


class _Start:
    """What training starts from: profile, corpus, splits."""

    def __init__(self, args: argparse.Namespace) -> None:
        from finetune import corpus as steps
        from rag.generators.loading import tokenizer_of

        self.args = args
        self.profile = entry.load_for(args)
        self.work = steps.Work(entry.data_folder())
        with _one_at_a_time():
            self.corpus = _corpus(args, self.profile)
            self.splits, folder = steps.split(self.corpus, self.work, args.by, args.seed)
        _say(f"splits {folder.name} ({self.splits.hash[:12]})")
        if self.splits.caveat:
            _say(self.splits.caveat)
        self.tokenizer = tokenizer_of(self.profile.generator, self.work.models)

    @property
    def recipe(self) -> Recipe:
        """The recipe that the arguments name, or the profile's. Raises UserError for one that there is not."""
        from configs.recipes import load_recipe

        return load_recipe(self.args.recipe or self.profile.recipe, self.args.recipe_overrides)

    @property
    def identity(self) -> str:
        """What a recipe's figures depend on besides the recipe: profile, splits, prompt."""
        from rag.versions import PROMPT_VERSION

        parts = f"{self.profile.model_dump_json()} {self.splits.hash} {PROMPT_VERSION}"
        return files.digest(parts)

    def examples(self, recipe: Recipe) -> tuple[Any, Any, dict[str, Any], str]:
        """Chat template, examples, the report on them, and the hash of what decided them."""
        from finetune import corpus as steps
        from finetune.formats import FORMATS
        from index.progress import shown
        from rag.generators.template import Template

        template = Template(self.tokenizer, self.profile.generator.model, FORMATS[recipe.data.format])
        with _one_at_a_time(), shown() as say:
            examples, report, place = steps.examples(
                self.profile, recipe, self.corpus, self.splits, template, self.work, say
            )
        _say(f"recipe {recipe.name}, examples {place}")
        return template, examples, report, steps.examples_hash(self.profile, recipe, self.splits)

    def train(
        self, recipe: Recipe, work: Callable[[str], Path], out: Path, begin: Path | None = None
    ) -> dict[str, Any]:
        """One run; `work` gives its folder from the hash of recipe and examples. Returns the adapter's manifest.

        `begin` is an adapter whose weights the run starts with.
        """
        from finetune.store import lineage
        from finetune.train import train
        from rag.versions import versions

        template, examples, report, digest = self.examples(recipe)
        provenance: dict[str, Any] = {
            "corpus_name": self.corpus.name,
            "corpus": self.corpus.digest,
            "sources": [asdict(one) for one in self.corpus.parts],
            "splits": self.splits.hash,
            "split_by": self.splits.by,
            "split_caveat": self.splits.caveat,
            "examples": digest,
            "commit": entry.commit(),
            "code_versions": versions(),
            "report": report,
        }
        if begin:
            provenance["continues"] = lineage(begin)
        run = files.digest(f"{recipe.model_dump_json()} {digest} {provenance.get('continues', '')}")
        return train(self.profile, recipe, examples, template, work(run), out, self.work.models, provenance, begin)


def _corpus(args: argparse.Namespace, profile: Profile) -> Corpus:
    """The corpus to train on: the one named, else the index's own; says which, and where it is not the index's."""
    from index import choice, identity, sources

    manifest = choice.manifest_of(entry.index_folder())
    data = entry.data_folder()
    chosen = choice.of_command(args.corpus, os.environ, manifest, data, profile.cleaning, _say).readable()
    corpus = sources.load_corpus(chosen.spec, profile.cleaning)
    for line in corpus.report.lines():
        _say(line)
    other = choice.differs(corpus, manifest)
    _say(f"corpus {identity.counted(corpus.parts)}" + (f": {other}" if other else ""))
    return corpus


def _say(line: str) -> None:
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(line, file=sys.stderr, flush=True)


def _lines(part: dict[str, dict[str, int]]) -> list[str]:
    from collections import Counter

    from finetune.data import Report

    return Report(**{name: Counter(values) for name, values in part.items()}).lines()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")  # ours says what it does
    # Names that transformers and TRL give up between them: nothing a user of this command can change.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    run(main)
