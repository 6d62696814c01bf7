"""Leak-free splits: whole topics go to train, validation or test.

    splits = make(corpus.pairs, corpus.digest, seed=0)
    splits.save(folder); Splits.open(folder).rows(corpus.pairs, "validation")

Two pairs are of one topic if they share the normalized focus, the document, the normalized question or the
answer text. A text that more than BOILERPLATE_TOPICS topics share joins nothing (or one topic would swallow
thousands of pairs); such pairs are left out of validation and test instead. Where pairs name no focus, one disease
can be several topics: `caveat` says so, and it stands beside every figure of a leak or a topic.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from configs import files
from configs.errors import UserError
from index.corpus import QAPair

Split = Literal["train", "validation", "test", "left out"]
SHARES: dict[Split, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
BOILERPLATE_TOPICS = 5
SCHEMA = 1


def normalize(text: str) -> str:
    """Case, accents of compatibility, punctuation and white space taken out: what "the same question" means."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


@dataclass(frozen=True)
class Splits:
    """Which split each pair is in, by pair id. `topics` numbers them; `hash` names this very assignment."""

    by: Literal["topic", "row"]
    seed: int
    corpus: str
    split_of: dict[str, Split]
    topic_of: dict[str, int]
    caveat: str = ""
    """`caveat` of the pairs; not part of the hash."""

    @property
    def hash(self) -> str:
        """SHA-256 over the assignment and what decided it."""
        return files.digest(self._table())

    def rows(self, pairs: Sequence[QAPair], split: Split) -> list[int]:
        """The rows of `pairs` that lie in `split`. Raises UserError for a pair the splits do not know."""
        try:
            return [row for row, pair in enumerate(pairs) if self.split_of[pair.id] == split]
        except KeyError as error:
            raise UserError(f"pair {error} is not in the splits: the corpus changed; make the splits again") from None

    def counts(self) -> dict[str, int]:
        """Pairs a split."""
        return dict(Counter(self.split_of.values()))

    def save(self, folder: Path) -> None:
        """Write `splits.csv` and `manifest.json` as `folder`, whole. Raises UserError where it cannot be written."""
        with files.said(folder), files.folder(folder) as fresh:
            files.write(fresh / "splits.csv", self._table())
            manifest: dict[str, object] = {"schema": SCHEMA, "by": self.by, "seed": self.seed, "corpus": self.corpus}
            manifest |= {"hash": self.hash, "counts": self.counts(), "topics": len(set(self.topic_of.values()))}
            manifest["caveat"] = self.caveat
            files.write_json(fresh / "manifest.json", manifest)

    @classmethod
    def open(cls, folder: Path) -> Splits:
        """Read splits from disk. Raises UserError where they are missing, of another schema, or altered."""
        try:
            manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
            rows = list(csv.DictReader(io.StringIO((folder / "splits.csv").read_text("utf-8"), newline="")))
            if manifest["schema"] != SCHEMA:
                raise UserError(f"{folder}: splits of schema {manifest['schema']}, this program reads {SCHEMA}")
            splits = cls(
                manifest["by"],
                manifest["seed"],
                manifest["corpus"],
                {row["pair"]: row["split"] for row in rows},  # type: ignore[misc]
                {row["pair"]: int(row["topic"]) for row in rows},
                str(manifest.get("caveat", "")),
            )
        except FileNotFoundError:
            raise UserError(f"{folder}: no splits there; make them with: python -m finetune split") from None
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{folder}: damaged splits; delete the folder and make them again") from None
        if splits.hash != manifest["hash"]:
            raise UserError(f"{folder}: the splits do not match their hash; delete the folder and make them again")
        return splits

    def _table(self) -> str:
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["pair", "topic", "split"])
        writer.writerows((pair, self.topic_of[pair], split) for pair, split in sorted(self.split_of.items()))
        return out.getvalue()


def topics(pairs: Sequence[QAPair]) -> tuple[list[int], list[bool]]:
    """The topic number of each pair, and whether its answer is boilerplate.

    Boilerplate is counted over the topics that focus, document and question make, before answers join any.
    """
    union = _Union(len(pairs))
    union.join(normalize(pair.focus) or None for pair in pairs)
    union.join((pair.collection, pair.document) if pair.document else None for pair in pairs)
    union.join(normalize(pair.question) for pair in pairs)
    sharing: dict[str, set[int]] = defaultdict(set)
    answers = [" ".join(pair.answer.split()) for pair in pairs]
    for row, answer in enumerate(answers):
        sharing[answer].add(union.root(row))
    boilerplate = [len(sharing[answer]) > BOILERPLATE_TOPICS for answer in answers]
    union.join(None if common else answer for answer, common in zip(answers, boilerplate, strict=True))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(union.root(row), len(numbers)) for row in range(len(pairs))], boilerplate


