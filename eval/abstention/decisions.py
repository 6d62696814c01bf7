"""When to abstain: what the model decides on retrieval's own prompts, `python -m eval abstention`.

Questions of a split are asked as they stand and in other words, once with the whole corpus indexed and once without
the split's topics; on validation also what consumers asked (MEDIQA's Alexa questions and messages), where it is there.
For each it is noted how sure retrieval was and whether the model, which reads the passages, would abstain. The table
says for every value of `answering.model_abstains_below` what a reader would have got. The value is chosen on
validation: the highest that declines at most 5% of what is surely covered, all kinds together.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError
from configs.schema import Answering, Profile
from eval.datasets.consumers import consumers, uncovered
from eval.datasets.own import reworded
from eval.datasets.withheld import abstention_disabled, withheld
from eval.generation.batched import local
from eval.generation.identity import same_splits
from eval.generation.predict import chosen
from eval.metrics.shares import share
from index import splits as splitting
from index.progress import shown
from rag import prompt
from rag.pipeline import Pipeline, heeded
from rag.retrieval.question import parts, short

if TYPE_CHECKING:
    from index.build import Report
    from index.splits import Split, Splits
    from rag.generators.transformers import TransformersChat
    from rag.retrieval.hybrid import HybridRetriever

SURE = ("own", "reworded", "alexa")
"""Kinds of question whose answer is known to be in the corpus."""
PARTS = 8
SENTENCE_WORDS = 3
LADDER = (0.5, 0.9, 0.99, 0.998, 0.9998, 1.0)
"""Values of `answering.model_abstains_below` that are tried."""


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
    named: bool = False
    """Whether the question holds the whole name of a page that the model was shown."""

    def declined(self, settings: Answering, abstain_below: float) -> bool:
        """Whether the reader gets an abstention, from retrieval (confidence under `abstain_below`) or the model."""
        unsure = self.confidence < abstain_below
        return unsure or (self.abstains and heeded(self.question, self.named, self.confidence, settings))


def decide(pipeline: Pipeline, asked: Sequence[tuple[str, str]], covered: bool, say: Report) -> list[Decision]:
    """The decisions on (kind, question) pairs, as the chat's own model takes them, greedy."""
    chat = local(pipeline.generator)
    step = f"deciding, {'indexed' if covered else 'withheld'}"
    found = []
    for done, (kind, question) in enumerate(asked):
        say(step, done, len(asked))
        retrieval = pipeline.retriever.retrieve(question)
        abstains, logp, named = True, 0.0, False
        if retrieval.hits:
            built = prompt.build(question, retrieval.hits, chat.count_tokens, pipeline.profile.prompt)
            abstains, logp = _abstention(chat, chat.encode(built.messages, True))
            named = retrieval.names_one_of(built.sources)
        found.append(Decision(kind, question, covered, retrieval.confidence, abstains, logp, named))
    say(step, len(asked), len(asked))
    return found


def _abstention(chat: TransformersChat, ids: list[int]) -> tuple[bool, float]:
    """Whether the abstention is what greedy decoding writes after a prompt, and its log-probability."""
    import torch

    said = chat.loaded.tokenizer(prompt.ABSTENTION, add_special_tokens=False)["input_ids"]
    given = torch.tensor([ids + said], device=chat.loaded.model.device)
    with torch.inference_mode():
        rows = chat.loaded.model(given, logits_to_keep=len(said) + 1).logits[0, :-1].float().log_softmax(-1)
    words = torch.tensor(said, device=rows.device)
    return bool((rows.argmax(-1) == words).all()), float(rows.gather(1, words[:, None]).sum())


def made(profile: Profile, data: Path, split: Split, n: int, say: Report) -> dict[str, Any]:
    """Shares on which the model abstains, of `n` prompts made as for training, with and without the right passage.

    They are harder than retrieval's own: 30% of the questions are reworded, of 30% of the prompts the sources
    shuffled, and where retrieval misses the right passage it is put in last. Prompts of 224 to 448 tokens.
    """
    from configs.recipes import Data
    from finetune import corpus as corpora
    from finetune import data as examples

    pipeline, splits = _opened(profile, data)
    pairs, name = list(pipeline.index.pairs), pipeline.index.manifest.corpus_name
    retriever = corpora.retriever_over(profile, pairs, name, splits, split, corpora.Work(data), say)
    chat, sources = local(pipeline.generator), profile.prompt.sources
    template = chat.loaded.template(True)
    found: dict[str, Any] = {}
    for kind, called in (("grounded", "covered"), ("uncovered", "uncovered")):
        shares = {"closed": 0.0, "grounded": 0.0, "uncovered": 0.0, kind: 1.0}
        settings = Data(**shares, max_prompt_tokens=448, max_tokens=2048)  # type: ignore[arg-type]
        prompts, _ = examples.make(
            pairs, splits, split, settings, template, retriever, sources=sources, seed=5, limit=n
        )
        decided = []
        for done, one in enumerate(prompts):
            say(f"made prompts, {kind}", done, len(prompts))
            decided.append(_abstention(chat, one.prompt_ids)[0])
        found[called] = share(decided)
    return found


