"""A question in people's words, the sources that a prompt shows for it, and the sentences of them that answer it.

    grounded.example(pair, dice)   ->   Grounded(question, shown, target)

Sources and sentences are found as when somebody asks (`rag.sources.evidence`). The sentences to learn are picked as the
extractive mode picks them, but only from answers to what is asked; those that it would take from others are shown, too.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Protocol

from configs.recipes import Data
from finetune.forms import asked, forms_of
from index.corpus import QAPair
from index.splits import Splits
from rag import prompt
from rag.attribution.details import detailed
from rag.attribution.selection import answering, layout, shown
from rag.retrieval import aspects
from rag.retrieval.hits import Hit, Retrieval
from rag.retrieval.names import Said
from rag.retrieval.reading import Line
from rag.sources import Evidence, Reader, evidence

TWO = 0.1
"""Share of the questions in people's forms that ask for two things."""
FEWER = 0.4
"""Share of prompts of fewer sources than the chat shows, down to one."""
ANY, ANYTHING = "MPlusHealthTopics", "information"
"""The source whose answers speak of everything under one question type, and that type."""
SHOWN = (140, 260)
"""Words that a prompt shows, at least and at most; when somebody asks `selection.SHOWN_WORDS`."""
CANDIDATES = 12
"""Passages that are looked through for one of the right answer, where it is not among those found first."""


class RetrieverLike(Reader, Protocol):
    """What finds and reads passages: `finetune.corpus.PassagesOfPairs` over the train split's index."""

    def retrieve(self, question: str, k: int | None = None) -> Retrieval: ...
    def passages_of(self, pair: QAPair) -> list[Hit]: ...


@dataclass(frozen=True)
class Grounded:
    """A question, the sources shown for it, and what answers it: each line with the row of the passage it is from and
    what stands before it where it follows the line before directly."""

    question: str
    shown: list[tuple[Hit, str]]
    target: list[tuple[int, Line, str]]

    def units(self, built: prompt.Prompt) -> list[str]:
        """The answer's sentences, each followed by its source's number in `built`, with the layout before them.

        A list has its number once, at its last item. Lines that the prompt has no room for are left out.
        """
        numbers = {hit.row: n for n, hit in enumerate(built.sources, 1)}
        texts = {hit.row: text for hit, text in zip(built.sources, built.shown, strict=True)}
        held = [
            (row, line, before)
            for row, line, before in self.target
            if row in numbers and prompt.plain(line.text) in texts[row]
        ]
        units: list[str] = []
        for at, (row, line, before) in enumerate(held):
            behind = held[at + 1] if at + 1 < len(held) else None
            goes_on = behind is not None and behind[0] == row and behind[1].item and behind[1].place == line.place + 1
            number = "" if goes_on else f" [{numbers[row]}]"
            follows = at and held[at - 1][0] == row and held[at - 1][1].place + 1 == line.place
            lead = (before if follows else "\n\n") if at else ""
            units.append(f"{lead}{prompt.plain(line.text)}{number}")
        return units


