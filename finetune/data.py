"""Training examples from question-answer pairs: closed book and grounded.

    examples, report = make(pairs, splits, "train", recipe, template, retriever)

A closed-book example answers from memory. A grounded one (`finetune/grounded.py`) shows sentences that retrieval finds
for a question in people's words, and answers with those that answer it and `[n]`. Every prompt is made by `rag.prompt`,
as when a person asks. None teaches when not to answer: that is retrieval's to decide.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import UserError
from configs.recipes import Data, Kind
from configs.schema import Prompt
from finetune.grounded import Maker, RetrieverLike
from index.corpus import QAPair
from index.sentences import spans
from index.splits import Split, Splits
from rag import prompt

if TYPE_CHECKING:
    from rag.generators.template import Template


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
    sources: int = 5,
    seed: int = 0,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Example], Report]:
    """The examples of a split in a seeded order, one a pair, and what happened to them.

    `limit` pairs are drawn by seed (None: `settings.examples`, or all). `retriever` may be None where the recipe
    has closed-book examples alone; it must hold no passage of another split.
    """
    own = splits.rows(pairs, split)
    rows = list(own)
    random.Random(f"examples {seed} {split}").shuffle(rows)
    if settings.even:
        rows = _in_turns(rows, pairs)
    rows = rows[: limit or settings.examples or len(rows)]
    grounded = Maker([pairs[row] for row in own], splits, retriever, sources, settings) if retriever else None
    maker = _Maker(settings, template, grounded, sources, seed)
    examples: list[Example] = []
    report = Report()
    real = asked_by_people(settings.questions, split, {pairs[row].id: pairs[row] for row in own}) if retriever else []
    wanted: list[tuple[QAPair, Kind, Real | None]] = [
        (pairs[row], kind, None) for row, kind in _kinds(rows, settings, seed)
    ]
    wanted += [(one.pairs[0], "grounded", one) for one in real]
    for done, (pair, kind, question) in enumerate(wanted):
        if progress:
            progress(done, len(wanted))
        example = maker.make(pair, kind, report, question)
        if example:
            examples.append(example)
    if progress:
        progress(len(wanted), len(wanted))
    return examples, report


@dataclass(frozen=True)
class Real:
    """A question of somebody's and the pairs that answer it."""

    question: str
    pairs: tuple[QAPair, ...]


def asked_by_people(file: str | None, split: Split, pairs: Mapping[str, QAPair]) -> list[Real]:
    """The questions of a JSONL file that `pairs`, those of the split by id, answer.

    A row has `question` and `pairs`, and may have a `part`, which is then the split's. Raises UserError for a file that
    cannot be read.
    """
    if not file:
        return []
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"data.questions: {file}: cannot be read ({error})") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            question, ids = str(row["question"]), list(row["pairs"])
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"data.questions: {file}, line {number}: give an object with a `question` and a list `pairs` of ids"
            ) from None
        own = tuple(pairs[one] for one in ids if one in pairs)
        if own and row.get("part", split) == split:
            found.append(Real(question, own))
    return found


def _in_turns(rows: Sequence[int], pairs: Sequence[QAPair]) -> list[int]:
    """The rows with one of each of the corpus's sources in turn, as long as they last."""
    place: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for row in rows:
        place[pairs[row].source] += 1
        turns.append((place[pairs[row].source], row))
    return [row for _, row in sorted(turns, key=lambda turn: turn[0])]


def _kinds(rows: Sequence[int], settings: Data, seed: int) -> Iterator[tuple[int, Kind]]:
    """Each row with a kind, in the recipe's proportions to the last example."""
    shares: dict[Kind, float] = {
        "closed": settings.closed,
        "grounded": settings.grounded,
    }
    kinds: list[Kind] = []
    for kind, share in shares.items():
        kinds += [kind] * round(share * len(rows))
    kinds = (kinds + [max(shares, key=lambda kind: shares[kind])] * len(rows))[: len(rows)]
    random.Random(f"kinds {seed}").shuffle(kinds)
    yield from zip(rows, kinds, strict=True)


class _Maker:
    """One example after the other."""

    def __init__(self, settings: Data, template: Template, grounded: Maker | None, sources: int, seed: int) -> None:
        self.settings = settings
        self.template = template
        self.grounded = grounded
        self.seed = seed
        self.end = [int(template.tokenizer.eos_token_id)]
        self.prompt = Prompt(max_tokens=max(128, settings.max_prompt_tokens), sources=sources)

    def make(self, pair: QAPair, kind: Kind, report: Report, real: Real | None = None) -> Example | None:
        """The example, or None with the reason in the report; `real` is a question of somebody's that asks for it."""
        dice = random.Random(f"{self.seed} {pair.id}" if real is None else f"{self.seed} {real.question}")
        if kind == "closed":
            messages = prompt.closed_book(pair.question)
            units = list(_units(pair.answer))
        else:
            assert self.grounded is not None, "grounded examples need a retriever"
            made = (
                self.grounded.example(pair, dice)
                if real is None
                else self.grounded.real(real.question, real.pairs, dice)
            )
            if made is None:
                report.dropped[f"{kind}: no passage is found for the question, or none answers it"] += 1
                return None
            built = prompt.build(made.question, made.shown, self.template.count, self.prompt)
            messages = built.messages
            units = made.units(built)
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


def as_columns(examples: Sequence[Example]) -> dict[str, list[Any]]:
    """The examples by column, as `datasets.Dataset.from_dict` and CSV take them."""
    names = ("pair", "kind", "prompt", "completion", "prompt_ids", "completion_ids")
    return {name: [getattr(example, name) for example in examples] for name in names}
