"""Negations and opposites: whether a sentence says the reverse of its source.

A sentence may follow its source word for word but for a "not" that came or went, or "rare" for "common", which
similarity alone does not show. `python -m pytest tests/rag/attribution/test_polarity.py` runs it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from index.words import Token, flatten, listed, stem

_NOT = frozenset(
    listed(
        """
not no never without cannot none neither nor nothing nobody lack lacks lacking rarely seldom
"""
    )
)
_PAIRS = """
increase decrease|increase reduce|increases lowers|raise lower|rise fall|high low|higher lower|highest lowest
more less|more fewer|most least|many few|rare common|uncommon common|rarely commonly|rarely often|before after
always never|benign malignant|benign cancerous|noncancerous cancerous|acute chronic|dominant recessive
male female|males females|men women|man woman|boys girls|boy girl|mother father|maternal paternal|mild severe
early late|earlier later|upper lower|left right|inherited acquired|inherited sporadic|gain loss|short long
shorter longer|large small|larger smaller|safe dangerous|safe harmful|normal abnormal|likely unlikely
possible impossible|active inactive|better worse|improve worsen|improves worsens|start stop|begin end
positive negative|strong weak|stronger weaker|thick thin|fast slow|rapid slow|quickly slowly|over under
above below|inside outside|internal external|presence absence|present absent|deficiency excess
overactive underactive|allow prevent|cause prevent|causes prevents|temporary permanent|reversible irreversible
complete incomplete|able unable|known unknown|effective ineffective|necessary unnecessary|curable incurable
treatable untreatable|contagious noncontagious|progressive nonprogressive|constipation diarrhea|first last
minimum maximum|hyperthyroidism hypothyroidism|hyperglycemia hypoglycemia|hypertension hypotension
gaining losing|tight loose|wet dry|hot cold|adult child|adults children|older younger|old young
oldest youngest|homozygous heterozygous|proximal distal|anterior posterior|systolic diastolic|avoid take
prenatal postnatal
"""
_OPPOSITE: dict[str, set[str]] = {}
for _pair in re.split(r"[|\n]", _PAIRS.strip()):
    if len(_pair.split()) == 2:
        _one, _two = _pair.split()
        for _x, _y in ((_one, _two), (_two, _one)):
            _OPPOSITE.setdefault(stem(_x, folded=True), set()).add(stem(_y, folded=True))
_BREAK = re.compile(r"[,;:.()\n]|\b(?:but|however|although|though|because|which|while|unless)\b", re.IGNORECASE)


def _stemmed(word: Token) -> str:
    return word.stem or stem(word.text, folded=True)


def _negations(text: str, words: Sequence[Token]) -> list[tuple[Token, list[str], list[str]]]:
    """Each negation with the three content stems after it and before it inside its clause."""
    found = []
    for i, word in enumerate(words):
        if word.text not in _NOT and not word.text.endswith("n't"):
            continue
        after: list[str] = []
        for j in range(i + 1, min(i + 9, len(words))):
            if _BREAK.search(text, words[j - 1].end, words[j].start) or _BREAK.fullmatch(words[j].text):
                break
            if words[j].stem:
                after.append(words[j].stem)
        before: list[str] = []
        for j in range(i - 1, max(i - 9, -1), -1):
            if _BREAK.search(text, words[j].end, words[j + 1].start) or _BREAK.fullmatch(words[j].text):
                break
            if words[j].stem:
                before.append(words[j].stem)
        found.append((word, after[:3], before[:3]))
    return found


def polarity(draft: str, draft_words: Sequence[Token], held: str, held_words: Sequence[Token]) -> str:
    """How the draft turns its source round, in words; empty where it does not.

    A negation counts where its neighbourhood (three content words after it, or before it where nothing
    follows) is in both texts and only one of them negates it; a pair of opposites where one text has
    only the one and the other only the other, and neither is negated.
    """
    draft, held = flatten(draft), flatten(held)
    mine, theirs = _negations(draft, draft_words), _negations(held, held_words)
    mine_all = {s for _, after, before in mine for s in (*after, *before)}
    theirs_all = {s for _, after, before in theirs for s in (*after, *before)}
    said, source = {w.stem for w in draft_words if w.stem}, {w.stem for w in held_words if w.stem}
    for word, after, before in mine:
        scope = set(after or before)
        turned = any(_OPPOSITE.get(s, set()) & source for s in scope)  # "not common" where it says "rare"
        if scope and not scope & theirs_all and not turned:
            return f'it says "{word.text}" where the source does not'
    for word, after, before in theirs:
        scope = set(after or before)
        if len(scope) and len(scope & said) >= (len(scope) if len(scope) < 3 else 2) and not scope & mine_all:
            # The same words may stand un-negated elsewhere in the source, and the draft may follow those.
            outside = {w.stem for w in held_words if w.stem and abs(w.start - word.start) > 60}
            if not scope & said <= outside:
                return f'the source says "{word.text}" and it does not'
    said |= {_stemmed(w) for w in draft_words}
    source |= {_stemmed(w) for w in held_words}
    mine_count = Counter(_stemmed(w) for w in draft_words)
    theirs_count = Counter(_stemmed(w) for w in held_words)
    for one in sorted(said):
        for other in sorted(_OPPOSITE.get(one, ())):
            more, fewer = mine_count[one] > theirs_count[one], theirs_count[other] > mine_count[other]
            if more and fewer and not (one in mine_all or other in theirs_all):
                return f'it says "{_shown(one, draft_words)}" where the source says "{_shown(other, held_words)}"'
    for one in sorted(said - source):
        for prefix in ("un", "in", "im", "ir", "non", "dis", "ab"):
            bare, longer = one.removeprefix(prefix), prefix + one
            hit = bare if bare != one and len(bare) > 3 and bare in source else longer if longer in source else ""
            if hit and hit not in said and not (one in mine_all or hit in theirs_all):
                return f'it says "{_shown(one, draft_words)}" where the source says "{_shown(hit, held_words)}"'
    return ""


def _shown(stemmed: str, words: Sequence[Token]) -> str:
    return next((w.text for w in words if _stemmed(w) == stemmed), stemmed)