class Maker:
    """Grounded examples over the pairs of one split; `splits` says which pairs are of one topic."""

    def __init__(
        self, pairs: Sequence[QAPair], splits: Splits, retriever: RetrieverLike, sources: int, settings: Data
    ) -> None:
        """`sources` are shown at most."""
        self.settings = settings
        self.retriever = retriever
        self.splits = splits
        self.sources = min(sources, settings.sources or sources)
        self.of_topic: dict[str, list[QAPair]] = defaultdict(list)
        for pair in pairs:
            if pair.id in splits.topic_of:
                self.of_topic[str(splits.topic_of[pair.id])].append(pair)

    def example(self, pair: QAPair, dice: random.Random) -> Grounded | None:
        """An example that asks for what `pair` answers, or None where no sentence of it is an answer."""
        question, kinds = self._question(pair, dice)
        return self.asked(question, pair, self._right(pair, kinds), kinds, dice)

    def real(self, question: str, pairs: Sequence[QAPair], dice: random.Random) -> Grounded | None:
        """An example of somebody's own question, which the pairs answer; None as in `example`."""
        return self.asked(question, pairs[0], {pair.id for pair in pairs}, [pair.question_type for pair in pairs], dice)

    def asked(
        self, question: str, pair: QAPair, right: Set[str], kinds: Sequence[str], dice: random.Random
    ) -> Grounded | None:
        """An example that asks `question`, of question types `kinds`, which the pairs of ids `right` answer, and `pair`
        first; None where no sentence of them is an answer."""
        found = self.retriever.retrieve(question, CANDIDATES)
        if not found.hits:
            return None
        hits = self._hits(found, pair, right, dice)
        read = evidence(self.retriever, hits, found.texts or (question,), Said.of(question))
        own = [line for line in read.lines if read.hits[line.piece].pair.id in right]
        target = self._target(question, own, read, pair, kinds)
        if not target:
            return None
        made = self._shown(question, read, target, dice)
        return made if self.settings.headings == "topic" else replace(made, shown=[_headed(*one) for one in made.shown])

    def _question(self, pair: QAPair, dice: random.Random) -> tuple[str, tuple[str, ...]]:
        """A question that the pair answers, and the question types that it asks for."""
        kind = pair.question_type
        if dice.random() < self.settings.forms:
            if pair.source == ANY and kind == ANYTHING and dice.random() < 0.7:
                kind = dice.choice(sorted(forms_of()["asked"]))
            beside = sorted(
                {one.question_type for one in self.topic(pair) if one.focus == pair.focus}
                & set(forms_of()["after"]) - {kind}
            )
            second = dice.choice(beside) if beside and dice.random() < TWO else ""
            question = asked(pair, dice, kind, second)
            if question:
                return question, (kind, second) if second else (kind,)
        return pair.question, (pair.question_type,)

    def topic(self, pair: QAPair) -> list[QAPair]:
        """The pairs of the split that are of the pair's topic."""
        return self.of_topic[str(self.splits.topic_of[pair.id])]

    def _right(self, pair: QAPair, kinds: Sequence[str]) -> set[str]:
        """Ids of the pairs that may answer: the pair, and those of its topic of a type asked for or of any."""
        same = {
            one.id
            for one in self.topic(pair)
            if one.question_type in kinds or (one.source == ANY and one.question_type == ANYTHING)
        }
        return same | {pair.id}

    def _hits(self, found: Retrieval, pair: QAPair, right: Set[str], dice: random.Random) -> list[Hit]:
        """What the prompt shows: retrieval's own hits, among them a passage of a right answer."""
        wanted = dice.randint(1, max(self.sources - 1, 1)) if dice.random() < FEWER else self.sources
        hits = list(found.hits[:wanted])
        if not any(hit.pair.id in right for hit in hits):
            own = [hit for hit in found.hits if hit.pair.id in right] or self.retriever.passages_of(pair)
            hits[max(0, len(hits) - 1) :] = own[:1]
        return hits

    def _target(self, question: str, own: list[Line], read: Evidence, pair: QAPair, kinds: Sequence[str]) -> list[Line]:
        """The lines that answer; none where a page that speaks of everything does not speak of what is asked."""
        target = []
        if any(line.value > -math.inf for line in own):
            target = detailed(own, read.pieces, answering(own, read.pieces))
        elsewhere = pair.source == ANY and kinds[0] != ANYTHING
        if elsewhere and not any(aspects.mentions(aspects.asked(question), line.text) for line in target):
            return []
        return target

    def _shown(self, question: str, read: Evidence, target: list[Line], dice: random.Random) -> Grounded:
        """The example, its sources sometimes in another order."""
        others = [line for line in read.chosen if line not in target]
        texts = shown(read.lines, [*target, *others], read.pieces, dice.randint(*SHOWN))
        order = list(texts)
        if dice.random() < self.settings.shuffled:
            dice.shuffle(order)
        lines: list[tuple[int, Line, str]] = []
        for at, line in enumerate(target):
            before = layout(target[at - 1], line, read.pieces[line.piece].text) if at else ""
            lines.append((read.hits[line.piece].row, line, before))
        return Grounded(question, [(read.hits[at], texts[at]) for at in order], lines)


def _headed(hit: Hit, text: str) -> tuple[Hit, str]:
    """A source under its page's own question."""
    return replace(hit, pair=replace(hit.pair, focus=hit.pair.question, synonyms=())), text
