"""Sentences of a corpus, altered by rule, with their passages: what attribution and the citation checker are tried on.

    cases(pairs, n=400, seed=0)       ->  (kind, what the draft says, the page's sentence, sources), for attribution
    labeled(pairs, rows, sentences)  ->  claims and premises with a known label, for the checker

TRUE_KINDS say what their page says, FALSE_KINDS do not. The checker is also given list items, sentences of two sources
joined and only one of these sources, the same topic's other pages, and sentences reordered and reworded as a whole.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapidfuzz import fuzz

from eval.checker.numbers import source_text
from index.corpus import QAPair
from index.sentences import spans
from index.splits import normalize

if TYPE_CHECKING:
    from rag.answer import Source

WORDS = 180
TRUE_KINDS = ("own", "reworded", "shortened", "merged", "miscopied")
FALSE_KINDS = (
    "number", "negation", "opposite", "entity", "same page, other passage", "other page",
    "number of a reference", "no content word",
)  # fmt: skip
_NAMES = {
    "own": "own passage", "merged": "two sentences in one", "number": "number altered", "negation": "negation altered",
    "opposite": "opposite word", "entity": "entity altered", "other page": "other topic",
}  # fmt: skip
"""What the checker's reports call a kind, where that is not its name here."""
_NOT_LABELLED = ("miscopied", "number of a reference", "no content word")
HELD_OUT = ("freely reworded", "voice changed", "roles exchanged", "clauses reordered")
"""Kinds that are reported only: what the checker does with changes that it was never shown."""
SAME = 90.0
"""Similarity in percent (of the best part of the premise) past which another passage holds the sentence after all."""
_REFERENCES = (
    " [{}]", " [{}, 61]", " (ref. {})", " ({}, 61)", " (see Figure {})", " (Table {})", " (Section {})",
    " (see page {})", " (Moss et al., {})",
)  # fmt: skip
_EMPTY = ("There are {}.", "It was {}.", "It is {} of them.", "{}.", "[{}.", "More than {} have it.")
_REWORD = [
    (r"\bindividuals\b", "people"), (r"\bpatients\b", "people"), (r"\bis characterized by\b", "is marked by"),
    (r"\bmay\b", "can"), (r"\bsuch as\b", "including"), (r"\busually\b", "often"), (r"\boccurs\b", "happens"),
    (r"\bresults in\b", "leads to"), (r"\bvery\b ", ""), (r"\bphysicians?\b", "doctor"),
    (r"\bwith this condition\b", "who have it"),
    (r"\balso\b ", ""), (r"\bThis condition\b", "It"), (r"\bin order to\b", "to"), (r"\bapproximately\b", "about"),
    (r"\bkids\b", "children"), (r"\bthe majority of\b", "most"), (r"\bhowever,? ", ""), (r"\bdevelop\b", "get"),
]  # fmt: skip
_OPPOSITES = {
    "increased": "decreased", "increase": "decrease", "high": "low", "higher": "lower", "rare": "common",
    "before": "after", "more": "less", "severe": "mild", "dominant": "recessive", "recessive": "dominant",
    "early": "late", "men": "women", "women": "men", "upper": "lower", "common": "rare", "less": "more",
    "benign": "malignant", "decreased": "increased", "normal": "abnormal", "large": "small",
}  # fmt: skip
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
_BY = {verb: f"can be {done} by" for verb, done in _PASSIVE.items()}
_SAME_VERB = {verb: verb for verb in (*_PASSIVE, "leads to", "lead to", "results from", "result from")}


@dataclass(frozen=True, slots=True)
class Labeled:
    """A claim and a premise, whether the premise supports the claim, how they were made, and of which page."""

    kind: str
    premise: str
    claim: str
    supported: bool
    page: str


def passages(text: str) -> list[str]:
    """A page's answer in pieces of about WORDS words, cut at sentence ends."""
    found, start, count, last = [], 0, 0, 0
    for begin, end in spans(text):
        size = len(text[begin:end].split())
        if count and count + size > WORDS:
            found.append(text[start:last])
            start, count = begin, 0
        count += size
        last = end
    return [*found, text[start:last]] if count else found