def _opened(profile: Profile, data: Path) -> tuple[Pipeline, Splits]:
    """The pipeline and the splits that its adapter was trained on."""
    if not profile.generator.adapter:
        raise UserError("there is no adapter whose decisions could be measured; train one (make finetune)")
    pipeline = Pipeline.open(abstention_disabled(profile), data / "index", data / "models")
    splits = splitting.make(pipeline.index.pairs, pipeline.index.manifest.corpus_digest)
    same_splits(profile.generator.adapter, splits)
    return pipeline, splits


def measure(profile: Profile, data: Path, split: Split, n: int, judged: Path | None, say: Report) -> list[Decision]:
    """The decisions on `n` questions of each kind, source indexed and withheld, and on the uncovered ones.

    `judged` is a folder with mediqa2019/ and liveqa-med/, looked at for validation alone.
    Raises UserError for a missing index or adapter, or an adapter that has learnt the questions.
    """
    pipeline, splits = _opened(profile, data)
    index = pipeline.index
    rows = chosen(index.pairs, splits, split, n, 0)
    if not rows:
        raise UserError(f"the {split} split has no questions; index a larger corpus")
    asked = [("own", index.pairs[row].question) for row in rows]
    asked += [("reworded", one.question) for one in reworded(index.pairs, splits.rows(index.pairs, split), n)]
    people: list[tuple[str, str]] = []
    if judged and split == "validation":
        alexa, messages = consumers(pipeline.retriever, judged / "mediqa2019", judged / "liveqa-med")
        random.Random(0).shuffle(messages)
        people = [("alexa", text) for text in alexa[:n]] + [("message", text) for text in messages[:n]]
        people += [("sentence", text) for text in sentences(pipeline.retriever, messages)[:n]]
    found = decide(pipeline, asked + people, True, say)
    part = "test" if split == "test" else "calibration"
    without = withheld(profile, pipeline, splits, split, data, say)
    without.use(pipeline.generator)
    found += decide(without, asked, False, say)
    return found + decide(pipeline, [("never covered", question) for question, _ in uncovered(part)], False, say)


def sentences(retriever: HybridRetriever, messages: Sequence[str]) -> list[str]:
    """Of each message the first short sentence that names a topic of the corpus; it may not be answered there."""
    found = []
    for message in messages:
        fitting = (text for text in parts(message, PARTS) if short(text) and len(text.split()) >= SENTENCE_WORDS)
        found += [text for text in fitting if retriever.names_topic(text)][:1]
    return list(dict.fromkeys(found))


def table(found: Sequence[Decision], profile: Profile) -> list[dict[str, Any]]:
    """For each value of the ladder the share declined of every kind, with n and 95% interval."""
    groups = {"surely covered": [one for one in found if one.covered and one.kind in SURE]}
    for one in found:
        where = "indexed" if one.covered else "withheld" if one.kind != "never covered" else "nowhere"
        groups.setdefault(f"{one.kind}, {where}", []).append(one)
    result = []
    for below in LADDER:
        settings = profile.answering.model_copy(update={"model_abstains_below": below})
        row: dict[str, Any] = {"below": below}
        for name, those in groups.items():
            row[name] = share([one.declined(settings, profile.retriever.abstain_below) for one in those])
        result.append(row)
    return result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("-n", type=int, default=150, help="questions of each kind (default: 150)")
    parser.add_argument("--split", choices=("validation", "test"), default="validation", help="choose on validation")
    parser.add_argument("--judged", type=Path, metavar="FOLDER", help="with mediqa2019/ and liveqa-med/ (default: "
                        "where the variable MEDQUAD's file is, if they are there)")  # fmt: skip
    parser.add_argument("--made", action="store_true", help="on prompts made as for training, right passage in or out")
    parser.add_argument("--out", type=Path, metavar="FILE", help="every decision, as JSON lines")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    entry.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.n < 1:
        raise UserError(f"-n {args.n}: at least one question is needed")
    profile, data = entry.load_for(args, adapter=True), entry.data_folder()
    with shown() as say:
        if args.made:
            result: Any = made(profile, data, args.split, args.n, say)
        else:
            found = measure(profile, data, args.split, args.n, args.judged, say)
            result = table(found, profile)
            if args.out:
                args.out.write_text("".join(json.dumps(asdict(one)) + "\n" for one in found), "utf-8")
    if args.json:
        print(json.dumps(result, indent=2))
    elif args.made:
        for name, row in result.items():
            print(f"{name:10} abstains {row['share']:.3f} ({row['low']:.3f} to {row['high']:.3f}) n={row['n']}")
    else:
        _print(result)
    return 0


def _print(rows: list[dict[str, Any]]) -> None:
    """The table in Markdown."""
    names = [name for name in rows[0] if name != "below"]
    print("| model may abstain below | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for row in rows:
        cells = [f"{row[name]['share']:.3f} ({row[name]['low']:.3f} to {row[name]['high']:.3f})" for name in names]
        print(f"| {row['below']:g} | " + " | ".join(cells) + " |")
    print("n: " + ", ".join(f"{name} {rows[0][name]['n']}" for name in names))
