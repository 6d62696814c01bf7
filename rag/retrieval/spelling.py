"""Misspelt words of a question, corrected against the words that the corpus knows.

    speller = Speller(index.vocabulary, english)
    speller.correct("symptoms of diabetis").text   ->   "symptoms of diabetes"

Embeddings and BM25 both fail on a misspelt name, and the names of topics are found letter by letter. Only words that
neither the corpus nor the embedder's own vocabulary knows are touched, so that a medicine's name that the corpus lacks
is not turned into a disease; what was changed is told, so that the reader can see it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from index.vocabulary import WORD, Vocabulary
from index.words import fold

SHORTEST = 4
"""Letters; a shorter unknown word is an abbreviation rather than a slip."""
KNOWN = 3
"""Times a word must stand in the corpus to be no misspelling of its own; the corpus has some, too."""
LONG_ENOUGH = 5
"""Letters of a word that the word beside it may correct by two."""
FREQUENT = 20
"""Times that a word which is no part of a name must stand in the corpus for a correction of two letters or more."""
NAME_BONUS = 1.2
"""What being part of a topic's name is worth, in edits: a question's slip is most often in the name."""

_FORMS = frozenset(
    """
    adeno adreno allo angio anti arthro atrio auto baro bi blepharo brachy brady broncho cardio cephalo cerebro cheilo
    chole chondro chrono cranio cryo cyto dacryo dermato di dys electro encephalo endo entero epi erythro extra fibro
    gastro glosso gluco glyco gyno haemato hemato hemi hepato histo hydro hyper hypo immuno infra inter intra karyo
    kerato laryngo leuko lipo lympho macro mal masto mega meningo meso meta micro mono multi myelo myo nano naso necro
    neo nephro neuro non oculo oligo onycho oophoro ophthalmo orchi osteo oto ovario pachy pan para patho peri
    pharyngo phono photo phyto pneumo poly post pre presby procto pseudo psycho pyelo pyo rachi radio retro rhino
    salpingo sarco schizo sclero semi sialo spleno spondylo staphylo steno stomato strepto sub super supra tachy
    thermo thoraco thrombo thyro tracheo trans tri tropho ultra uni uretero urethro uro vaso veno ventriculo xero
    """.split()
)
"""Combining forms of medical terms: the one before "myositis" or "cephaly" says what is meant."""
FORMED = 5
"""Letters that two words share behind their combining forms, at least."""

_TYPED = frozenset(
    """
    alot arent chemo covid cant couldnt didnt doesnt dont gonna hadnt hasnt havent hubby isnt kinda lol mommy
    okay oops plz pls shes shouldnt thats theres theyre thx wanna wasnt werent whats whos wont wouldnt youre
    """.split()
)
"""Everyday words of messages that no health page has."""
_SOUNDS = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"^(?:pn|kn|gn)", "n"), (r"^ps", "s"), (r"^wr", "r"), (r"^x", "s"), (r"ph", "f"), (r"[ao]e|ea|ee", "e"),
        (r"eu|ou", "u"), (r"cz|x", "s"), (r"y", "i"), (r"sch|ch|ck|q|c(?![eiy])", "k"), (r"s?c(?=[eiy])|z", "s"),
        (r"h", ""), (r"(.)\1+", r"\1"),
    )
)  # fmt: skip
"""Spellings of one sound in English, first to last: "numonia" and "pneumonia" are the same then."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A question as it is searched, and the words that were changed, as (typed, read) in their order."""

    text: str
    changes: tuple[tuple[str, str], ...] = ()