def _with(text: str, place: re.Match[str], other: str) -> str:
    return text[: place.start()] + other + text[place.end() :]


def _number(text: str, rng: random.Random) -> str | None:
    digits = list(re.finditer(r"(?<![\w.,])\d+(?![\w,])", text))
    if not digits:
        return None
    match = rng.choice(digits)
    value = int(match.group())
    other = rng.choice([value + 1, value * 2 + 1, max(1, value // 2) + (value < 3), value + 10])
    return _with(text, match, str(other)) if other != value else None


def _of_a_reference(sentence: str, passage: str, rng: random.Random) -> tuple[str, str] | None:
    """The sentence with a number that the returned passage has only in a reference behind that sentence, or None."""
    from rag.attribution.quantities import quantities

    digits = list(re.finditer(r"(?<![\w.,/-])\d+(?![\w,/-]|\.\d)", sentence))
    if not digits or not sentence.endswith(".") or "[" in sentence:
        return None
    match, form = rng.choice(digits), rng.choice(_REFERENCES)
    taken = {quantity.value for quantity in quantities(passage)}
    free = [str(n) for n in (range(1950, 2010) if "et al" in form else range(2, 60)) if n not in taken]
    if not free:
        return None
    other, end = rng.choice(free), passage.index(sentence) + len(sentence) - 1
    return _with(sentence, match, other), passage[:end] + form.format(other) + passage[end:]


def _empty(passage: str, rng: random.Random) -> str | None:
    """A sentence of function words and a number of the passage."""
    found = re.findall(r"(?<![\w.,])\d+(?![\w,]|\.\d)", passage)
    return rng.choice(_EMPTY).format(rng.choice(found)) if found else None


def _moved_number(text: str, passage: str, dice: random.Random) -> str | None:
    """The sentence with one of its numbers replaced by another of the passage; None where either is missing."""
    bare = r"(?<![\w.,-])\d+(?:\.\d+)?(?![\w,]|\.\d)"
    places = list(re.finditer(bare, text))
    others = sorted(set(re.findall(bare, passage)) - set(re.findall(bare, text)))
    if not places or not others:
        return None
    place = dice.choice(places)
    return _with(text, place, dice.choice(others))


def _negation(text: str) -> str | None:
    if re.search(r"\b(?:not|no|never|without|cannot)\b|n't", text, re.IGNORECASE):
        changed = re.sub(r"\b(?:does|do|did) not |\bnot |\bnever |(?<=can)not\b", "", text, count=1)
        return changed if changed != text else None
    match = re.search(r"\b(?:is|are|can|may|will|should|was|were|has|have)\b", text)
    return _with(text, match, f"{match.group()} not") if match else None


def _opposite(text: str, rng: random.Random) -> str | None:
    found = [m for m in re.finditer(r"\b[a-z]+\b", text) if m.group() in _OPPOSITES]
    if not found:
        return None
    match = rng.choice(found)
    return _with(text, match, _OPPOSITES[match.group()])


def _entity(text: str, rng: random.Random, others: Sequence[str], focus: str) -> str | None:
    from index.words import tokens
    from rag.attribution.entities import names

    if focus and focus.lower() in text.lower():
        at = text.lower().index(focus.lower())
        return text[:at] + rng.choice(others) + text[at + len(focus) :]
    found = [name for name in names(text, tokens(text)) if name.start]
    if not found:
        return None
    name = rng.choice(found)
    return text[: name.start] + rng.choice(others) + text[name.end :]


def _miscopied(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    for _ in range(max(1, len(words) // 12)):
        i = rng.randrange(len(words))
        word, kind = words[i], rng.randrange(3)
        if kind == 0 and len(word) > 4:
            j = rng.randrange(1, len(word) - 2)
            words[i] = word[:j] + rng.choice("aeionrst") + word[j + 1 :]
        elif kind == 1 and len(word) > 6:
            words[i] = word[:3] + rng.choice(["osis", "ine", "ate", "ion", "ic acid"])
        elif len(words) > 8:
            words[i] = "" if rng.random() < 0.5 else word + " " + word
    return " ".join(" ".join(words).split())


def _reworded(text: str) -> str | None:
    changed = text
    for pattern, other in _REWORD:
        changed = re.sub(pattern, other, changed)
    return changed if changed != text else None


def _shortened(text: str) -> str | None:
    changed = re.sub(r"\s*\([^()]*\)|, (?:which|such as|including|especially)\b[^,.]*(?=[,.])", "", text)
    if changed == text and len(text.split()) > 18 and ", and " in text[40:]:
        changed = text[: text.index(", and ", 40)] + "."
    return changed if changed != text and len(changed.split()) > 5 else None


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


def _turned(text: str, verbs: Mapping[str, str]) -> str | None:
    """ "A causes B." as "B ... A.", with what `verbs` has for its one verb; None for a sentence of another kind."""
    plain = r"(?!.*\b(?:that|which|who|and|or|is|are|how|whether)\b.*\.$)"
    match = re.fullmatch(rf"{plain}([^,;:()]{{4,80}}?) ({'|'.join(verbs)}) ([^,;:()]{{4,80}})\.", text)
    if not match:
        return None
    one, verb, other = match.groups()
    return f"{other[0].upper()}{other[1:]} {verbs[verb]} {one[0].lower()}{one[1:]}."


def cases(pairs: Sequence[QAPair], n: int, seed: int) -> list[tuple[str, str, str, list[Source]]]:
    """(kind, what the draft says, the page's sentence, sources with the page's passage first)."""
    rng = random.Random(seed)
    other_rng = random.Random(f"references {seed}")  # of its own, so that the other cases stay what they were
    pages = [pair for pair in pairs if 30 < len(pair.answer.split()) < 900]
    foci = sorted({pair.focus for pair in pages if 4 < len(pair.focus) < 40})
    made: list[tuple[str, str, str, list[Source]]] = []
    for pair in rng.sample(pages, min(n, len(pages))):
        pieces = passages(pair.answer)
        k = rng.randrange(len(pieces))
        places = [(a, b) for a, b in spans(pieces[k]) if len(pieces[k][a:b].split()) > 6 and pieces[k][a] not in "-*•"]
        if not places:
            continue
        i = rng.randrange(len(places))
        sentence = pieces[k][slice(*places[i])]
        mine = [source_of(1, pair, pieces[k])]
        near = [other for j, other in enumerate(pieces) if j != k]
        strangers = [(other, rng.choice(passages(other.answer))) for other in rng.sample(pages, min(4, len(pages)))]
        strangers = [(other, text) for other, text in strangers if other.focus != pair.focus][:3]
        rest = [source_of(m, other, text) for m, (other, text) in enumerate(strangers, 2)]
        variants: dict[str, str | None] = {
            "own": sentence,
            "reworded": _reworded(sentence),
            "shortened": _shortened(sentence),
            "miscopied": _miscopied(sentence, rng),
            "number": _number(sentence, rng),
            "negation": _negation(sentence),
            "opposite": _opposite(sentence, rng),
            "entity": _entity(sentence, rng, foci, pair.focus),
        }
        if i + 1 < len(places) and sentence.endswith("."):
            follows = pieces[k][slice(*places[i + 1])]
            variants["merged"] = sentence[:-1] + ", and " + follows[0].lower() + follows[1:]
        made += [(kind, text, sentence, [*mine, *rest]) for kind, text in variants.items() if text]
        if referring := _of_a_reference(sentence, pieces[k], other_rng):
            draft, passage = referring
            made.append(("number of a reference", draft, sentence, [source_of(1, pair, passage), *rest]))
        if empty := _empty(pieces[k], other_rng):
            made.append(("no content word", empty, "", [*mine, *rest]))
        if near and sentence not in " ".join(near):
            made.append(("same page, other passage", sentence, "", [source_of(1, pair, rng.choice(near)), *rest]))
        if rest and all(sentence not in source.text for source in rest):
            made.append(("other page", sentence, "", rest))
    return made


def source_of(n: int, pair: QAPair, text: str) -> Source:
    """A passage of a pair as a source under number `n`."""
    from rag.answer import Source

    place = f"{pair.id}#{n}"
    return Source(n=n, passage_id=place, pair_id=pair.id, title=pair.title, question=pair.question, text=text)


def labeled(pairs: Sequence[QAPair], rows: Sequence[int], sentences: int, seed: int = 0) -> list[Labeled]:
    """Pairs from up to so many sentences of the given rows, each of another page; the same input, the same pairs."""
    mine = [pairs[row] for row in rows]
    by_id = {pair.id: pair for pair in mine}
    by_topic: dict[str, list[QAPair]] = defaultdict(list)
    for pair in mine:
        by_topic[normalize(pair.focus) or pair.id].append(pair)
    dice = random.Random(f"pairs {seed}")
    made: list[Labeled] = []
    before: Labeled | None = None
    page = ""
    for kind, claim, _, sources in cases(mine, sentences, seed):
        source = sources[0]
        premise = source_text(source.title, source.question, source.text)
        # Questions and the lead-ins of lists say nothing that could be supported.
        if not claim.rstrip("\"')”").endswith("."):
            continue
        # Every sentence comes unchanged first, and then as its variants.
        page = source.pair_id if kind == "own" else page
        if kind not in _NOT_LABELLED:
            made.append(Labeled(_NAMES.get(kind, kind), premise, claim, kind in TRUE_KINDS, page))
        if kind != "own":
            continue
        own, pair = made[-1], by_id[page]
        siblings = [p for p in by_topic[normalize(pair.focus) or pair.id] if p.answer != pair.answer]
        if siblings:
            other = dice.choice(siblings)
            text = source_text(other.title, other.question, dice.choice(passages(other.answer)))
            made.append(Labeled("same topic, other page", text, claim, False, page))
        for name, turned, supported in (
            ("clauses reordered", _reordered(claim), True),
            ("freely reworded", _freely_reworded(claim), True),
            ("voice changed", _turned(claim, _BY), True),
            ("roles exchanged", _turned(claim, _SAME_VERB), False),
            ("another number of the passage", _moved_number(claim, source.text, dice), False),
        ):
            if turned:
                made.append(Labeled(name, premise, turned, supported, page))
        if before is not None:
            joined = f"{claim[:-1]}, and {before.claim}"
            made.append(Labeled("two sources", f"{premise}\n\n{before.premise}", joined, True, page))
            one, lacks = dice.choice([(own, before), (before, own)])
            # Pages share whole sentences: then one source does hold both.
            if not _held(Labeled("", one.premise, lacks.claim, False, page)):
                made.append(Labeled("one of its two sources", one.premise, joined, False, page))
        items = re.findall(r"^\s*[-*•]\s+(\w.{2,120})$", source.text, re.MULTILINE)
        if items:
            item = dice.sample(items, 1)[0]
            made.append(Labeled("list item", premise, item, True, page))
            if before is not None:
                made.append(Labeled("list item, other topic", before.premise, item, False, page))
        before = own
    return [item for item in made if item.supported or not _held(item)]


def _held(item: Labeled) -> bool:
    """Whether an unsupported pair is mislabeled: the premise has the claim's very words, or nearly, elsewhere."""
    claim, premise = normalize(item.claim), normalize(item.premise)
    if f" {claim} " in f" {premise} ":
        return True
    altered = any(word in item.kind for word in ("altered", "opposite", "number", "exchanged"))
    return not altered and len(claim) <= len(premise) and fuzz.partial_ratio(claim, premise) >= SAME
