"""Training examples from question-answer pairs: closed book, grounded, uncovered.

    examples, report = make(pairs, splits, "train", recipe, template, retriever)

A closed-book example answers from memory. A grounded one shows what retrieval found for the question, the pair's own
passages among it, and answers with their sentences and `[n]`. An uncovered one shows passages of other topics, and
says that they do not answer. Every prompt is made by `rag.prompt`, as when a person asks.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from configs.recipes import Data, Kind
from configs.schema import Prompt
from index.corpus import QAPair
from index.sentences import spans
from index.splits import Split, Splits, normalize
from rag import prompt
from rag.retrieval.hits import Hit, Retrieval

if TYPE_CHECKING:
    from rag.generators.template import Template

REWORDED = 0.3
"""Share of grounded questions that are asked with a synonym of their focus, or in lower case with no mark: a source's
heading is its question, and an answer must not hang on their being the same to the letter."""
SHUFFLED = 0.3
"""Share of grounded prompts whose sources are not in the order of their rank, so that the first is not always right."""
SAME_QUESTION = 0.85
"""Cosine of two questions past which a passage of the one may answer the other: pages of several institutes on one
disease under names that no list joins."""
CANDIDATES = (12, 60)
"""Passages asked of the retriever, more where too few are left when those of the question's topic are taken out."""


class RetrieverLike(Protocol):
    """What finds the passages: `rag.retrieval.hybrid.HybridRetriever` over the train split's index."""

    def retrieve(self, question: str, k: int | None = None) -> Retrieval: ...
    def passages_of(self, pair: QAPair) -> list[Hit]: ...


@dataclass(frozen=True)
class Example:
    """One prompt and the completion to learn, as text and as token ids; the completion ends with the end token."""

    pair: str
    kind: Kind
    prompt: str
    completion: str
    prompt_ids: list[int]
    completion_ids: list[int]

    @property
    def tokens(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass
class Report:
    """How many examples of each kind there are, and what was shortened or left out, and why."""

    made: Counter[str] = field(default_factory=Counter)
    trimmed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    completion_tokens: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """A table for a person."""
        rows = [f"{'kind':<10} {'examples':>9} {'trimmed':>8} {'tokens':>11} {'completion':>10}"]
        for kind in self.made:
            counts = (self.made[kind], self.trimmed[kind], self.tokens[kind], self.completion_tokens[kind])
            rows.append(f"{kind:<10} {counts[0]:>9,} {counts[1]:>8,} {counts[2]:>11,} {counts[3]:>10,}")
        rows += [f"dropped: {count:,} {why}" for why, count in self.dropped.items()]
        return rows

    def as_dict(self) -> dict[str, dict[str, int]]:
        """For a manifest."""
        return {
            name: dict(getattr(self, name)) for name in ("made", "trimmed", "dropped", "tokens", "completion_tokens")
        }


def make(
    pairs: Sequence[QAPair],
    splits: Splits,
    split: Split,
    settings: Data,
    template: Template,
    retriever: RetrieverLike | None,
    *,
    sources: int = 3,
    seed: int = 0,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Example], Report]:
    """The examples of a split in a seeded order, one a pair, and what happened to them.

    `limit` pairs are drawn by seed (None: `settings.examples`, or all). `retriever` may be None where the recipe
    has closed-book examples alone; it must hold no passage of another split.
    """
    rows = splits.rows(pairs, split)
    random.Random(f"examples {seed} {split}").shuffle(rows)
    rows = rows[: limit or settings.examples or len(rows)]
    maker = _Maker(settings, template, retriever, splits, sources, seed)
    examples: list[Example] = []
    report = Report()
    for done, (row, kind) in enumerate(_kinds(rows, settings, seed)):
        if progress:
            progress(done, len(rows))
        example = maker.make(pairs[row], kind, report)
        if example:
            examples.append(example)
    if progress:
        progress(len(rows), len(rows))
    return examples, report


def _kinds(rows: Sequence[int], settings: Data, seed: int) -> Iterator[tuple[int, Kind]]:
    """Each row with a kind, in the recipe's proportions to the last example."""
    shares: dict[Kind, float] = {
        "closed": settings.closed,
        "grounded": settings.grounded,
        "uncovered": settings.uncovered,
    }
    kinds: list[Kind] = []
    for kind, share in shares.items():
        kinds += [kind] * round(share * len(rows))
    kinds = (kinds + [max(shares, key=lambda kind: shares[kind])] * len(rows))[: len(rows)]
    random.Random(f"kinds {seed}").shuffle(kinds)
    yield from zip(rows, kinds, strict=True)


