"""What an adapter buys: base against fine-tuned, without and with retrieval, on questions it was not trained on.

    python -m eval.adapter -n 100 [--split test] [--adapter FOLDER] [--json FILE]

The same n pairs for every way of answering, drawn by topic from a seed, the source indexed. Two further sets ask the
adapter alone: prompts whose passages answer, and prompts whose passages do not. Generations are cached, so a killed
run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs import entry
from configs.errors import UserError, run
from configs.schema import Mode, Profile
from eval.stats import share

WAYS: tuple[Mode, ...] = ("base", "finetuned", "finetuned+rag", "base+rag", "extractive")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m eval.adapter", description=__doc__.splitlines()[0])
    result.add_argument("-n", type=int, default=100, help="pairs (default: 100)")
    result.add_argument("--split", choices=("validation", "test"), default="validation")
    result.add_argument("--modes", default=",".join(WAYS), help=f"of {', '.join(WAYS)} (default: all)")
    result.add_argument("--adapter", type=Path, help="which (default: the one the chat takes)")
    result.add_argument("--tokens", type=int, default=320, help="most a generated answer may have (default: 320)")
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    result.add_argument("--into-card", action="store_true", help="put the figures into the adapter's model card")
    result.add_argument("--seed", type=int, default=0)
    entry.add_arguments(result)
    return result


def main() -> int:
    """Measure and print a table."""
    args = parser().parse_args()
    profile = entry.load_for(args, adapter=True)
    if args.adapter:
        generator = profile.generator.model_copy(update={"adapter": str(args.adapter)})
        profile = profile.model_copy(update={"generator": generator})
    modes = [mode.strip() for mode in args.modes.split(",") if mode.strip()]
    unknown = [mode for mode in modes if mode not in WAYS]
    if unknown or not modes:
        raise UserError(f"--modes: unknown {unknown[0]!r}" if unknown else "--modes: name at least one")
    found = measure(profile, modes, args.n, args.split, args.tokens, args.seed)
    show(found)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    if args.into_card and profile.generator.adapter:
        from finetune.store import add_results
        from rag.generators.loading import adapter_folder

        add_results(adapter_folder(profile.generator.adapter), markdown(found))
    return 0


def measure(profile: Profile, modes: Sequence[str], n: int, split: str, tokens: int, seed: int) -> dict[str, Any]:
    """Overlap by mode, and how often the adapter says that its sources do not answer."""
    from eval import overlap
    from eval.batched import Batched
    from eval.predict import chosen, generator_identity, same_splits
    from finetune.corpus import Work
    from finetune.splits import make
    from index.progress import shown
    from rag.pipeline import Pipeline

    work = Work(entry.data_folder())
    pipeline = Pipeline.open(profile, entry.index_folder(), work.models)
    pairs = pipeline.index.pairs
    splits = make(pairs, pipeline.index.manifest.corpus_digest, 0)
    same_splits(profile.generator.adapter, splits)
    rows = chosen(pairs, splits, split, n, seed)
    asked = [pairs[row] for row in rows]
    adapter = profile.generator.adapter
    batched = Batched(pipeline.generator, work.data / "eval" / "drafts.jsonl", generator_identity(profile, work.models))
    pipeline.use(batched)
    references = [pair.answer for pair in asked]
    topics = [splits.topic_of[pair.id] for pair in asked]
    answers: dict[str, list[str]] = {}
    statuses: dict[str, Any] = {}
    with shown() as say:
        for mode in modes:

            def ask(mode: str = mode) -> list[Any]:
                return [pipeline.invoke(pair.question, mode=mode, max_new_tokens=tokens) for pair in asked]

            made = batched.settle(ask, lambda done, total, mode=mode: say(mode, done, total))  # type: ignore[misc]
            answers[mode] = [answer.text if answer.status == "answered" else "" for answer in made]
            statuses[mode] = {
                "answered": share([answer.status == "answered" for answer in made]),
                "fallback": share([answer.fallback for answer in made]),
                "sentences_supported": share([one.supported for answer in made for one in answer.sentences]),
            }
        abstains = _abstains(profile, pipeline, splits, split, n, seed, batched, say) if adapter else {}
    return {
        "split": split,
        "n": len(asked),
        "topics": len(set(topics)),
        "seed": seed,
        "tokens": tokens,
        "splits": splits.hash,
        "caveat": splits.caveat,
        "adapter": adapter,
        "overlap": overlap.table(answers, references, topics),
        "status": statuses,
        "abstains": abstains,
    }


def _abstains(
    profile: Profile, pipeline: Any, splits: Any, split: str, n: int, seed: int, batched: Any, say: Any
) -> dict[str, Any]:
    """The adapter's own judgement, retrieval's confidence aside, on `n` prompts of either kind."""
    from configs.recipes import Data
    from finetune import data
    from finetune.corpus import PassagesOfPairs
    from rag.generators.template import Template
    from rag.prompt import ABSTENTION

    loaded = pipeline.generator.chat.loaded
    template: Template = loaded.template(True)
    retriever = PassagesOfPairs(pipeline.retriever)
    found: dict[str, Any] = {}
    for kind, settings in (
        ("uncovered", Data(closed=0, uncovered=1, max_prompt_tokens=profile.prompt.max_tokens, max_tokens=4096)),
        ("covered", Data(closed=0, grounded=1, max_prompt_tokens=profile.prompt.max_tokens, max_tokens=4096)),
    ):
        made, _ = data.make(
            pipeline.index.pairs, splits, split, settings, template, retriever,  # type: ignore[arg-type]
            sources=profile.prompt.sources, seed=seed, limit=n,
        )  # fmt: skip
        # Whether it abstains shows in its first words.
        prompts = [example.prompt_ids for example in made]
        drafts = batched.prompts(prompts, 12, lambda done, total, kind=kind: say(kind, done, total))  # type: ignore[misc]
        found[kind] = share(
            [ABSTENTION.startswith(draft.text.strip()[:30]) and bool(draft.text.strip()) for draft in drafts]
        )
    return found


def markdown(found: dict[str, Any]) -> list[str]:
    """The figures as lines of Markdown."""
    from eval import overlap

    lines = [
        f"On {found['n']} pairs of {found['topics']} topics of the {found['split']} split, none of whose topics was "
        f"trained on; source indexed, greedy, at most {found['tokens']} tokens; 95% bootstrap intervals by topic.",
        "",
        "| mode | ROUGE-1 | ROUGE-2 | ROUGE-L | BLEU | length ratio |",
        "|---|---|---|---|---|---|",
    ]
    if found.get("caveat"):
        lines.insert(1, f"What the topics cannot tell: {found['caveat']}.")
    for mode, row in found["overlap"].items():
        cells = [f"{value:.3f} ({low:.3f}-{high:.3f})" for value, low, high in (row[name] for name in overlap.ROUGE)]
        cells += ["{:.1f} ({:.1f}-{:.1f})".format(*row["bleu"]), f"{row['length_ratio']:.2f}"]
        lines.append(f"| {mode} | {' | '.join(cells)} |")
    for kind, figures in found["abstains"].items():
        span = f"{figures['low']:.3f}-{figures['high']:.3f}, n {figures['n']}"
        lines += ["", f"Says that the sources do not answer, on {kind} prompts: {figures['share']:.3f} ({span})."]
    return lines


def show(found: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.table import Table

    title = f"{found['split']} split, {found['n']} pairs of {found['topics']} topics, source indexed, greedy"
    table = Table("mode", "ROUGE-1", "ROUGE-2", "ROUGE-L", "BLEU", "length", "answered", title=title)
    for mode, row in found["overlap"].items():
        cells = [
            f"{row[name][0]:.3f} ({row[name][1]:.3f}-{row[name][2]:.3f})" for name in ("rouge1", "rouge2", "rougeL")
        ]
        bleu = row["bleu"]
        cells += [f"{bleu[0]:.1f} ({bleu[1]:.1f}-{bleu[2]:.1f})", f"{row['length_ratio']:.2f}"]
        table.add_row(mode, *cells, f"{found['status'][mode]['answered']['share']:.3f}")
    console = Console(width=150 if not sys.stdout.isatty() else None)
    console.print(table)
    if found["caveat"]:
        console.print(found["caveat"], markup=False)
    for kind, figures in found["abstains"].items():
        console.print(
            f"abstains on {kind} prompts: {figures['share']:.3f} ({figures['low']:.3f}-{figures['high']:.3f})"
        )


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    run(main)
