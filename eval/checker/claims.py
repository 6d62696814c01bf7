"""What a citation checker measures of a claim and a premise: how much of the claim the premise says, and what differs.

The claim is laid along the stretch of the premise that is most like it, word by word; what remains are words that
came, went or took another's place. Shares nothing with the code that makes the citations (`rag/attribution/`), or
the judge would repeat the judged one's mistakes. `python -m eval citations` reports it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import Stemmer
from rapidfuzz.distance import Levenshtein

from eval.checker.numbers import among, numbers
from index.sentences import spans

NAMES = (
    "whole", "stretch", "aligned", "run", "missing", "missing_rare", "missing_names", "missing_numbers", "far_numbers",
    "negation", "opposite",
)  # fmt: skip
"""The features in the order of what `compare` returns.

Shares in 0..1 of the claim: of its content words that the premise holds, and the stretch most like it; of all its
words that stand in the stretch in the same order, and in one run. Counts of what differs, at most CAP each: content
words that the stretch lacks; long ones, and names, that all of the premise lacks; numbers that the premise lacks, and
that only the stretch lacks; negations that came or went; words turned round. (Shares of word pairs, and of one sentence
alone, were tried: they changed nothing on validation but to refuse more rewordings.)"""
CAP = 3
RARE_LETTERS = 8
"""A content word of as many letters is called rare: in English text long words are."""
HEADING = 20
"""Words that a heading may have."""
SLACK = 8
"""Words that a stretch may be longer than the claim."""

_stem = lru_cache(maxsize=50_000)(Stemmer.Stemmer("english").stemWord)
_WORD = re.compile(
    r"\d+(?:[.,]\d+)*(?![^\W_])|\d+(?:\.\d+)?(?=(?:mg|mcg|µg|g|kg|ml|dl|l|mm|cm)\b)|[^\W_]+(?:'[^\W_]+)*"
)
_FLAT = {ord(c): "'" for c in "‘’ʼ´"} | {ord("\u00ad"): ""}
_STOP = frozenset(
    """
a about after again all also am an and any are as at be because been before being both but by can could did do does
doing during each either for from further get gets had has have having he her here hers him his how i if in into is it
its itself just like many may me might more most much must my of off on once one only or other others our out over own
s same she should so some such than that the their theirs them themselves then there these they this those through to
too up upon us very was we were what when where whether which while who whom whose why will with would you your yours
however often usually include includes including called known people person
""".split()
)
_NOT = frozenset("not no never without cannot none neither nor nobody nothing lack lacks lacking".split())
_CONTRARY = """
increase decrease reduce lower fall|increased decreased reduced lowered|increases decreases reduces lowers
increasing decreasing reducing|raise lower|raises lowers|raised lowered|rise fall drop|high low|higher lower
highest lowest|more less fewer|most least few|many few|rare common frequent|uncommon common
rarely commonly often usually|before after|earlier later|early late|always never|benign malignant cancerous
acute chronic|dominant recessive
male female|males females|men women|man woman|boys girls|boy girl|mother father|mothers fathers|maternal paternal
mild severe serious|upper lower|left right|inherited acquired sporadic|gain loss|gains loses|long short
longer shorter|large small|larger smaller|big small|safe dangerous harmful unsafe|better worse|improve worsen
improves worsens|improved worsened|start stop|begin end|begins ends|positive negative|strong weak|stronger weaker
thick thin|thicker thinner|fast slow|rapid slow|rapidly slowly|quickly slowly|above below|inside outside
internal external|presence absence|present absent|excess deficiency shortage|overactive underactive|allow prevent
allows prevents|cause prevent|causes prevents|temporary permanent|first last|minimum maximum|minor major|hot cold
wet dry|warm cool|adult child|adults children|older younger|old young|oldest youngest|homozygous heterozygous
proximal distal|anterior posterior|front back|top bottom|systolic diastolic|avoid take|prenatal postnatal
autosomal x|all some few none|may must|can must|simple complex|same different|similar different
partial complete full|full empty|open closed
wide narrow|deep shallow|constipation diarrhea|primary secondary|central peripheral|active passive|hard soft
tight loose|easy difficult|easily hardly|much little|daily weekly monthly|day night
morning evening|always sometimes rarely
"""
_PREFIXES = frozenset("un in im ir il non ab dis anti".split())
_TURNED = (("hyper", "hypo"), ("over", "under"), ("pre", "post"))


def _contraries(table: str) -> dict[str, frozenset[str]]:
    # The first word of a row is contrary to each of the others; those are no contraries of one another.
    found: dict[str, set[str]] = {}
    for row in re.split(r"[|\n]", table.strip()):
        first, *rest = (word if word in _STOP else _stem(word) for word in row.split())
        for other in rest:
            found.setdefault(first, set()).add(other)
            found.setdefault(other, set()).add(first)
    return {word: frozenset(others) for word, others in found.items()}


_OPPOSITE = _contraries(_CONTRARY)


@dataclass(frozen=True, slots=True)
class Text:
    """A text's words lower-cased, stemmed (stop words and negations as they are) and, by place, which are content."""

    text: str
    stems: tuple[str, ...]
    content: tuple[bool, ...]
    names: frozenset[int]
    letters: tuple[int, ...]
    held: frozenset[str]
    sentences: tuple[tuple[int, int, int, int], ...]
    """First and past-the-last character and word of each sentence that has words."""
    per_sentence: tuple[frozenset[str], ...]
    headings: tuple[int, ...]
    """Which of the sentences are a paragraph's short first line without a full stop."""


