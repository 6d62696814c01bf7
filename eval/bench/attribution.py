"""How well attribution tells what its sources say: labelled variants of real sentences, made by rule.

    python -m eval.bench.attribution CORPUS [-n 400] [--seed 0] [--json]

Every case is one sentence of a page, changed or not, and three to five passages as sources. For each kind
of change: the share shown as supported, the share shown in a source's own words (a quotation is never
false), the share supported in the draft's words, and where the page is among the sources, how often it
is the one cited. `facts only` repeats it with quoting off, so that the checks of facts stand alone.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs import errors
from configs.schema import Answering, Cleaning
from index.corpus import QAPair
from index.sentences import spans
from index.sources import load_corpus
from rag.answer import Source
from rag.attribution.attribute import attribute
from rag.attribution.entities import names
from rag.attribution.quantities import quantities
from rag.attribution.references import without_marks
from rag.attribution.words import tokens

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
        mine = [_source(1, pair, pieces[k])]
        near = [other for j, other in enumerate(pieces) if j != k]
        strangers = [(other, rng.choice(passages(other.answer))) for other in rng.sample(pages, min(4, len(pages)))]
        strangers = [(other, text) for other, text in strangers if other.focus != pair.focus][:3]
        rest = [_source(m, other, text) for m, (other, text) in enumerate(strangers, 2)]
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
            made.append(("number of a reference", draft, sentence, [_source(1, pair, passage), *rest]))
        if empty := _empty(pieces[k], other_rng):
            made.append(("no content word", empty, "", [*mine, *rest]))
        if near and sentence not in " ".join(near):
            made.append(("same page, other passage", sentence, "", [_source(1, pair, rng.choice(near)), *rest]))
        if rest and all(sentence not in source.text for source in rest):
            made.append(("other page", sentence, "", rest))
    return made


def _source(n: int, pair: QAPair, text: str) -> Source:
    return Source(
        n=n, passage_id=f"{pair.id}#{n}", pair_id=pair.id, title=pair.title, question=pair.question, text=text
    )


def measure(made: Sequence[tuple[str, str, str, list[Source]]], settings: Answering) -> dict[str, dict[str, float]]:
    """For each kind: n and shares in 0..1."""
    table: dict[str, dict[str, float]] = {}
    for kind, text, original, sources in made:
        row = table.setdefault(kind, dict.fromkeys(("n", "supported", "quoted", "restored", "reworded", "cited"), 0.0))
        found = attribute(text, sources, settings)
        original = without_marks(original)  # as a source shows it
        good = [s for s in found if s.supported]
        row["n"] += 1
        row["supported"] += bool(good)
        row["quoted"] += bool(good) and all(s.quoted for s in good)
        row["restored"] += bool(original) and any(s.quoted and original in s.text for s in good)
        row["reworded"] += any(not s.quoted for s in good)
        row["cited"] += bool(original) and any(s.citations[0] == 1 for s in good)
    for row in table.values():
        for name in row:
            row[name] = row[name] if name == "n" else round(row[name] / row["n"], 3)
    return {kind: table[kind] for kind in (*TRUE_KINDS, *FALSE_KINDS) if kind in table}


def milliseconds(pairs: Sequence[QAPair], seed: int, rounds: int = 50) -> dict[str, float]:
    """Median and 95th percentile of attributing about 100 words against five passages, none seen before."""
    from rag.attribution.support import read

    rng = random.Random(seed)
    pages = [pair for pair in pairs if len(pair.answer.split()) > 120]
    taken = []
    for _ in range(rounds):
        sources = [_source(n, p, passages(p.answer)[0]) for n, p in enumerate(rng.sample(pages, min(5, len(pages))), 1)]
        draft = " ".join(" ".join(source.text.split()[:35]) + " [1]." for source in sources[:3])
        read.cache_clear()
        started = time.perf_counter()
        attribute(draft, sources, Answering())
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return {"p50_ms": round(taken[len(taken) // 2], 2), "p95_ms": round(taken[int(len(taken) * 0.95)], 2)}


def run(corpus_path: str | Path, n: int = 400, seed: int = 0) -> dict[str, Any]:
    """The tables for `n` sentences of a corpus, with the default thresholds. Raises UserError for the corpus."""
    pairs = load_corpus([str(corpus_path)], Cleaning()).pairs
    made = cases(pairs, n, seed)
    settings = Answering()
    return {
        "sentences": n,
        "seed": seed,
        "settings": settings.model_dump(),
        "kinds": measure(made, settings),
        "facts_only": measure(made, settings.model_copy(update={"quote_threshold": 1.0})),
        "speed": milliseconds(pairs, seed),
    }


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = ["| sentence | n | supported | quoted | restored | in its own words | cites its page | facts only |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for kind, row in result["kinds"].items():
        alone = result["facts_only"][kind]["reworded" if kind in FALSE_KINDS else "supported"]
        shares = [f"{row[name]:.3f}" for name in ("supported", "quoted", "restored", "reworded", "cited")]
        lines.append(f"| {kind} | {row['n']:.0f} | " + " | ".join(shares) + f" | {alone:.3f} |")
    return "\n".join(lines) + f"\n\nattribute: {result['speed']}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m eval.bench.attribution", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("corpus", type=Path, help="MedQuAD's zip or folder, a table, or `starter`")
    parser.add_argument("-n", type=int, default=400, help="sentences (default: 400)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(argv)
    result = run(args.corpus, args.n, args.seed)
    print(json.dumps(result, indent=1) if args.json else table(result))
    return 0


if __name__ == "__main__":
    errors.run(main)
