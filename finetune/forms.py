"""Questions in the forms that people use, made by rules from a corpus's topics, for training and calibration.

    made(pairs, rows, 4000, seed=0)   ->   [Made("how long does shingles last", row=..., kind="covered"), ...]
    asked(pair, dice)                 ->   "is there anything that helps with gout"

`forms.toml` holds the forms: keywords, whole questions, stories that name the topic and ask afterwards, and
questions that no page answers. Some names are misspelt, some are a synonym whose being one is hidden from retrieval.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from index.corpus import QAPair
from index.splits import normalize
from rag.retrieval.names import theme

FORMS = Path(__file__).with_name("forms.toml")
OFF, MASKED, STORY, SYNONYM, HIDDEN, MISSPELT, LOWER = 0.15, 0.28, 0.3, 0.45, 0.6, 0.15, 0.7
"""Shares: questions that no page answers; of the others, those whose topic is taken out of the index; stories;
questions by a synonym, and of these those that are hidden; misspelt names; names in lower case."""
COMMON = frozenset({"information", "symptoms", "treatment", "causes"})
"""Question types that people ask for most: drawn more often."""
OPENED = 0.15
"""Of the questions of `asked`, those that begin with a greeting or a sentence about the asker."""
MAX_NAME_WORDS = 8


@dataclass(frozen=True, slots=True)
class Made:
    """A question, the pair it asks for, and whether the index is to have its topic.

    `off`: the topic is there, but no page answers. `hidden`: a synonym in the question that retrieval is not to know.
    """

    question: str
    row: int
    kind: Literal["covered", "masked", "off"]
    hidden: str = ""


@cache
def forms_of() -> dict[str, Any]:
    """The table of forms."""
    return tomllib.loads(FORMS.read_text("utf-8"))


def asked(pair: QAPair, dice: random.Random, kind: str = "", second: str = "") -> str:
    """A question of type `kind` (the pair's own where it is empty) about the pair's focus, as somebody may put it.

    With `second` it asks for two things. Empty where there is no form for the type, or no short name.
    """
    forms, kind = forms_of(), kind or pair.question_type
    name, _ = _name(pair, dice)
    if kind not in forms["asked"] or not pair.focus or len(name.split()) > MAX_NAME_WORDS:
        return ""
    if dice.random() < STORY and not second:
        return _story(forms, kind, name, dice)
    question: str = dice.choice([*forms["asked"][kind], *forms["more"][kind]]).format(x=name)
    if second:
        also = dice.choice(forms["after"][second])
        question = f"{question.rstrip(' ?.')} and {also[:1].lower()}{also[1:]}"
    elif dice.random() < OPENED:
        question = dice.choice(forms["openings"]) + question
    if dice.random() < 0.4 and question[-1] not in "?.!":
        question += "?"
    return question


def made(pairs: Sequence[QAPair], rows: Iterable[int], count: int, seed: int) -> list[Made]:
    """`count` questions over pairs among `rows` that have a focus; every institute's pages alike."""
    forms = forms_of()
    dice = random.Random(f"forms {seed}")
    groups: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        pair = pairs[row]
        if pair.question_type in forms["asked"] and pair.focus:
            groups.setdefault(pair.question_type, {}).setdefault(pair.source, []).append(row)
    kinds = sorted(groups)
    weights = [2.5 if kind in COMMON else 1.0 for kind in kinds]
    found: list[Made] = []
    while len(found) < count and kinds:
        kind = dice.choices(kinds, weights)[0]
        row = dice.choice(groups[kind][dice.choice(sorted(groups[kind]))])
        name, hidden = _name(pairs[row], dice)
        if len(name.split()) > MAX_NAME_WORDS:
            continue
        if dice.random() < OFF:
            beside = {"y": dice.choice(forms["remedies"]), "z": dice.choice(forms["medicines"])}
            question, covered = dice.choice(forms["off"]).format(x=name, **beside), "off"
        else:
            question = _story(forms, kind, name, dice) if dice.random() < STORY else ""
            question = question or dice.choice(forms["asked"][kind]).format(x=name)
            covered = "masked" if dice.random() < MASKED else "covered"
        if len(question.split()) < 14:
            question = dice.choice(["", *forms["openings"]]) + question
        if dice.random() < 0.4 and question[-1] not in "?.!":
            question += "?"
        found.append(Made(question, row, covered, hidden))  # type: ignore[arg-type]
    return found


def _name(pair: QAPair, dice: random.Random) -> tuple[str, str]:
    """A name of the pair's topic as somebody types it, and the synonym in it that is to be hidden."""
    synonyms = [name for name in pair.synonyms if not theme(name) and len(name) < 60]
    name = dice.choice(synonyms) if synonyms and dice.random() < SYNONYM else pair.focus
    hide = name != pair.focus and normalize(pair.focus) not in normalize(name) and dice.random() < HIDDEN
    hidden = name if hide else ""
    if dice.random() < 0.5:
        name = re.sub(r"\s*\(.*?\)", "", name) or name
    if dice.random() < LOWER and not name.isupper():
        name = name.lower()
    if dice.random() < MISSPELT:
        words = name.split()
        place = max(range(len(words)), key=lambda at: len(words[at]))
        words[place] = _misspelt(words[place], dice)
        name = " ".join(words)
    return name, hidden


def _misspelt(word: str, dice: random.Random) -> str:
    """One letter left out, doubled, changed or changed places with the next."""
    if len(word) < 5:
        return word
    at = dice.randrange(1, len(word) - 1)
    return dice.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at] + word[at:],
            word[:at] + dice.choice("aeiou") + word[at + 1 :],
        ]
    )


def _story(forms: dict[str, Any], kind: str, name: str, dice: random.Random) -> str:
    """A message of up to eight sentences that names the topic once or twice and asks for one thing."""
    blanks = {
        "x": name,
        "rel": dice.choice(["mother", "son", "daughter", "husband", "wife", "brother", "aunt", "friend"]),
        "rel_c": dice.choice(["My father", "My niece", "My partner", "My grandma"]),
        "t": dice.choice(["last month", "two years ago", "in March", "recently"]),
        "t2": dice.choice(["ten years", "a while", "three months"]),
        "age": dice.randrange(3, 84),
        "sex": dice.choice(["woman", "man", "male", "female"]),
    }
    sentences = dice.sample(forms["beside"], dice.randrange(1, 6))
    if dice.random() < 0.75:
        sentences.insert(dice.randrange(len(sentences) + 1), dice.choice(forms["told"]))
        question = dice.choice(forms["after"][kind])
    else:
        question = dice.choice(forms["asked"][kind])
        question = question[:1].upper() + question[1:] + ("" if question.endswith("?") else "?")
    sentences.insert(len(sentences) if dice.random() < 0.8 else 0, question)
    if dice.random() < 0.3:
        sentences.insert(0, "{x}.")
    ending = dice.choice(["", *forms["endings"]])
    return " ".join([*(sentence.format(**blanks) for sentence in sentences), ending]).strip()