@lru_cache(maxsize=8192)
def read(text: str) -> Text:
    """A text's words made ready for comparing; about 1 microsecond a character, kept for the next claim."""
    flat = text.translate(_FLAT) if not text.isascii() else text
    shouting = flat.isupper()
    stems: list[str] = []
    content: list[bool] = []
    names: set[int] = set()
    letters: list[int] = []
    starts: list[int] = []
    for match in _WORD.finditer(flat):
        shape, place = match.group(), len(stems)
        word = shape.lower().removesuffix("'s")
        negation = word in _NOT or word.endswith("n't")
        stems.append("not" if negation else word if word in _STOP else _stem(word))
        content.append(not negation and word not in _STOP)
        letters.append(len(word))
        starts.append(match.start())
        if content[-1] and not shouting and not (shape.isalpha() and shape.islower()) and _is_name(flat, match):
            names.add(place)
    places = spans(flat)
    cuts = [bisect_left(starts, end) for _, end in places]
    bounds = [(*place, a, b) for place, a, b in zip(places, [0, *cuts], cuts, strict=False) if b > a]
    kept = [stem for stem, is_content in zip(stems, content, strict=True) if is_content]
    return Text(
        flat,
        tuple(stems),
        tuple(content),
        frozenset(names),
        tuple(letters),
        frozenset(kept),
        tuple(bounds),
        tuple(frozenset(s for s, c in zip(stems[a:b], content[a:b], strict=True) if c) for _, _, a, b in bounds),
        tuple(i for i, (start, end, a, b) in enumerate(bounds) if b - a <= HEADING and _is_heading(flat, start, end)),
    )


def _is_heading(text: str, start: int, end: int) -> bool:
    opens = not start or text[:start].endswith("\n\n") or (text.find("\n") == start - 1)
    return opens and text[end : end + 1] == "\n" and text[end - 1] not in ".:;,!" and text[start] not in "-*•"


def _is_name(text: str, match: re.Match[str]) -> bool:
    """Whether a word is a symbol (GLB1, mRNA) or capitalised where no sentence begins."""
    shape = match.group()
    if any(c.isupper() for c in shape[1:]):
        return True
    if any(c.isdigit() for c in shape):
        return any(c.isalpha() for c in shape)
    before = text[max(0, match.start() - 8) : match.start()].rstrip(" \"'(-*•")
    return shape[0].isupper() and bool(before) and before[-1] not in ".!?:\n"


def compare(premise: str, claim: str) -> np.ndarray:
    """Features (len(NAMES),), float64, of a claim beside a premise; all words count where a claim has no content."""
    source, said = read(premise), read(claim)
    wanted = said.held or frozenset(said.stems)
    if not wanted or not source.sentences:
        return np.array([0.0] * 4 + [float(CAP)] * 3 + [0.0] * 4)
    sets = source.per_sentence if said.held else tuple(frozenset(source.stems[a:b]) for _, _, a, b in source.sentences)
    whole = len(wanted & frozenset().union(*sets)) / len(wanted)
    first = _best(wanted, said, sets, source)
    rest = wanted - _covered(sets, first)
    stretches = [first]
    if len(rest) > 1:
        second = _best(rest, said, sets, source, first)
        if len(_covered(sets, second) & rest) > 1:
            stretches = _in_order(said, sets, first, second)
    # A page's text says "it" of what its heading names.
    about = frozenset().union(*(sets[i] for i in source.headings))
    held = about.union(*(_covered(sets, part) for part in stretches))
    parts = [_words(source, part) for part in stretches]
    equal, run, turned, swapped = _differences(parts, said.stems)
    text = " ".join(source.text[source.sentences[a][0] : source.sentences[b][1]] for a, b in stretches)

    places = [i for i, stem in enumerate(said.stems) if said.content[i] and stem not in held]
    nowhere = [i for i in places if _absent(said.stems[i], source.held)]
    counted = numbers(claim)
    near, far = numbers(text), numbers(premise)
    absent = [number for number in counted if not among(number, far)]
    shares = [whole, len(wanted & held) / len(wanted), equal / len(said.stems), run / len(said.stems)]
    counts = [
        len(places),
        sum(said.letters[i] >= RARE_LETTERS for i in nowhere),
        sum(i in said.names for i in nowhere),
        len(absent),
        sum(not among(number, near) for number in counted) - len(absent),
        turned,
        swapped + _contrary(said, held),
    ]
    return np.array(shares + [min(count, CAP) for count in counts], dtype=np.float64)


