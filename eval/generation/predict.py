"""What each mode answers to the same held-out questions, in both retrieval regimes: `python -m eval` starts here.

    run = Run(profile, Setup(n=400), data_folder)
    answers = run.answers("finetuned+rag", "withheld")

Everything is kept on disk under the hash of all that decides it, so a killed run goes on and a second one generates
nothing. Whether retrieval lets a question be answered is decided by its confidence, which is stored: every question is
made to pass it, and `Prediction.status` says what the reader would have seen. What the model itself declines stays so.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from configs import files
from configs.errors import UserError
from configs.modes import MODES, Mode
from configs.schema import Profile
from eval.datasets.withheld import forced, withheld
from eval.generation.identity import generator_identity, same_splits
from rag.answer import Answer, Sentence, cited
from rag.versions import versions

if TYPE_CHECKING:
    from eval.generation.batched import Batched
    from index.corpus import QAPair
    from index.splits import Splits
    from rag.pipeline import Pipeline

Regime = Literal["indexed", "withheld"]
REGIMES: tuple[Regime, ...] = ("indexed", "withheld")
CLOSED: tuple[Mode, ...] = ("base", "finetuned")
"""Modes that see no source: the regime is nothing to them."""
REFERENCE_TOKENS = 256
"""Of a reference's tokens so many count for its perplexity."""
Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Setup:
    """What is asked, besides the profile."""

    n: int = 400
    by: Literal["topic", "row"] = "topic"
    seed: int = 0
    split_seed: int = 0
    tokens: int = 320
    perplexity: int = 30
    """Questions whose reference's perplexity is taken."""
    timed: int = 10
    """Questions a mode that are answered one at a time, as a reader would see it, for the latency."""


@dataclass(frozen=True)
class Prediction:
    """One answer, made whatever the confidence, and what a reader would have seen of it."""

    pair: str
    answer: Answer
    status: Literal["answered", "abstained", "emergency"]

    @property
    def text(self) -> str:
        """The answer as its reader would have seen it; nothing where it abstains or is an emergency."""
        return body(self.sentences)

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """The answer's sentences that its reader would have seen."""
        # Under an emergency notice nothing is answered.
        return self.answer.sentences if self.status == "answered" else ()

    @property
    def declined(self) -> bool:
        """Whether the model, given the passages, said itself that they do not answer."""
        return self.answer.status == "abstained"

    @property
    def forced(self) -> str:
        """The answer whatever retrieval's confidence; the model's own abstention is nothing too."""
        return "" if self.declined else body(self.answer.sentences)


def body(sentences: Sequence[Sentence]) -> str:
    """Sentences as text with their citation marks, without a notice."""
    text = "".join(one.before + cited(one) for one in sentences)
    return text.strip()


def chosen(pairs: Sequence[QAPair], splits: Splits, split: str, n: int, seed: int) -> list[int]:
    """`n` rows of a split in a seeded order, every topic once before any comes twice."""
    rows = splits.rows(pairs, split)  # type: ignore[arg-type]
    # The word is part of the seed: figures that were published with it can be had again.
    random.Random(f"adapter {seed} {split}").shuffle(rows)
    seen: dict[int, int] = {}
    order = []
    for row in rows:
        topic = splits.topic_of[pairs[row].id]
        seen[topic] = seen.get(topic, 0) + 1
        order.append((seen[topic], row))
    return [row for _, row in sorted(order, key=lambda item: item[0])[:n]]


