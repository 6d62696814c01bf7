"""What each mode answers to the same held-out questions, in both retrieval regimes: `python -m eval` starts here.

    run = Run(profile, Setup(n=400), data_folder)
    answers = run.answers("finetuned+rag", "withheld")

Everything is kept on disk under the hash of all that decides it, so an interrupted run is resumed and a second one
generates nothing. Whether retrieval lets a question be answered is decided by its confidence, which is stored: every
question is made to pass it, and `Prediction.status` says what the reader would have seen.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from configs import files
from configs.errors import UserError
from configs.modes import Mode
from configs.schema import Profile
from eval.datasets.withheld import abstention_disabled, withheld
from eval.generation import Regime
from eval.generation.identity import generator_identity, same_splits
from eval.generation.remembered import remembering
from index.build import Report
from rag.answer import Answer, Sentence, cited
from rag.generators.base import Generator, create
from rag.versions import versions

if TYPE_CHECKING:
    from eval.generation.batched import Batched
    from index.corpus import QAPair
    from index.splits import Splits
    from rag.pipeline import Pipeline

CLOSED: tuple[Mode, ...] = ("base", "finetuned")
"""Modes that see no source: the regime is nothing to them."""
PERPLEXITY = 30
"""Questions whose reference's perplexity is taken."""
REFERENCE_TOKENS = 256
"""Of a reference's tokens so many count for its perplexity."""
TIMED = 10
"""Questions a mode that are answered one at a time, as a reader would see it, for the latency."""


@dataclass(frozen=True)
class Setup:
    """What is asked, besides the profile: questions, kind of split, seed of the draw, most tokens of an answer."""

    n: int = 400
    by: Literal["topic", "row"] = "topic"
    seed: int = 0
    tokens: int = 320


@dataclass(frozen=True)
class Prediction:
    """One answer, made whatever the confidence, and what a reader would have seen of it."""

    pair: str
    answer: Answer
    status: Literal["answered", "abstained", "emergency"]

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """What its reader would have seen: nothing where it abstains or stands under an emergency notice."""
        return self.answer.sentences if self.status == "answered" else ()

    @property
    def text(self) -> str:
        """The sentences that its reader would have seen, with citation marks and without a notice."""
        return "".join(one.before + cited(one) for one in self.sentences).strip()

    @property
    def declined(self) -> bool:
        """Whether the model, given the passages, said itself that they do not answer."""
        return self.answer.status == "abstained"

    @property
    def without_abstention(self) -> str:
        """The text whatever retrieval's confidence; the model's own abstention is nothing too."""
        return "" if self.declined else replace(self, status="answered").text


def chosen(pairs: Sequence[QAPair], splits: Splits, split: str, n: int, seed: int) -> list[int]:
    """`n` rows of a split in a seeded order, every topic once before any comes twice."""
    rows = splits.rows(pairs, split)  # type: ignore[arg-type]
    # The word is part of the seed: figures that were published with it can be had again.
    random.Random(f"adapter {seed} {split}").shuffle(rows)
    seen: Counter[int] = Counter()

    def turn(row: int) -> int:
        topic = splits.topic_of[pairs[row].id]
        seen[topic] += 1
        return seen[topic]

    return sorted(rows, key=turn)[:n]