def _absent(stem: str, held: frozenset[str]) -> bool:
    """Whether a stem is not among those held, in singular or plural either."""
    return stem not in held and stem + "s" not in held and stem.removesuffix("s") not in held


def _best(
    wanted: frozenset[str], said: Text, sets: Sequence[frozenset[str]], source: Text, taken: tuple[int, int] = (-1, -1)
) -> tuple[int, int]:
    """The sentences a..b, about as long as the claim, that hold most of the wanted words, and none that is taken.

    Of equals the one that shares most of all words with the claim, "not" among them, and of these the shortest.
    """
    best, place = (-1, 0, 0), (0, 0)
    every = frozenset(said.stems)
    for a in range(len(sets)):
        found: frozenset[str] = frozenset()
        for b in range(a, len(sets)):
            low, high = source.sentences[a][2], source.sentences[b][3]
            if taken[0] <= b <= taken[1] or (b > a and high - low > len(said.stems) + SLACK):
                break
            found |= sets[b] & wanted
            if len(found) < best[0]:
                continue
            rank = (len(found), len(every.intersection(source.stems[low:high])), low - high)
            if rank > best:
                best, place = rank, (a, b)
    return place


def _covered(sets: Sequence[frozenset[str]], part: tuple[int, int]) -> frozenset[str]:
    return frozenset().union(*sets[part[0] : part[1] + 1])


def _words(source: Text, part: tuple[int, int]) -> tuple[str, ...]:
    return source.stems[source.sentences[part[0]][2] : source.sentences[part[1]][3]]


def _in_order(
    said: Text, sets: Sequence[frozenset[str]], first: tuple[int, int], second: tuple[int, int]
) -> list[tuple[int, int]]:
    """Two stretches in the order in which the claim speaks of what only one of them holds."""
    one, two = _covered(sets, first), _covered(sets, second)

    def middle(own: frozenset[str]) -> float:
        places = [i for i, stem in enumerate(said.stems) if stem in own]
        return sum(places) / len(places) if places else 0.0

    return [first, second] if middle(one - two) <= middle(two - one) else [second, first]


def _differences(parts: Sequence[Sequence[str]], said: Sequence[str]) -> tuple[int, int, int, int]:
    """Words of the claim that stand in the parts of the source in the same order, the longest run of them, negations
    that came or went between them, and words that took the place of a contrary."""
    source = [word for part in parts for word in part]
    seam = len(parts[0])
    equal = run = swapped = came = went = 0
    hunks: list[tuple[int, int, int, int]] = []
    joined = False
    for step in Levenshtein.opcodes(source, said):
        if step.tag == "equal":
            size = step.dest_end - step.dest_start
            equal, run, joined = equal + size, max(run, size), False
        elif joined:
            a, _, c, _ = hunks[-1]
            hunks[-1] = (a, step.src_end, c, step.dest_end)
        else:
            hunks.append((step.src_start, step.src_end, step.dest_start, step.dest_end))
            joined = True
    for a, b, c, d in hunks:
        new = list(said[c:d])
        # What a part says before and behind the claim's words is no difference, but for what they took the place of.
        if a == 0 and b == len(source):
            old = source
        elif a <= seam <= b:
            before, behind = source[a:seam][: len(new)], source[seam:b][-1 - len(new) :]
            old = before * (a > 0) + behind * (b < len(source))
        else:
            old = source[a:b][-1 - len(new) :] if a == 0 else source[a:b]
        came += new.count("not")
        # A phrase left out takes its own negation along: only one at the edge belongs to the words that stay.
        edge = old if len(old) <= len(new) + 3 else [*old[:1], *old[-2:]]
        went += edge.count("not")
        swapped += sum(1 for word in new if _OPPOSITE.get(word, frozenset()) & set(old) or _prefixed(word, old))
    return equal, run, abs(came - went), swapped


def _prefixed(word: str, others: Sequence[str]) -> bool:
    """Whether a prefix turns the word into one of the others, as normal and abnormal, hyper- and hypotension."""
    for other in others:
        long, short = (word, other) if len(word) > len(other) else (other, word)
        if len(short) > 3 and long.endswith(short) and long.removesuffix(short) in _PREFIXES:
            return True
        for one, two in _TURNED:
            pair = {one: word, two: other} if word.startswith(one) else {one: other, two: word}
            bare = pair[one].removeprefix(one)
            if len(bare) > 3 and bare != pair[one] and pair[two] == two + bare:
                return True
    return False


def _contrary(said: Text, held: frozenset[str]) -> int:
    """Words of the claim that the stretch does not hold, but a contrary of them, which the claim does not hold."""
    return sum(bool((_OPPOSITE.get(word, frozenset()) & held) - said.held) for word in said.held - held)
