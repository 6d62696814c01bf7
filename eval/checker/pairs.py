"""Claims and premises with a known label, made from a corpus by rule: what a citation checker is fitted and judged on.

Supported: a sentence with its own passage, as it is, reworded (lightly or freely), shortened, reordered, with its voice
changed, or joined to the next; a list item; two sentences of two sources. Unsupported: the same with another passage,
with one of its two sources, or with one fact altered; the alterations of numbers, names, negations and opposite words
are those of `eval/checker/altered.py`. `python -m eval citations` uses them.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from eval.checker.numbers import source_text
from index.corpus import QAPair
from index.splits import normalise

TRUE_KINDS = {"own": "own passage", "reworded": "reworded", "shortened": "shortened", "merged": "two sentences in one"}
FALSE_KINDS = {
    "number": "number altered",
    "negation": "negation altered",
    "opposite": "opposite word",
    "entity": "entity altered",
    "same page, other passage": "same page, other passage",
    "other page": "other topic",
}
HELD_OUT = ("freely reworded", "voice changed", "roles exchanged", "clauses reordered")
"""Kinds that are reported only: what the checker does with changes that it was never shown."""
SAME = 90.0
"""Similarity in percent (of the best part of the premise) past which another passage holds the sentence after all."""
ITEMS = 1
"""List items taken of a page."""


_SYNONYMS = """
disease illness|diseases illnesses|disorder condition|disorders conditions|symptoms signs|cause bring about
causes brings about|caused brought about|treatment therapy|treatments therapies|medicines drugs|medicine drug
medications drugs|doctor physician|doctors physicians|children youngsters|infants babies|help aid|helps aids
begin start|begins starts|appear show up|appears shows up|develop form|usually as a rule|often in many cases
sometimes at times|rarely seldom|severe serious|mild slight|large big|body organism|problems difficulties
problem difficulty|trouble difficulty|reduce lessen|prevent ward off|prevents wards off|painful sore|tired weary
affected involved|increases raises|increase raise|occurs happens|occur happen|results leads|able capable
important essential|abnormal unusual|enough sufficient|needed required|need require|needs requires|show reveal
shows reveals|found seen|also too|lead give rise|leads gives rise|people individuals|individuals people|risk danger
making producing|make produce|makes produces|instructions directions|mutations changes|mutation change|tests exams
test exam|given administered|many numerous|several various|different distinct|part portion|parts portions
"""
_SYNONYM = {one: " ".join(other) for one, *other in map(str.split, re.split(r"[|\n]", _SYNONYMS.strip()))}

_PASSIVE = {"causes": "caused", "cause": "caused", "affects": "affected", "affect": "affected", "prevents": "prevented"}
_PASSIVE |= {"can cause": "caused", "may cause": "caused", "can affect": "affected", "may affect": "affected"}
_PASSIVE |= {"produces": "produced", "produce": "produced", "damages": "damaged", "damage": "damaged"}
_PASSIVE |= {"can damage": "damaged", "treats": "treated", "prevent": "prevented", "can prevent": "prevented"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A claim and a premise, whether the premise supports the claim, how they were made, and of which page."""

    kind: str
    premise: str
    claim: str
    supported: bool
    page: str


