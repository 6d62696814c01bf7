"""A follow-up as a question of its own: what the turns before say of it is put in.

    understood(["what is gout", "and how is it treated?"], retriever)   ->   Standalone("how is gout treated?", "gout")

By rules over the names of topics that the corpus knows. A question that names its own topic stands as it is; one that
points back ("it", "that disease") or only asks for an aspect ("symptoms?") gets the topic of the last question that had
one; a bare name ("and asthma?") asks of it what was asked before; a group ("what about children?") or a correction
("no, I meant type 1") changes the last question. `medcite eval dialogues` measures it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from index.words import terms, words
from rag.retrieval.aspects import TYPED, asking
from rag.retrieval.reranker import CHATTER

HISTORY = 8
"""Questions before that are looked at."""
NO_QUESTION = "That is no health question. Ask about a condition, a symptom, a test or a treatment."
"""Said to thanks, greetings and questions about the program."""
FEW, FEW_WORDS = 2, 10
"""Words of a question that say what about, at most, for it to be taken as asking about the topic before; words in all
of one that leaves open of what."""
SURE, SURER = 0.5, 0.1
"""How surely a question is covered alone, not to be asked of the topic before; and how much surer that has to be."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's name as a question has it, and where: characters `start:end`."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Standalone:
    """A question as it is to be searched, what of the turns before is in it, and the topic among that; else empty."""

    text: str
    taken: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question before, which stands alone, and the topic that it took from those before it."""

    text: str
    subject: str = ""


Sure = Callable[[str], float]
"""How surely a question is covered, in 0..1: `rag.retrieval.hybrid.HybridRetriever.sure`."""


class Retriever(Protocol):
    """What of `rag.retrieval.hybrid.HybridRetriever` is asked."""

    @property
    def topics(self) -> Topics: ...
    @property
    def speller(self) -> Any: ...
    @property
    def sure(self) -> Sure: ...


class Topics(Protocol):
    """What finds the topics that a text names, in its order: `rag.retrieval.hybrid.HybridRetriever.topics`."""

    def __call__(self, text: str, loosely: bool = False) -> Sequence[Topic]: ...


_SMALL = frozenset("the a an my for of about with in i have also too as well then this".split())
_LEAD = re.compile(
    r"^(?:(?:and|so|ok(?:ay)?|but|also|then|well|hmm+|oh|alright|right|thanks?|thank you|thx|great|cool|got it|i see"
    r"|yes|yeah|sure|please)\b[\s,.!:;-]*)+",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"^(?:(?:what|how) about|what if (?:it(?:'s| is)|i have)|same (?:question )?for"
    r"|(?:what |how )?(?:if|when) (?:you|i|she|someone|somebody|one)(?:'re|'m|'s| are| am| is))\s+",
    re.IGNORECASE,
)
_CORRECTS = re.compile(
    r"^(?:(?:no|nope|sorry|oops|actually|wait|ah|oh|my bad|correction|typo|to be exact|more precisely|or rather)\b"
    r"[\s,.!:;-]*|\*+\s*|not \w+[.,!]\s*)*"
    r"(?:(?:i (?:mean|meant|was asking|am asking|was thinking|am talking|was talking|forgot)"
    r"|i think it'?s spelled|it'?s spelled|spelled|make that)\b"
    r"(?: to (?:say|ask|write|type|add|mention))?(?: about| of| for)?\b[\s,:]*)?",
    re.IGNORECASE,
)
_KIND = re.compile(r"(?P<before>type|stage|grade|class)\s+\w+|(?:the )?[\w-]+ (?:type|kind|form|one)", re.IGNORECASE)
_CORRECTED = re.compile(
    r"[\s,.!(-]+(?:(?:sorry|autocorrect|typo|oops|i mean|i meant|is what i meant|instead)\b[\s,.!)]*)+$", re.IGNORECASE
)
_NOT = re.compile(r"[\s,;(]*\b(?:and )?(?:not|rather than|instead of)\b.*$", re.IGNORECASE)
_GROUP = re.compile(
    r"(?:(?:in|for|with|during|among)\s+)?"
    r"(?:(?:my|a|an|the|older|young|younger|small|little|very|adult|pregnant|elderly)\s+)*"
    r"(?:child(?:ren)?|kids?|bab(?:y|ies)|infants?|newborns?|toddlers?|teen(?:ager)?s?|adolescents?|adults?|men|women"
    r"|man|woman|males?|females?|guys|boys?|girls?|seniors?|(?:old(?:er)? )?folks|elderly|old(?:er)? people"
    r"|people over \d+|pregnan(?:t|cy)|expecting|breast ?feeding|athletes?|diabetics?|\d+[ -]years?[ -]olds?)"
    r"(?:\s+(?:women|people|adults|mothers|men))?\b",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\b(?:(?:this|that|such an?) (?:problem|thing|test|cancer|diagnosis|medicine|drug|virus|one)"
    r"|(?:this|that|the|such an?) (?:disease|condition|disorder|illness|syndrome|infection)|it|this|that|them)\b(?!')",
    re.IGNORECASE,
)
_LEFT_OPEN = re.compile(
    r"\b(?:helps?|works?|allowed|necessary|needed|okay|ok|safe|enough|normal|(?:a|an|the|its) (?:sign|symptom|cause"
    r"|side effect|complication)|part|bad|dangerous|make a difference)\W*$",
    re.IGNORECASE,
)
"""Ends of questions that leave open of what: "can itching be a sign?"."""
_PERSON = re.compile(r"\b(?:he|she|him|her|his)\b", re.IGNORECASE)
_MANY = re.compile(r"\b(?:they|these|those)\b", re.IGNORECASE)
_HAVING = r"have|has|had|having|got|with|about|of|for|diagnosed (?:with|as)"
_BEFORE_NAME = r"(?: (?:a|an|the|my|his|her|mild|severe|chronic|acute))*\s*$"
_SAID_OF = re.compile(rf"\b(?:{_HAVING}|gets|is|are|was|causes?|says?|called){_BEFORE_NAME}", re.IGNORECASE)
_ABOUT_IT = re.compile(rf"\b(?:{_HAVING}|in){_BEFORE_NAME}", re.IGNORECASE)
"""What stands before a topic that a text may be about, and before the one that it is about."""
_ITS = re.compile(r"\b(?:its|their)\b", re.IGNORECASE)
_ITSELF = re.compile(
    r"\b(?:is|was|does|can|could|will|would|may|might) it (?:ok(?:ay)?|safe|possible|true|normal|common for"
    r"|bad for me|good|better|important|necessary)\b(?! with)"
    r"|\bthat (?:i|you|we|he|she|they|is|are|can|could|was|may|help|cause)\b"
    r"|\bit (?:hurts|feels|looks) \w+ (?:when|if)\b|\bso that\b|\bthis (?:morning|week|month|year|time)\b",
    re.IGNORECASE,
)
"""Where such words point to nothing that was said before."""
_BESIDE = re.compile(
    r"(?:clinical trials?|vaccin\w+|immuni[sz]ation\w*|surger(?:y|ies)|biops(?:y|ies)|endoscop\w+|colonoscop\w+"
    r"|mri(?: scans?)?|ct scans?|x-?rays?|ultrasound|(?:genetic|blood|laboratory|lab) test(?:s|ing)?|antibiotics?"
    r"|steroids?|pain relievers?|exercise\w*|diets?|nutrition|vitamin \w+|vitamins?|supplements?|caffeine|coffee"
    r"|alcohol|smoking|stress|sleep|weight|medicines?|drugs?|aspirin|insulin|chemotherapy|radiation(?: therapy)?"
    r"|transplant\w*|physical therapy|massage|child(?:ren)?|men|women|pregnancy|teen\w*|seniors|family|school|travel"
    r"|sports?|work)",
    re.IGNORECASE,
)
"""Names of pages that are asked about beside a condition rather than for themselves."""
_WHAT_IS = re.compile(r"\bwhat(?:'s| is| are)(?: an?| the)?\s*$", re.IGNORECASE)
_PLACES = re.compile(
    r"\b(?:the )?(?P<place>first|second|third|last|former|latter|other)(?: one| disease| condition| thing)?\b"
    r"(?! (?:sign|symptom|time|step|week|month|day|year|line|stage|aid|degree|thing))",
    re.IGNORECASE,
)
_BOTH = re.compile(
    r"\bwhich (?:one )?(?:of (?:them|the two|these) )?(?:is|are|one|has|lasts?|causes?)\b"
    r"|\b(?:difference|differ|compare|both|worse|between (?:them|the two|these)|the same(?: thing| as)?"
    r"|related to each other)\b",
    re.IGNORECASE,
)
_NO_QUESTION = re.compile(
    r"^(?:(?:ok(?:ay)?|thanks?|thank (?:you|u)|thx|ty|great|good|cool|nice|perfect|awesome|got it|i see|hi|hello|hey"
    r"|bye|goodbye|good (?:morning|evening|night|day)|yes|no|yeah|sure|wow|oh|hmm+|lol"
    r"|that (?:is|was)? ?(?:really |very )?(?:helps?|helpful|useful|good|great|clear|all)"
    r"|that'?s (?:all|it|good|great|helpful|clear|scary)|very|so|much|a lot|for (?:the|your) (?:help|info(?:rmation)?"
    r"|answer)|helpful|you|there|again|now|everyone|doctor|doc|makes sense|understood|appreciate it"
    r"|(?:who|what) are you|who made you|i|(?:did not|didn'?t) know that"
    r"|are you (?:a )?(?:doctor|human|robot|bot|real|there)(?: or (?:a )?(?:doctor|human|robot|bot))?)[\s,.!?:;)-]*)+$",
    re.IGNORECASE,
)


def asks(text: str) -> bool:
    """Whether a turn is a question at all, and not thanks, a greeting, or about the program."""
    return not _NO_QUESTION.match(text.strip())


def understood(turns: Sequence[str], retriever: Retriever) -> Standalone:
    """The last of some turns, oldest first, as a question of its own, its spelling corrected."""
    if len(turns) < 2:
        return Standalone("".join(turns))
    before: list[Asked] = []
    found = Standalone("")
    for turn in turns:
        found = standalone(retriever.speller.correct(turn).text, before, retriever.topics, retriever.sure)
        before += [Asked(found.text, found.subject)] if asks(found.text) else []
    return found


def standalone(question: str, earlier: Sequence[Asked], topics: Topics, sure: Sure | None = None) -> Standalone:
    """The question as it is understood after those `earlier`, which stand alone themselves, oldest first.

    `sure` says how surely a question is covered: one that neither names a topic nor points back is asked of the topic
    before where that is surer.
    """
    before = [one for one in earlier[-HISTORY:] if asks(one.text)]
    if not before or not asks(question):
        return Standalone(question)
    known: dict[str, str] = {}  # topics said before by their name in small letters, the last one last
    order: list[str] = []  # the same as they first came
    loosely = not any(topics(one.text) for one in before)
    for one in before:
        said = [topic.name for topic in _main_last(one.text, topics(one.text, loosely=loosely))]
        for name in [*said, one.subject] if one.subject else said:
            key = name.lower()
            order += [] if key in known else [name]
            known.pop(key, None)
            known[key] = name
    last = before[-1].text
    rest = _LEAD.sub("", question).strip() or question
    corrected = _CORRECTS.match(rest)
    begun = corrected.end() if corrected else 0
    meant = _CORRECTED.sub("", rest[begun:])
    if begun or meant != rest:
        found = _corrected(meant, last, topics)
        if found:
            return found
        rest = meant or rest
    own = [one for one in topics(rest) if _WHAT_IS.search(rest[: one.start]) or not _BESIDE.fullmatch(one.name)]
    about = _ABOUT.sub("", rest)
    bare = about.strip(" ?.!")
    if _GROUP.fullmatch(bare):
        return Standalone(_in_group(last, bare), last) if known else Standalone(question)
    names = list(known.values())
    open_end = _LEFT_OPEN.search(rest) is not None and len(rest.split()) <= FEW_WORDS
    refers = bool(names) and (_refers(rest, own, names[-1]) or open_end)
    if own and not refers:
        if len(own) == 1 and _only(bare, own[0].name) and (asked := topics(last) or _blank(last)):
            return Standalone(_put(last, asked[-1], own[0].name), last)
        return Standalone(question)
    if not names:
        return Standalone(question)
    if len(names) > 1 and _BOTH.search(rest) and not own:
        return Standalone(_with(rest, f"{names[-2]} and {names[-1]}"), f"{names[-2]}, {names[-1]}")
    place = _PLACES.search(rest)
    if len(names) > 1 and place and not own:
        at = {"first": 0, "former": 0, "second": 1, "third": 2}.get(place["place"].lower(), len(order) - 1)
        name = names[-2] if place["place"].lower() == "other" else order[min(at, len(order) - 1)]
        if place.group().strip() == bare and (asked := topics(last)):
            return Standalone(_put(last, asked[-1], name), last, name)
        return Standalone(_cleaned(rest[: place.start()] + name + rest[place.end() :]), name, name)
    made = Standalone(_about(rest, names[-1]), names[-1], names[-1])
    if refers or _little(rest) or _PERSON.search(rest):
        return made
    if sure is not None and (alone := sure(question)) < SURE and sure(made.text) > alone + SURER:
        return made
    return Standalone(question)


def _main_last(text: str, found: Sequence[Topic]) -> list[Topic]:
    """The topics of a text, the one that it is about last: "I have gout and burp a lot" is about gout."""
    main = [one for one in found if _ABOUT_IT.search(text[: one.start]) and not _BESIDE.fullmatch(one.name)]
    return [one for one in found if one not in main[:1]] + main[:1]


def _blank(last: str) -> list[Topic]:
    """Where a question asked of nothing: the word in it that pointed to what was not said."""
    found = _POINTS.search(last)
    return [Topic(found.group(), found.start(), found.end())] if found else []


def _corrected(text: str, last: str, topics: Topics) -> Standalone | None:
    """The last question with what was meant in the place of what was said; None where no such name is left."""
    meant = _NOT.sub("", text).strip(" ,.?!")
    said = topics(last) or topics(last, loosely=True) or _blank(last)
    if not meant or len(meant.split()) > 6:
        return None
    if _GROUP.fullmatch(meant):
        return Standalone(_in_group(last, meant), last)
    kind = _KIND.fullmatch(meant)
    if kind and kind["before"]:
        changed, count = re.subn(rf"\b{kind['before']}\s+\w+", kind.group(), last, count=1, flags=re.IGNORECASE)
        if count:
            return Standalone(changed, last)
    if kind and said:
        return Standalone(_put(last, said[-1], f"{meant.removeprefix('the ')} {said[-1].name}"), last)
    own = topics(meant)
    if own and said and _only(meant, own[0].name):
        return Standalone(_put(last, said[-1], own[0].name), last)
    return None


def _refers(text: str, own: Sequence[Topic], name: str) -> bool:
    """Whether a word points to what was said before, and not to a topic of the text itself ("gout, is it ...")."""
    text = asking(text) if not own else text
    masked = _ITSELF.sub(lambda found: "x" * len(found.group()), text)
    pointing = _pointing(masked, name)
    return pointing is not None and not any(
        topic.end <= pointing.start()
        and re.search(r"\band\b|[,.?!;:]", text[topic.end : pointing.start()])
        and (_SAID_OF.search(text[: topic.start]) or not _LEAD.sub("", text[: topic.start]))
        for topic in own
    )


def _only(text: str, name: str) -> bool:
    """Whether a text says nothing but a name."""
    return set(words(text.lower())) <= set(words(name.lower())) | _SMALL


def _little(text: str) -> bool:
    """Whether hardly a word of a text says what it is about, so that it asks for something of the topic before."""
    return len(set(terms(TYPED.sub(" ", text))) - CHATTER) <= FEW and len(text.split()) <= 14


def _put(last: str, topic: Topic, name: str) -> str:
    """A question with another name in the place of a topic's."""
    return last[: topic.start] + name + last[topic.end :]