class Run:
    """The questions of a setup, and what is known of their answers. Models are loaded when something must be made."""

    def __init__(self, profile: Profile, setup: Setup, data: Path, say: Say | None = None) -> None:
        """`data` is the data folder with the index in `index/`.

        Raises UserError for a missing index, one of another embedder, or a test split without questions.
        """
        from index.splits import make
        from rag.pipeline import Pipeline

        self.profile = profile
        self.setup = setup
        self.data = data
        self.say: Say = say or (lambda step, done, total: None)
        self.pipeline = Pipeline.open(forced(profile), data / "index", data / "models")
        index = self.pipeline.index
        self.corpus = index.manifest.corpus_digest
        self.splits = make(index.pairs, self.corpus, setup.split_seed, setup.by)
        rows = chosen(index.pairs, self.splits, "test", setup.n, setup.seed)
        if not rows:
            raise UserError("the test split has no questions; index a larger corpus")
        self.pairs: list[QAPair] = [index.pairs[row] for row in rows]
        self.topics = [self.splits.topic_of[pair.id] for pair in self.pairs]

    @cached_property
    def generator_identity(self) -> str:
        """`generator_identity` of the profile."""
        return generator_identity(self.profile, self.data / "models")

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that decides the answers: questions, corpus, index, model, settings, program."""
        settings = self.profile.model_dump(mode="json", exclude={"app", "generator", "name", "description"})
        parts = [
            settings,
            self.generator_identity,
            versions(),
            self.corpus,
            self.splits.hash,
            self.pipeline.index.manifest.config_hash,
            [pair.id for pair in self.pairs],
            self.setup.tokens,
        ]
        return files.digest_json(parts)

    def available(self, modes: Sequence[str]) -> None:
        """Raise UserError for a mode that there is not, or whose adapter is missing or was trained on other splits."""
        for mode in modes:
            if mode not in MODES:
                raise UserError(f"--modes: unknown {mode!r}; there are: {', '.join(MODES)}")
            if mode not in self.pipeline.modes:
                raise UserError(
                    f"mode {mode!r} needs an adapter; train one (make finetune), name one "
                    "(--set generator.adapter=FOLDER), or leave it out (--modes base,base+rag,extractive)"
                )
        if any(mode.startswith("finetuned") for mode in modes):
            same_splits(self.profile.generator.adapter, self.splits)

    def answers(self, mode: Mode, regime: Regime) -> list[Prediction]:
        """One prediction a question, in the questions' order; read from disk where they are there."""
        path = self._place(f"{mode}-{'none' if mode in CLOSED else regime}.jsonl")
        if not path.exists():
            made, seconds = self._made(mode, regime)
            _write(path, "".join(answer.model_dump_json() + "\n" for answer in made))
            self._spend(path.stem, seconds)
        lines = path.read_text("utf-8").removesuffix("\n").split("\n")  # a text may hold other line ends
        found = [Answer.model_validate_json(line) for line in lines]
        if len(found) != len(self.pairs):
            raise UserError(f"{path}: {len(found)} answers to {len(self.pairs)} questions; delete the file")
        return [self._seen(pair, answer, mode) for pair, answer in zip(self.pairs, found, strict=True)]

    def perplexity(self, mode: Mode, regime: Regime) -> list[tuple[float, int]]:
        """Summed negative log-likelihood and tokens of the first references, given the mode's own prompt."""
        if mode == "extractive":
            return []
        path = self._place(f"{mode}-{'none' if mode in CLOSED else regime}-perplexity-{self.setup.perplexity}.json")
        if not path.exists():
            begun = time.monotonic()
            _write(path, json.dumps(self._likelihoods(mode, regime)))
            self._spend(path.stem, time.monotonic() - begun)
        return [(float(loss), int(count)) for loss, count in json.loads(path.read_text("utf-8"))]

    def latency(self, mode: Mode) -> list[dict[str, float]]:
        """Timings of the first questions answered one at a time, whole corpus indexed; one warm-up before."""
        path = self._place(f"{mode}-latency-{self.setup.timed}.json")
        if not path.exists():
            pipeline = self._live("indexed")
            found = []
            begun = time.monotonic()
            pipeline.invoke(self.pairs[-1].question, mode=mode)
            for done, pair in enumerate(self.pairs[: self.setup.timed]):
                self.say(f"timing {mode}", done, self.setup.timed)
                found.append(pipeline.invoke(pair.question, mode=mode).timings.model_dump())
            _write(path, json.dumps(found))
            self._spend(path.stem, time.monotonic() - begun)
        found_rows: list[dict[str, float]] = json.loads(path.read_text("utf-8"))
        return found_rows

    def _seen(self, pair: QAPair, answer: Answer, mode: Mode) -> Prediction:
        confident = mode in CLOSED or answer.confidence >= self.profile.retriever.abstain_below
        status = "abstained" if answer.status == "answered" and not confident else answer.status
        return Prediction(pair.id, answer, status)

    def spent(self) -> dict[str, float]:
        """Seconds that each step took, whichever run made its drafts; a step with drafts of unknown time is missing."""
        path = self._place("spent.json")
        found: dict[str, float] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found

    def _spend(self, step: str, seconds: float | None) -> None:
        if seconds is not None:
            _write(self._place("spent.json"), json.dumps(self.spent() | {step: round(seconds, 1)}, indent=1))

    def _place(self, name: str) -> Path:
        return self.data / "eval" / "predictions" / self.hash[:16] / name

    def _made(self, mode: Mode, regime: Regime) -> tuple[list[Answer], float | None]:
        """The answers, and the seconds that they and their drafts took, None where a draft's time is not known."""
        begun = time.monotonic()
        pipeline = self._batched(regime)
        label = mode if mode in CLOSED else f"{mode}, {regime}"
        limit = self.setup.tokens
        if mode == "extractive":
            quoted = [pipeline.invoke(pair.question, mode=mode) for pair in self.pairs]
            return quoted, time.monotonic() - begun
        generator: Batched = pipeline.generator  # type: ignore[assignment]
        before = generator.filled
        made = generator.settle(
            lambda: [pipeline.invoke(pair.question, mode=mode, max_new_tokens=limit) for pair in self.pairs],
            lambda done, total: self.say(label, done, total),
        )
        besides = time.monotonic() - begun - (generator.filled - before)
        return made, None if generator.cost is None else besides + generator.cost

    @cached_property
    def _drafts(self) -> Batched:
        from eval.generation.batched import Batched
        from rag.generators.transformers import TransformersChat

        chat = TransformersChat.load(self.profile.generator, self.data / "models")
        return Batched(chat, self.data / "eval" / "drafts.jsonl", self.generator_identity)

    def _batched(self, regime: Regime) -> Pipeline:
        pipeline = self._pipeline(regime)
        pipeline.use(self._drafts)
        return pipeline

    def _live(self, regime: Regime) -> Pipeline:
        """The pipeline with the generator that people get, not the batched one."""
        pipeline = self._pipeline(regime)
        pipeline.use(self._drafts.chat)
        return pipeline

    def _pipeline(self, regime: Regime) -> Pipeline:
        return self.pipeline if regime == "indexed" else self._withheld

    @cached_property
    def _withheld(self) -> Pipeline:
        """The same over an index without any passage of a test topic."""
        return withheld(self.profile, self.pipeline, self.splits, "test", self.data, self.say)

    def _likelihoods(self, mode: Mode, regime: Regime) -> list[tuple[float, int]]:
        import torch
        from torch.nn.functional import cross_entropy

        from rag import prompt
        from rag.generators.packed import exact
        from rag.prompt import closed_book

        tuned = mode.startswith("finetuned")
        pipeline = self._live(regime)
        chat = self._drafts.chat
        loaded = chat.loaded
        found: list[tuple[float, int]] = []
        for done, pair in enumerate(self.pairs[: self.setup.perplexity]):
            self.say(f"perplexity {mode}", done, self.setup.perplexity)
            if mode in CLOSED:
                messages = closed_book(pair.question)
            else:
                hits = pipeline.retriever.retrieve(pair.question).hits
                messages = prompt.build(pair.question, hits, chat.count_tokens, self.profile.prompt).messages
            ids = chat.encode(messages, tuned)
            reference = loaded.tokenizer(pair.answer, add_special_tokens=False)["input_ids"][:REFERENCE_TOKENS]
            given = torch.tensor([ids + reference], device=loaded.model.device)
            with torch.inference_mode(), adapter_off(loaded.model, not tuned), exact():
                logits = loaded.model(given, logits_to_keep=len(reference) + 1).logits[0, :-1].float()
            loss = cross_entropy(logits, torch.tensor(reference, device=logits.device), reduction="sum")
            found.append((float(loss), len(reference)))
        return found


def adapter_off(model: Any, off: bool) -> Any:
    """A context without the adapter where `off` and where there is one."""
    from contextlib import nullcontext

    return model.disable_adapter() if off and hasattr(model, "disable_adapter") else nullcontext()


def _write(path: Path, text: str) -> None:
    with files.said(path, then="; what was generated before is kept"):
        files.write(path, text)