def caveat(pairs: Sequence[QAPair]) -> str:
    """What topics cannot tell, because pairs name no focus; empty where every pair names one.

    The share is of all pairs. Without a focus only a document, a question or an answer ties a pair to others, so
    two pages on one disease are two topics: what is counted as leaking from test to train is a lower bound.
    """
    bare = [pair for pair in pairs if not normalize(pair.focus)]
    if not bare:
        return ""
    share = len(bare) / len(pairs)
    if share < 1:
        told = "under 0.1%" if share < 0.001 else f"{min(share, 0.999):.1%}"
        who = f"{len(bare):,} of {len(pairs):,} pairs ({told}) name no focus (disease)"
    else:
        who = "no pair names a focus (disease)" + ("" if any(pair.document for pair in bare) else " or a document")
    ties = "documents, questions or answers" if any(pair.document for pair in bare) else "questions or answers"
    return (
        f"{who}: only equal {ties} make their topics, so one disease may be in train and test, "
        "and a leak of topics is a lower bound"
    )


def make(pairs: Sequence[QAPair], corpus: str, seed: int = 0, by: Literal["topic", "row"] = "topic") -> Splits:
    """Split `pairs` 80/10/10, stratified by source; the same input and seed give the same splits.

    `by="row"` is the usual random-row split, for comparison with published figures only: it leaks.
    Raises UserError for fewer than three topics.
    """
    topic, boilerplate = topics(pairs)
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(len(pairs)):
        groups[topic[row] if by == "topic" else row].append(row)
    if len(groups) < 3:
        raise UserError(f"{len(groups)} topics cannot be split in three; give a larger corpus")
    strata: dict[str, list[int]] = defaultdict(list)
    for group, rows in groups.items():
        # A topic that spans sources counts where most of its pairs are.
        strata[Counter(pairs[row].source for row in rows).most_common(1)[0][0]].append(group)
    split_of: dict[str, Split] = {}
    for source in sorted(strata):
        for group, split in _deal(strata[source], groups, random.Random(f"{seed}/{source}")):
            for row in groups[group]:
                out = by == "topic" and boilerplate[row] and split != "train"
                split_of[pairs[row].id] = "left out" if out else split
    topic_of = {pair.id: number for pair, number in zip(pairs, topic, strict=True)}
    return Splits(by, seed, corpus, split_of, topic_of, caveat(pairs))


def _deal(order: list[int], groups: dict[int, list[int]], dice: random.Random) -> Iterable[tuple[int, Split]]:
    """Deal shuffled groups, each to the split that is furthest behind its share of pairs."""
    order = sorted(order, key=lambda group: groups[group][0])
    dice.shuffle(order)
    dealt: dict[Split, float] = dict.fromkeys(SHARES, 0.0)
    for group in order:
        split = min(SHARES, key=lambda name: (dealt[name] + len(groups[group]) / 2) / SHARES[name])
        dealt[split] += len(groups[group])
        yield group, split


def leaks(pairs: Sequence[QAPair], splits: Splits) -> dict[str, float]:
    """What a test pair shares with train: shares of the test pairs whose topic, or very question, is in train.

    The share of topics is a lower bound where `caveat` says something.
    """
    train, test = splits.rows(pairs, "train"), splits.rows(pairs, "test")
    topic, _ = topics(pairs)
    known = {topic[row] for row in train}
    asked = {normalize(pairs[row].question) for row in train}
    total = max(len(test), 1)
    return {
        "topic": sum(topic[row] in known for row in test) / total,
        "question": sum(normalize(pairs[row].question) in asked for row in test) / total,
    }


class _Union:
    """Disjoint sets over rows."""

    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def root(self, row: int) -> int:
        while self.parent[row] != row:
            self.parent[row] = self.parent[self.parent[row]]
            row = self.parent[row]
        return row

    def join(self, keys: Iterable[Hashable | None]) -> None:
        first: dict[Hashable, int] = {}
        for row, key in enumerate(keys):
            if key is None:
                continue
            if key in first:
                self.parent[self.root(row)] = self.root(first[key])
            else:
                first[key] = row
