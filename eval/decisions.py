"""When to abstain: what the model decides on retrieval's own prompts, `python -m eval decisions`.

Questions of a split are asked as they stand and in other words, once with the whole corpus indexed and once without
the split's topics; on validation also what consumers asked (MEDIQA's Alexa questions and messages), where it is there.
For each it is noted how sure retrieval was and whether the model, which reads the passages, would abstain. The table
says for every value of `answering.model_abstains_below` what a reader would have got. The value is chosen on
validation: the highest that declines at most 5% of the covered short questions, all kinds together.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError
from configs.schema import Answering, Profile
from rag.pipeline import heeded
from rag.question import short

if TYPE_CHECKING:
    from rag.pipeline import Pipeline

LADDER = (0.5, 0.9, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 1.0)
"""Values of `answering.model_abstains_below` that are tried."""
Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Decision:
    """One question, and who would decline it."""

    kind: str
    question: str
    covered: bool
    confidence: float
    abstains: bool
    """Whether the model's likeliest words are the abstention."""
    logp: float
    """Natural log of the probability of the whole abstention sentence."""

    def declined(self, settings: Answering, abstain_below: float) -> bool:
        """Whether the reader gets an abstention, from retrieval (confidence under `abstain_below`) or the model."""
        unsure = self.confidence < abstain_below
        return unsure or (self.abstains and heeded(self.question, self.confidence, settings))


def decide(pipeline: Pipeline, asked: Sequence[tuple[str, str]], covered: bool, say: Say) -> list[Decision]:
    """The decisions on (kind, question) pairs, as the chat's own model takes them, greedy."""
    import torch

    from rag import prompt
    from rag.prompt import ABSTENTION

    chat = pipeline.generator
    model, tokenizer = chat.loaded.model, chat.loaded.tokenizer
    said = tokenizer(ABSTENTION, add_special_tokens=False)["input_ids"]
    found = []
    for done, (kind, question) in enumerate(asked):
        say(f"deciding, {'indexed' if covered else 'withheld'}", done, len(asked))
        retrieval = pipeline.retriever.retrieve(question)
        abstains, logp = True, 0.0
        if retrieval.hits:
            built = prompt.build(question, retrieval.hits, chat.count_tokens, pipeline.profile.prompt)
            ids = chat.encode(built.messages, True)
            given = torch.tensor([ids + said], device=model.device)
            with torch.inference_mode():
                rows = model(given, logits_to_keep=len(said) + 1).logits[0, :-1].float().log_softmax(-1)
            words = torch.tensor(said, device=rows.device)
            abstains = bool((rows.argmax(-1) == words).all())
            logp = float(rows.gather(1, words[:, None]).sum())
        found.append(Decision(kind, question, covered, retrieval.confidence, abstains, logp))
    say(f"deciding, {'indexed' if covered else 'withheld'}", len(asked), len(asked))
    return found


def measure(profile: Profile, data: Path, split: str, n: int, judged: Path | None, say: Say) -> list[Decision]:
    """The decisions on `n` questions of each kind, source indexed and withheld, and on the uncovered ones.

    `judged` is a folder with mediqa2019/ and liveqa-med/, looked at for validation alone.
    Raises UserError for a missing index or adapter, or an adapter that has learnt the questions.
    """
    from eval import predict, topics
    from eval.calibrate import consumers, uncovered
    from finetune.splits import make
    from rag.pipeline import Pipeline

    if not profile.generator.adapter:
        raise UserError("there is no adapter whose decisions could be measured; train one (make finetune)")
    pipeline = Pipeline.open(predict.forced(profile), data / "index", data / "models")
    index = pipeline.index
    splits = make(index.pairs, index.manifest.corpus_digest)
    predict.same_splits(profile.generator.adapter, splits)
    rows = predict.chosen(index.pairs, splits, split, n, 0)
    if not rows:
        raise UserError(f"the {split} split has no questions; index a larger corpus")
    asked = [("own", index.pairs[row].question) for row in rows]
    others = topics.reworded(index.pairs, splits.rows(index.pairs, split), n)  # type: ignore[arg-type]
    asked += [("reworded", item.question) for item in others]
    people: list[tuple[str, str]] = []
    if judged and split == "validation":
        alexa, messages = consumers(pipeline.retriever, judged / "mediqa2019", judged / "liveqa-med")
        random.Random(0).shuffle(messages)
        people = [("alexa", text) for text in alexa[:n]] + [("message", text) for text in messages[:n]]
    found = decide(pipeline, asked + people, True, say)
    part = "test" if split == "test" else "calibration"
    withheld = predict.withheld(profile, pipeline, splits, split, data, say)
    withheld.use(pipeline.generator)
    found += decide(withheld, asked, False, say)
    return found + decide(pipeline, [("never covered", question) for question, _ in uncovered(part)], False, say)


def table(found: Sequence[Decision], profile: Profile) -> list[dict[str, Any]]:
    """For each value of the ladder the share declined of every kind, with n and 95% interval."""
    from eval.stats import share

    groups = list(dict.fromkeys((one.covered, one.kind) for one in found))
    result = []
    for below in LADDER:
        settings = profile.answering.model_copy(update={"model_abstains_below": below})

        def declined(those: list[Decision], settings: Answering = settings) -> dict[str, Any]:
            return share([one.declined(settings, profile.retriever.abstain_below) for one in those])

        row: dict[str, Any] = {"below": below}
        row["covered, short"] = declined([one for one in found if one.covered and short(one.question)])
        for covered, kind in groups:
            mine = [one for one in found if (one.covered, one.kind) == (covered, kind)]
            name = f"{kind}, {'indexed' if covered else 'withheld' if kind != 'never covered' else 'nowhere'}"
            row[name] = declined(mine)
        result.append(row)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m eval decisions", description="When does the model abstain?")
    parser.add_argument("-n", type=int, default=150, help="questions of each kind (default: 150)")
    parser.add_argument("--split", choices=("validation", "test"), default="validation", help="choose on validation")
    parser.add_argument("--judged", type=Path, metavar="FOLDER", help="with mediqa2019/ and liveqa-med/ (default: "
                        "where the variable MEDQUAD's file is, if they are there)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="every decision, as JSON lines")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    entry.add_arguments(parser)
    args = parser.parse_args(argv)
    if args.n < 1:
        raise UserError(f"-n {args.n}: at least one question is needed")
    from index.progress import shown

    profile = entry.load_for(args, adapter=True)
    judged = args.judged
    if judged is None and os.environ.get("MEDQUAD"):
        beside = Path(os.environ["MEDQUAD"]).parent
        judged = beside if all((beside / name).is_dir() for name in ("mediqa2019", "liveqa-med")) else None
    with shown() as say:
        found = measure(profile, entry.data_folder(), args.split, args.n, judged, say)
    if args.out:
        args.out.write_text("".join(json.dumps(asdict(one)) + "\n" for one in found), "utf-8")
    rows = table(found, profile)
    if args.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
        return 0
    names = [name for name in rows[0] if name != "below"]
    print("| model may abstain below | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for row in rows:
        cells = [f"{row[name]['share']:.3f} ({row[name]['low']:.3f} to {row[name]['high']:.3f})" for name in names]
        print(f"| {row['below']:g} | " + " | ".join(cells) + " |")
    print("n: " + ", ".join(f"{name} {rows[0][name]['n']}" for name in names))
    return 0