def labelled(pairs: Sequence[QAPair], rows: Sequence[int], sentences: int, seed: int = 0) -> list[Labelled]:
    """Pairs from up to so many sentences of the given rows, each of another page; the same input, the same pairs."""
    from eval.checker.altered import cases, passages

    mine = [pairs[row] for row in rows]
    by_id = {pair.id: pair for pair in mine}
    by_topic: dict[str, list[QAPair]] = defaultdict(list)
    for pair in mine:
        by_topic[normalise(pair.focus) or pair.id].append(pair)
    dice = random.Random(f"pairs {seed}")
    made: list[Labelled] = []
    before: Labelled | None = None
    page = ""
    for kind, claim, _, sources in cases(mine, sentences, seed):
        source = sources[0]
        premise = source_text(source.title, source.question, source.text)
        # Questions and the lead-ins of lists say nothing that could be supported.
        if not claim.rstrip("\"')”").endswith("."):
            continue
        # Every sentence comes unchanged first, and then as its variants.
        page = source.pair_id if kind == "own" else page
        if kind in TRUE_KINDS:
            made.append(Labelled(TRUE_KINDS[kind], premise, claim, True, page))
        elif kind in FALSE_KINDS:
            made.append(Labelled(FALSE_KINDS[kind], premise, claim, False, page))
        if kind != "own":
            continue
        own, pair = made[-1], by_id[page]
        siblings = [p for p in by_topic[normalise(pair.focus) or pair.id] if p.answer != pair.answer]
        if siblings:
            other = dice.choice(siblings)
            text = source_text(other.title, other.question, dice.choice(passages(other.answer)))
            made.append(Labelled("same topic, other page", text, claim, False, page))
        if turned := _reordered(claim):
            made.append(Labelled("clauses reordered", premise, turned, True, page))
        if free := _freely_reworded(claim):
            made.append(Labelled("freely reworded", premise, free, True, page))
        if changed := _voice_changed(claim):
            made.append(Labelled("voice changed", premise, changed, True, page))
        if exchanged := _exchanged(claim):
            made.append(Labelled("roles exchanged", premise, exchanged, False, page))
        if moved := _moved_number(claim, source.text, dice):
            made.append(Labelled("another number of the passage", premise, moved, False, page))
        if before is not None:
            joined = f"{claim[:-1]}, and {before.claim}"
            made.append(Labelled("two sources", f"{premise}\n\n{before.premise}", joined, True, page))
            one, lacks = dice.choice([(own, before), (before, own)])
            # Pages share whole sentences: then one source does hold both.
            if not _held(Labelled("", one.premise, lacks.claim, False, page)):
                made.append(Labelled("one of its two sources", one.premise, joined, False, page))
        items = re.findall(r"^\s*[-*•]\s+(\w.{2,120})$", source.text, re.MULTILINE)
        for item in dice.sample(items, min(ITEMS, len(items))):
            made.append(Labelled("list item", premise, item, True, page))
            if before is not None:
                made.append(Labelled("list item, other topic", before.premise, item, False, page))
        before = own
    return [item for item in made if item.supported or not _held(item)]


def _reordered(text: str) -> str | None:
    """The sentence with its opening clause moved to the end; None where it has none of a plain kind."""
    match = re.fullmatch(
        r"((?:If|When|Because|Although|While|After|Before|As)\b[^,;:()]{10,90}), ([^;:()]{15,})\.", text
    )
    if not match:
        return None
    opening, rest = match.groups()
    return f"{rest[0].upper()}{rest[1:]} {opening[0].lower()}{opening[1:]}."


def _freely_reworded(text: str) -> str | None:
    """The sentence with every word that has a synonym here replaced; None if that changes fewer than two."""
    count = sum(word in _SYNONYM for word in re.findall(r"\b[a-z]+\b", text))
    return re.sub(r"\b[a-z]+\b", lambda m: _SYNONYM.get(m.group(), m.group()), text) if count > 1 else None


def _around_verb(text: str, verbs: str) -> tuple[str, str, str] | None:
    """What stands before the one verb of a plain sentence, the verb, and what stands behind it."""
    plain = r"(?!.*\b(?:that|which|who|and|or|is|are|how|whether)\b.*\.$)"
    match = re.fullmatch(rf"{plain}([^,;:()]{{4,80}}?) ({verbs}) ([^,;:()]{{4,80}})\.", text)
    return (match[1], match[2], match[3]) if match else None


def _voice_changed(text: str) -> str | None:
    """ "A causes B." as "B can be caused by A."; None for a sentence of another kind."""
    found = _around_verb(text, "|".join(_PASSIVE))
    if not found:
        return None
    one, verb, other = found
    return f"{other[0].upper()}{other[1:]} can be {_PASSIVE[verb]} by {one[0].lower()}{one[1:]}."


def _exchanged(text: str) -> str | None:
    """ "A causes B." as "B causes A."; None for a sentence of another kind."""
    found = _around_verb(text, "|".join((*_PASSIVE, "leads to", "lead to", "results from", "result from")))
    if not found:
        return None
    one, verb, other = found
    return f"{other[0].upper()}{other[1:]} {verb} {one[0].lower()}{one[1:]}."


def _moved_number(text: str, passage: str, dice: random.Random) -> str | None:
    """The sentence with one of its numbers replaced by another of the passage; None where either is missing."""
    bare = r"(?<![\w.,-])\d+(?:\.\d+)?(?![\w,]|\.\d)"
    places = list(re.finditer(bare, text))
    others = sorted(set(re.findall(bare, passage)) - set(re.findall(bare, text)))
    if not places or not others:
        return None
    place = dice.choice(places)
    return text[: place.start()] + dice.choice(others) + text[place.end() :]


def _held(item: Labelled) -> bool:
    """Whether an unsupported pair is mislabelled: the premise has the claim's very words, or nearly, elsewhere."""
    claim, premise = normalise(item.claim), normalise(item.premise)
    if f" {claim} " in f" {premise} ":
        return True
    altered = any(word in item.kind for word in ("altered", "opposite", "number", "exchanged"))
    return not altered and len(claim) <= len(premise) and fuzz.partial_ratio(claim, premise) >= SAME