class Run:
    """The questions of a setup, and what is known of their answers. Models are loaded when something must be made."""

    def __init__(self, profile: Profile, setup: Setup, data: Path, say: Report | None = None) -> None:
        """`data` is the data folder with the index in `index/`.

        Raises UserError for a missing index, one of another embedder, or a test split without questions.
        """
        from index.splits import make
        from rag.pipeline import Pipeline

        self.profile = profile
        self.setup = setup
        self.data = data
        self._remembering: dict[Regime, Pipeline] = {}
        self.say: Report = say or (lambda step, done, total: None)
        self.pipeline = Pipeline.open(abstention_disabled(profile), data / "index", data / "models")
        index = self.pipeline.index
        self.corpus = index.manifest.corpus_digest
        self.splits = make(index.pairs, self.corpus, by=setup.by)
        rows = chosen(index.pairs, self.splits, "test", setup.n, setup.seed)
        if not rows:
            raise UserError("the test split has no questions; index a larger corpus")
        self.pairs: list[QAPair] = [index.pairs[row] for row in rows]
        self.topics = [self.splits.topic_of[pair.id] for pair in self.pairs]

    @cached_property
    def _identity(self) -> str:
        return generator_identity(self.profile, self.data / "models")

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that decides the answers: questions, corpus, index, model, settings, program."""
        aside: dict[str, Any] = dict.fromkeys(("app", "generator", "name", "description"), True)
        aside["embedder"] = {"backend"}
        settings = self.profile.model_dump(mode="json", exclude=aside)
        parts = [
            settings, self._identity, versions(), self.corpus, self.splits.hash,
            self.pipeline.index.manifest.config_hash, [pair.id for pair in self.pairs], self.setup.tokens,
        ]  # fmt: skip
        return files.digest_json(parts)

    def available(self, modes: Sequence[Mode]) -> None:
        """Raise UserError for a mode whose adapter is missing or was trained on other splits."""
        for mode in modes:
            if mode not in self.pipeline.modes:
                raise UserError(
                    f"mode {mode!r} needs an adapter; train one (make finetune), name one "
                    "(--set generator.adapter=FOLDER), or leave it out (--modes base,base+rag,extractive)"
                )
        if any(mode.startswith("finetuned") for mode in modes):
            same_splits(self.profile.generator.adapter, self.splits)

    def answers(self, mode: Mode, regime: Regime) -> list[Prediction]:
        """One prediction a question, in the questions' order; read from disk where they are there."""
        name = f"{mode}-{'none' if mode in CLOSED else regime}.jsonl"
        made = self._kept(name, lambda: "".join(one.model_dump_json() + "\n" for one in self._made(mode, regime)))
        lines = made.removesuffix("\n").split("\n")  # a text may hold other line ends
        if len(lines) != len(self.pairs):
            place = self._place(name)
            raise UserError(f"{place}: {len(lines)} answers to {len(self.pairs)} questions; delete the file")
        found = []
        for pair, answer in zip(self.pairs, map(Answer.model_validate_json, lines), strict=True):
            unsure = mode not in CLOSED and answer.confidence < self.profile.retriever.abstain_below
            status = "abstained" if answer.status == "answered" and unsure else answer.status
            found.append(Prediction(pair.id, answer, status))
        return found

    def perplexity(self, mode: Mode, regime: Regime) -> list[tuple[float, int]]:
        """Summed negative log-likelihood and tokens of the first references, given the mode's own prompt."""
        if mode == "extractive":
            return []
        name = f"{mode}-{'none' if mode in CLOSED else regime}-perplexity-{PERPLEXITY}.json"
        made = self._kept(name, lambda: json.dumps(self._likelihoods(mode, regime)))
        return [(float(loss), int(count)) for loss, count in json.loads(made)]

    def latency(self, mode: Mode) -> list[dict[str, float]]:
        """Timings of the first questions answered one at a time, whole corpus indexed; one warm-up before."""

        def timings() -> Iterator[dict[str, float]]:
            pipeline = self._over("indexed", batched=False)
            pipeline.invoke(self.pairs[-1].question, mode=mode)
            for done, pair in enumerate(self.pairs[:TIMED]):
                self.say(f"timing {mode}", done, TIMED)
                yield pipeline.invoke(pair.question, mode=mode).timings.model_dump()

        # What answers people decides no draft, so the folder's name does not tell it.
        section = files.digest_json(self.profile.generator.model_dump(mode="json"))[:12]
        made = self._kept(f"{mode}-latency-{TIMED}-{section}.json", lambda: json.dumps(list(timings())))
        return list(json.loads(made))

    def kept(self, name: str, ask: Callable[[Pipeline], Any]) -> Any:
        """What `ask` finds of the pipeline over the whole index, as JSON gives it back; asked where it is not on disk.

        Generation is in batches, so `ask` is called until every draft that it wants is there.
        """

        def made() -> Any:
            pipeline = self._over("indexed", batched=True)
            return self._drafts.settle(lambda: ask(pipeline), lambda done, total: self.say(name, done, total))

        return json.loads(self._kept(name, lambda: json.dumps(made())))

    def spent(self) -> dict[str, float]:
        """Seconds that each step took, whichever run made its drafts; a step with drafts of unknown time is missing."""
        path = self._place("spent.json")
        found: dict[str, float] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found

    def _place(self, name: str) -> Path:
        return self.data / "eval" / "predictions" / self.hash[:16] / name

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        """What is kept under that name; made where it is not there yet, and its time noted."""
        path = self._place(name)
        if not path.exists():
            begun, drafts = time.monotonic(), self._drafts
            before = drafts.filled
            drafts.used.clear()
            _write(path, make())
            if drafts.cost is not None:
                seconds = time.monotonic() - begun - (drafts.filled - before) + drafts.cost
                spent = self.spent() | {path.stem: round(seconds, 1)}
                _write(self._place("spent.json"), json.dumps(spent, indent=1))
        return path.read_text("utf-8")

    def _made(self, mode: Mode, regime: Regime) -> list[Answer]:
        pipeline = self._over(regime, batched=True)
        limit: dict[str, Any] = {} if mode == "extractive" else {"max_new_tokens": self.setup.tokens}
        label = mode if mode in CLOSED else f"{mode}, {regime}"
        return self._drafts.settle(
            lambda: [pipeline.invoke(pair.question, mode=mode, **limit) for pair in self.pairs],
            lambda done, total: self.say(label, done, total),
        )

    @cached_property
    def _drafts(self) -> Batched:
        from eval.generation.batched import Batched, local

        chat = local(self.profile.generator, self.data / "models")
        return Batched(chat, self.data / "eval" / "drafts.jsonl", self._identity)

    @cached_property
    def _people(self) -> Generator:
        """What answers people, one question at a time."""
        if self.profile.generator.backend == "transformers":
            return self._drafts.chat  # not loaded twice
        return create(self.profile.generator, self.data / "models")

    def _over(self, regime: Regime, batched: bool) -> Pipeline:
        """The pipeline with the generator in batches, finding and reading nothing twice, or the one that people get."""
        pipeline = self.pipeline if regime == "indexed" else self._withheld
        if not batched:
            pipeline.use(self._people)
            return pipeline
        if regime not in self._remembering:
            self._remembering[regime] = remembering(pipeline)
            self._remembering[regime].use(self._drafts)
        return self._remembering[regime]

    @cached_property
    def _withheld(self) -> Pipeline:
        """The same over an index without any passage of a test topic."""
        return withheld(self.profile, self.pipeline, self.splits, "test", self.data, self.say)

    def _likelihoods(self, mode: Mode, regime: Regime) -> list[tuple[float, int]]:
        import torch
        from torch.nn.functional import cross_entropy

        from rag import prompt
        from rag.generators.transformers import adapter_off
        from rag.sources import prompted

        tuned = mode.startswith("finetuned")
        pipeline = self.pipeline if regime == "indexed" else self._withheld
        chat, model = self._drafts.chat, self._drafts.chat.loaded.model
        found: list[tuple[float, int]] = []
        for done, pair in enumerate(self.pairs[:PERPLEXITY]):
            self.say(f"perplexity {mode}", done, PERPLEXITY)
            if mode in CLOSED:
                messages = prompt.closed_book(pair.question)
            else:
                retriever = pipeline.retriever
                retrieval = retriever.retrieve(pair.question)
                settings = self.profile.prompt
                messages = prompted(retriever, pair.question, retrieval, chat.count_tokens, settings).messages
            ids = chat.encode(messages, tuned)
            reference = chat.loaded.tokenizer(pair.answer, add_special_tokens=False)["input_ids"][:REFERENCE_TOKENS]
            given = torch.tensor([ids + reference], device=model.device)
            with chat.loaded.turn, torch.inference_mode(), adapter_off(model, not tuned):
                logits = model(given, logits_to_keep=len(reference) + 1).logits[0, :-1].float()
            loss = cross_entropy(logits, given[0, len(ids) :], reduction="sum")
            found.append((float(loss), len(reference)))
        return found


def _write(path: Path, text: str) -> None:
    with files.said(path, then="; what was generated before is kept"):
        files.write(path, text)