class Speller:
    """Corrects words; thread-safe, about 10 ms for each unknown word on one core, nothing for known ones."""

    def __init__(self, words: Vocabulary, english: Collection[str] = ()) -> None:
        """`english`: further words that are right as they are."""
        self._counts, self._names, self._phrases = words.counts, words.names, words.phrases
        self._english = frozenset(english)
        self._of_length: dict[int, list[str]] = defaultdict(list)
        self._of_sound: dict[str, list[str]] = defaultdict(list)
        for word, count in words.counts.items():
            if len(word) >= SHORTEST and (count >= KNOWN or word in self._names):
                self._of_length[len(word)].append(word)
                if word in self._names:
                    self._of_sound[_sound(word)].append(word)
        self._nearest = lru_cache(maxsize=4096)(self._search)
        self._beside: dict[str, set[str]] = defaultdict(set)
        for first, second in self._phrases:
            self._beside[first].add(second)
            self._beside[second].add(first)

    def correct(self, text: str) -> Corrected:
        """The text with its unknown words replaced by the nearest known ones, case of the others kept."""
        pieces: list[str] = []
        changes: list[tuple[str, str]] = []
        last = 0
        found = list(WORD.finditer(text))
        for place, match in enumerate(found):
            if match.start() < last:
                continue
            end, word = match.end(), _plain(match)
            following = found[place + 1] if place + 1 < len(found) else None
            new = ""
            if following and text[end : following.start()] in (" ", "-"):
                other = fold(following.group()).lower()
                # "pink eye" where the corpus writes "pinkeye".
                if len(word + other) >= 6 and word + other in self._names and (word, other) not in self._phrases:
                    new, end = word + other, following.end()
            new = new or self._possessive(word)
            if not new and not self.knows(word):
                beside = [found[at] for at in (place - 1, place + 1) if 0 <= at < len(found)]
                acronym = match.group().isupper() and not text.isupper()  # one letter off, and it is another
                new = "" if acronym else self._nearest(word) or self._in_phrase(word, beside) or self._apart(word)
            if new:
                pieces += [text[last : match.start()], new]
                changes.append((text[match.start() : end], new))
                last = end
        return Corrected("".join([*pieces, text[last:]]), tuple(changes)) if changes else Corrected(text)

    def knows(self, word: str) -> bool:
        """Whether a word, in lower case, is right as it is, as far as corpus and embedder tell."""
        stem = word.removesuffix("'s")
        return any(
            one in self._english or one in self._names or one in _TYPED or self._counts.get(one, 0) >= KNOWN
            for one in (word, stem, stem.removesuffix("s"))
        )

    def _possessive(self, word: str) -> str:
        """`parkinson's` for `parkinsons`, where only the former is a name's."""
        with_mark = f"{word[:-1]}'s"
        return with_mark if word.endswith("s") and word not in self._english and with_mark in self._names else ""

    def _in_phrase(self, word: str, beside: Sequence[re.Match[str]]) -> str:
        """`carpal` for `carple` beside `tunnel` or `tunel`: two edits where a name has just the two words."""
        if len(word) < LONG_ENOUGH or not word.isalpha():
            return ""
        near: dict[str, float] = {}
        for other in map(_plain, beside):
            other = other if self.knows(other) else self._nearest(other)
            for candidate in self._beside.get(other, ()):
                edits = DamerauLevenshtein.distance(word, candidate, score_cutoff=2)
                if edits <= 2 and candidate[0] == word[0] and not _opposed(word, candidate):
                    near[candidate] = edits
        return min(near, key=lambda one: (near[one], one), default="")

    def _apart(self, word: str) -> str:
        """`heart attack` for `heartattack`, where a name has the two words."""
        cuts = ((word[:at], word[at:]) for at in range(3, len(word) - 2))
        return next((" ".join(cut) for cut in cuts if cut in self._phrases), "")

    def _search(self, word: str) -> str:
        if len(word) < SHORTEST or not word.isalpha():
            return ""
        # A combining form is shared by words that mean anything: hydrolethalus is no slip of hydrocephalus.
        formed = max((at for at in range(2, len(word) - FORMED + 1) if word[:at] in _FORMS), default=0)
        limit = 1 if len(word) < 7 else 2 if len(word) < 12 else 3
        best, least = "", math.inf
        alike = [one for one in self._of_sound.get(_sound(word), ()) if not _opposed(word, one)]
        if alike:
            best = max(alike, key=lambda one: (self._counts.get(one, 1), one))
            least = 2.0 * 0.8 - NAME_BONUS - 0.25 * math.log10(self._counts.get(best, 1))
        for length in range(len(word) - limit, len(word) + limit + 1):
            near = process.extract(
                word, self._of_length.get(length, ()), scorer=DamerauLevenshtein.distance, score_cutoff=limit, limit=12
            )
            for candidate, edits, _ in near:
                named, count = candidate in self._names, self._counts.get(candidate, 1)
                other_start = candidate[0] != word[0]
                if formed and edits > 1 and candidate.startswith(word[:formed]):
                    other_start = candidate[formed : formed + 1] != word[formed]
                if (other_start and (edits > 1 or len(word) < 6)) or _opposed(word, candidate):
                    continue
                if edits > 1 and not named and (count < FREQUENT or len(word) < 9):
                    continue
                # Two edits apart weigh more than any frequency: 0.25 is a factor of 10.
                cost = 2.0 * edits + other_start - NAME_BONUS * named - 0.25 * math.log10(max(count, 1))
                if cost < least:
                    best, least = candidate, cost
        return (self._possessive(best) or best) if best else ""


def _plain(match: re.Match[str]) -> str:
    return fold(match.group()).lower().replace("’", "'")


def _opposed(word: str, other: str) -> bool:
    """Whether two words differ in their combining forms alone: pyomyositis is no slip of polymyositis."""
    shared = 0
    while shared < min(len(word), len(other)) and word[-1 - shared] == other[-1 - shared]:
        shared += 1
    # "pyo" and "myo" share a letter, so the forms may end before the words part.
    cuts = range(FORMED, shared + 1)
    return word != other and any({word[:-cut], other[:-cut]} <= _FORMS for cut in cuts)


def _sound(word: str) -> str:
    for pattern, sound in _SOUNDS:
        word = pattern.sub(sound, word)
    return word