class _Maker:
    """One example after the other."""

    def __init__(
        self,
        settings: Data,
        template: Template,
        retriever: RetrieverLike | None,
        splits: Splits,
        sources: int,
        seed: int,
    ) -> None:
        self.settings = settings
        self.template = template
        self.retriever = retriever
        self.splits = splits
        self.seed = seed
        self.end = [int(template.tokenizer.eos_token_id)]
        self.prompt = Prompt(max_tokens=max(128, settings.max_prompt_tokens), sources=sources)

    def make(self, pair: QAPair, kind: Kind, report: Report) -> Example | None:
        """The example, or None with the reason in the report."""
        dice = random.Random(f"{self.seed} {pair.id}")
        if kind == "closed":
            messages = prompt.closed_book(pair.question)
            units = list(_units(pair.answer))
        else:
            question = _reworded(pair, dice)
            hits = self._hits(pair, question, kind, dice)
            if not hits:
                report.dropped[f"{kind}: no passage is found for the question"] += 1
                return None
            built = prompt.build(question, hits, self.template.count, self._room(dice))
            messages = built.messages
            units = [prompt.ABSTENTION] if kind == "uncovered" else list(cited(pair, built))
            if not units:
                report.dropped[f"{kind}: the prompt has no room for the right passage"] += 1
                return None
        text = self.template.render(messages)
        ids = self.template.encode(messages)
        room = min(self.settings.max_answer_tokens, self.settings.max_tokens - len(ids)) - len(self.end)
        completion, completion_ids, whole = self._fitted(units, room)
        if not completion:
            report.dropped[f"{kind}: not one sentence of the answer fits"] += 1
            return None
        report.made[kind] += 1
        report.trimmed[kind] += not whole
        report.tokens[kind] += len(ids) + len(completion_ids)
        report.completion_tokens[kind] += len(completion_ids)
        return Example(pair.id, kind, text, completion, ids, completion_ids)

    def _hits(self, pair: QAPair, question: str, kind: Kind, dice: random.Random) -> list[Hit]:
        """What the prompt shows: retrieval's own hits, with the pair's passages put in, or its topic's taken out."""
        assert self.retriever is not None, "grounded and uncovered examples need a retriever"
        wanted = self.prompt.sources
        if kind == "uncovered":
            for count in CANDIDATES:
                found = self.retriever.retrieve(question, count).hits
                others = [hit for hit in found if not self._may_answer(hit, pair)]
                if len(others) >= wanted:
                    break
            return others[:wanted]
        found = self.retriever.retrieve(question, CANDIDATES[0]).hits
        hits = list(found[:wanted])
        if not any(hit.pair.id == pair.id for hit in hits):
            own = [hit for hit in found if hit.pair.id == pair.id] or self.retriever.passages_of(pair)
            hits[max(0, len(hits) - 1) :] = own[:1]
        if dice.random() < SHUFFLED:
            dice.shuffle(hits)
        return hits

    def _may_answer(self, hit: Hit, pair: QAPair) -> bool:
        """Whether the passage could answer the pair's question: of its topic, its concept, or nearly its question."""
        other = hit.pair
        if self.splits.topic_of.get(other.id) == self.splits.topic_of[pair.id] or set(other.cuis) & set(pair.cuis):
            return True
        names = {normalize(name) for name in (pair.focus, *pair.synonyms) if name}
        if names & {normalize(name) for name in (other.focus, *other.synonyms) if name}:
            return True
        return hit.question_cosine > SAME_QUESTION or normalize(other.answer) == normalize(pair.answer)

    def _room(self, dice: random.Random) -> Prompt:
        """A prompt of half the recipe's size to all of it, so that short and long ones are learnt."""
        most = self.prompt.max_tokens
        return self.prompt.model_copy(update={"max_tokens": max(128, dice.randint(most // 2, most))})

    def _fitted(self, units: Sequence[str], room: int) -> tuple[str, list[int], bool]:
        """As many of the units as fit in `room` tokens, their ids with the end token, and whether they are all."""
        if room <= 0:
            return "", list(self.end), False
        text = "".join(units).strip()
        ids = self._ids(text)
        kept = len(units)
        while len(ids) > room and kept:
            # Guess from the share of tokens that fit, then take away one by one.
            kept = min(kept - 1, int(kept * room / len(ids)) + 1)
            text = "".join(units[:kept]).strip()
            ids = self._ids(text)
        return text, ids + self.end, kept == len(units)

    def _ids(self, text: str) -> list[int]:
        return list(self.template.tokenizer(text, add_special_tokens=False)["input_ids"])


def _units(text: str) -> Iterator[str]:
    """Sentences with the layout before them, so that their sum is the text."""
    text = prompt.neutral(text)
    before = 0
    for _, end in spans(text):
        yield text[before:end]
        before = end


def cited(pair: QAPair, built: prompt.Prompt) -> Iterator[str]:
    """The pair's sentences that the prompt shows, in order, each followed by its source's number.

    An item of a list has no number of its own: the last one's stands for all of them.
    """
    last = None
    for n, (hit, shown) in enumerate(zip(built.sources, built.shown, strict=True), 1):
        if hit.pair.id != pair.id:
            continue
        lead_in = hit.passage.lead_in
        if last is not None and lead_in and shown.startswith(lead_in):
            shown = shown[len(lead_in) :].lstrip("\n")  # it stood before the last passage's items
        units = list(_units(shown))
        for at, unit in enumerate(units):
            if at == 0 and last is not None:
                unit = "\n" + unit.lstrip()
            ends = unit.rstrip().endswith((".", "!", "?")) or at == len(units) - 1
            yield f"{unit} [{n}]" if ends else unit
        last = n


def _reworded(pair: QAPair, dice: random.Random) -> str:
    """The pair's question, sometimes with a synonym for its focus, sometimes as people type."""
    question = pair.question
    if dice.random() >= REWORDED:
        return question
    at = question.lower().find(pair.focus.lower()) if pair.focus else -1
    if at >= 0 and pair.synonyms and dice.random() < 0.6:
        question = question[:at] + dice.choice(pair.synonyms) + question[at + len(pair.focus) :]
    if dice.random() < 0.6:
        question = question.rstrip(" ?").lower()
    return question


def as_columns(examples: Sequence[Example]) -> dict[str, list[Any]]:
    """The examples by column, as `datasets.Dataset.from_dict` and CSV take them."""
    names = ("pair", "kind", "prompt", "completion", "prompt_ids", "completion_ids")
    return {name: [getattr(example, name) for example in examples] for name in names}
