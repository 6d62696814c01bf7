"""Sentences of a corpus, altered by rule, with their passages: what attribution and the citation checker are tried on.

    cases(pairs, n=400, seed=0)  ->  (kind, what the draft says, the page's sentence, sources)

TRUE_KINDS say what their page says, FALSE_KINDS do not.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from index.corpus import QAPair
from index.sentences import spans
from index.words import tokens
from rag.answer import Source
from rag.attribution.entities import names
from rag.attribution.quantities import quantities

WORDS = 180
TRUE_KINDS = ("own", "reworded", "shortened", "merged", "miscopied")
FALSE_KINDS = (
    "number", "negation", "opposite", "entity", "same page, other passage", "other page",
    "number of a reference", "no content word",
)  # fmt: skip
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


def _number(text: str, rng: random.Random) -> str | None:
    digits = list(re.finditer(r"(?<![\w.,])\d+(?![\w,])", text))
    if not digits:
        return None
    match = rng.choice(digits)
    value = int(match.group())
    other = rng.choice([value + 1, value * 2 + 1, max(1, value // 2) + (value < 3), value + 10])
    return text[: match.start()] + str(other) + text[match.end() :] if other != value else None


def _of_a_reference(sentence: str, passage: str, rng: random.Random) -> tuple[str, str] | None:
    """The sentence with a number that the returned passage has only in a reference behind that sentence, or None."""
    digits = list(re.finditer(r"(?<![\w.,/-])\d+(?![\w,/-]|\.\d)", sentence))
    if not digits or not sentence.endswith(".") or "[" in sentence:
        return None
    match, form = rng.choice(digits), rng.choice(_REFERENCES)
    taken = {quantity.value for quantity in quantities(passage)}
    free = [str(n) for n in (range(1950, 2010) if "et al" in form else range(2, 60)) if n not in taken]
    if not free:
        return None
    other, end = rng.choice(free), passage.index(sentence) + len(sentence) - 1
    draft = sentence[: match.start()] + other + sentence[match.end() :]
    return draft, passage[:end] + form.format(other) + passage[end:]


def _empty(passage: str, rng: random.Random) -> str | None:
    """A sentence of function words and a number of the passage."""
    found = re.findall(r"(?<![\w.,])\d+(?![\w,]|\.\d)", passage)
    return rng.choice(_EMPTY).format(rng.choice(found)) if found else None


def _negation(text: str, rng: random.Random) -> str | None:
    if re.search(r"\b(?:not|no|never|without|cannot)\b|n't", text, re.IGNORECASE):
        changed = re.sub(r"\b(?:does|do|did) not |\bnot |\bnever |(?<=can)not\b", "", text, count=1)
        return changed if changed != text else None
    match = re.search(r"\b(?:is|are|can|may|will|should|was|were|has|have)\b", text)
    return text[: match.end()] + " not" + text[match.end() :] if match else None


def _opposite(text: str, rng: random.Random) -> str | None:
    found = [m for m in re.finditer(r"\b[a-z]+\b", text) if m.group() in _OPPOSITES]
    if not found:
        return None
    match = rng.choice(found)
    return text[: match.start()] + _OPPOSITES[match.group()] + text[match.end() :]


def _entity(text: str, rng: random.Random, others: Sequence[str], focus: str) -> str | None:
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
            "negation": _negation(sentence, rng),
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
    return Source(
        n=n, passage_id=f"{pair.id}#{n}", pair_id=pair.id, title=pair.title, question=pair.question, text=text
    )
