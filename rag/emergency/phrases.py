"""Messages that say in a listed phrase that it is an emergency now, and the notice to show above anything else.

    red_flag("my dad has crushing chest pain")  ->  the notice

The phrases and notices are data, in `rag/emergency/phrases.toml`.
`python -m pytest tests/rag/emergency/test_phrases.py` runs it.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from index.words import words

MAX_CHARACTERS = 3_000
"""Read from the start and half as many from the end: an emergency is told in either, and time stays bounded."""
MAX_CLAUSE = 60
"""Words matched at a time; longer clauses are cut with an overlap."""

# Spellings people type in a hurry; whole words only.
_SPELLINGS = dict(
    pair.split("=")
    for pair in """
cant=can't cannot=can't wont=won't dont=don't isnt=isn't doesnt=doesn't im=i'm ive=i've hes=he's shes=she's
theyre=they're wanna=want_to gonna=going_to chestpain=chest_pain cheast=chest ches=chest chst=chest
breath=breathe breth=breathe breate=breathe brething=breathing breating=breathing breathin=breathing
throte=throat thoat=throat thraot=throat swolen=swollen swollin=swollen sweling=swelling swellin=swelling
swollowed=swallowed swalowed=swallowed swallwed=swallowed swallow=swallowed suicde=suicide sucide=suicide
suiside=suicide sucidal=suicidal suicidle=suicidal overdoes=overdose overdosed=overdosed unconcious=unconscious
unconsious=unconscious unconscous=unconscious siezure=seizure seizur=seizure seisure=seizure siezing=seizing
bleding=bleeding bleedin=bleeding hart=heart attak=attack strok=stroke pian=pain pane=pain painn=pain
allergik=allergic alergic=allergic anaphylatic=anaphylactic anaphalactic=anaphylactic pregant=pregnant
pregnat=pregnant bby=baby mum=mom mam=mom bottel=bottle tylanol=tylenol paracetemol=paracetamol kil=kill
killmyself=kill_myself mysef=myself collasped=collapsed colapsed=collapsed tounge=tongue tung=tongue
dropping=drooping slured=slurred vison=vision suddenley=suddenly sudenly=suddenly presure=pressure
""".split()
    for pair in [pair.replace("_", " ")]
)


# Combining marks, soft hyphen, zero-width and direction marks, variation selectors, tags.
_INVISIBLE = re.compile(
    "[\u0300-\u036f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KEYS = """
    breathe breathing attack suicide suicidal overdose overdosed unconscious unresponsive seizure bleeding swallowed
    swelling swollen throat tongue allergic reaction anaphylaxis anaphylactic pressure pregnant collapsed choking
    drooping slurred suddenly barely stroke poisoned paralyzed weakness vision myself headache convulsing fainted
    """.split()
_NOT_KEYS = frozenset(
    """
        attach attacks strike stroked strokes stoke stroker breeding bleedings barley rarely basely visions seizures
        reactions tongues throats pressures pressured cloaking chocking shoving smelling dwelling spelling stalking
        breathed breathes breather headaches overdoses suicides collapses swellings joking
        """.split()
)


@lru_cache(maxsize=1)
def _near() -> dict[str, str]:
    """Every string one edit away from a key word, to the word; swaps of neighbours count as one."""
    found: dict[str, str] = {}
    for key in _KEYS:
        for i in range(len(key) + 1):
            head, tail = key[:i], key[i:]
            edits = [head + tail[1:], head + tail[1::-1] + tail[2:]] if tail else []
            edits += [head + c + rest for c in _LETTERS for rest in (tail, tail[1:])]
            found |= dict.fromkeys(edits, key)
    return {word: key for word, key in found.items() if word not in _NOT_KEYS} | {key: key for key in _KEYS}


class Notice(str):
    """An emergency notice as text, with the `category` it belongs to."""

    category: str

    def __new__(cls, text: str, category: str) -> Notice:
        self = super().__new__(cls, text)
        self.category = category
        return self


@dataclass(frozen=True, slots=True)
class _Rule:
    category: str
    notice: str
    needs: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]


# Up to five words; bounded, like every repeat here, so that no message can make matching slow.
_GAP = r"(?: [^\s]{1,20}){0,5} "


@dataclass(frozen=True, slots=True)
class _Rules:
    rules: tuple[_Rule, ...]
    informational: re.Pattern[str]
    past: re.Pattern[str]
    present: re.Pattern[str]


@lru_cache(maxsize=1)
def _rules() -> _Rules:
    data = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text("utf-8"))
    lists: dict[str, str] = data["words"]

    def compiled(*patterns: str) -> re.Pattern[str]:
        pattern = "|".join(f"(?:{p})" for p in patterns)
        for _ in range(2):  # a word list may use another
            pattern = re.sub(r"\{([a-z]+)\}", lambda m: f"(?:{lists[m[1]]})", pattern)
        pattern = pattern.replace(" ~ ", _GAP).replace(")*", "){0,5}").replace(")+", "){1,5}")
        return re.compile(r"\b(?:" + pattern + r")(?!\w)")

    rules = tuple(
        _Rule(
            entry["category"],
            " ".join(entry["notice"].split()),
            frozenset(entry["needs"].split()),
            tuple(compiled(p) for p in entry["patterns"]),
            tuple(compiled(p) for p in entry.get("unless", ())),
        )
        for entry in data["flags"]
    )
    return _Rules(rules, compiled(*data["informational"]), compiled(*data["past"]), compiled(lists["now"]))


def red_flag(question: str) -> Notice | None:
    """The notice for a message that sounds like an emergency now, or None. Time is bounded for any length.

    It errs on the side of the notice for anyone who speaks of themselves or of someone with them; a
    question about a subject ("What are the signs of a stroke?") and what is long past give none.
    """
    known = _rules()
    for clause in _clauses(_plain(question)):
        said = frozenset(clause.split())
        rules = [rule for rule in known.rules if rule.needs & said]
        if not rules or known.informational.match(clause):
            continue
        if known.past.search(clause) and not known.present.search(clause):
            continue
        for rule in rules:
            if any(p.search(clause) for p in rule.patterns) and not any(p.search(clause) for p in rule.unless):
                return Notice(rule.notice, rule.category)
    return None


def _plain(text: str) -> str:
    """Lower case, compatibility forms folded, marks and invisible characters out."""
    if len(text) > 2 * MAX_CHARACTERS:
        text = text[:MAX_CHARACTERS] + " . " + text[-MAX_CHARACTERS // 2 :]
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.replace("’", "'").replace("‘", "'"))
        text = _INVISIBLE.sub("", text)
    text = re.sub(r"(\w)\1{2,}", r"\1\1", text.casefold().replace("`", "'").replace("\n", " . "))
    return re.sub(r"([.!?;,])(?:\s*[.!?;,])+", r"\1", re.sub(r"[^\w\s'.!?;,]+", " ", text))


def _clauses(text: str) -> list[str]:
    """Sentences without punctuation, usual misspellings righted, MAX_CLAUSE words at most each; a comma joins, as in
    hurried writing."""
    found = []
    near = _near()
    for part in re.split(r"[.!?;]+", text):
        righted = " ".join(_SPELLINGS.get(word) or near.get(word, word) for word in words(part, "_'")).split()
        for at in range(0, max(len(righted), 1), MAX_CLAUSE - 20):
            if at == 0 or len(righted) > at + 20:
                found.append(" ".join(righted[at : at + MAX_CLAUSE]))
    return list(dict.fromkeys(clause for clause in found if clause))