def _in_group(last: str, group: str) -> str:
    """The last question asked of a group of people, in the place of the one that it was asked of."""
    bare = last.rstrip(" ?.!")
    end = last[len(bare) :].strip()
    name = re.sub(r"^(?:in|for|with|during|among)\s+", "", group, flags=re.IGNORECASE)
    said = _GROUP.search(bare)
    if said and not re.match(r"(?:pregnan|expect|breast)", name, re.IGNORECASE):
        before = re.match(r"(?:(?:in|for|with|during|among|when)\s+)?", said.group(), re.IGNORECASE)
        lead = "in " if before and before.group() else ""
        return f"{bare[: said.start()]}{lead}{name}{bare[said.end() :]}{end}"
    bare = bare[: said.start()].rstrip() if said and said.end() == len(bare) else bare
    if re.match(r"(?:pregnan|expect|breast ?feed)", name, re.IGNORECASE):
        name = f"during {name}" if name.lower().endswith("cy") else f"when {name}"
    else:
        name = f"in {name}"
    return f"{bare} {name}{end}"


def _pointing(text: str, name: str) -> re.Match[str] | None:
    """The first word that points back; "they" to a name in the plural alone."""
    many = _MANY.search(text) if re.search(r"[^isu]s$", name) else None
    return _POINTS.search(text) or many or _ITS.search(text)


def _about(text: str, name: str) -> str:
    """The question with the name in the place of the first word that points back, or behind it."""
    pointing = _pointing(_ITSELF.sub(lambda found: "x" * len(found.group()), text), name)
    if pointing is None:
        return _with(text, name)
    put = f"{name}'s" if _ITS.fullmatch(pointing.group()) else name
    return _cleaned(text[: pointing.start()] + put + text[pointing.end() :])


def _with(text: str, name: str) -> str:
    """The question with a name behind it."""
    bare = text.rstrip(" ?.!")
    return _cleaned(f"{bare} ({name}){text[len(bare) :].strip()}")


def _cleaned(text: str) -> str:
    return " ".join(text.split())
