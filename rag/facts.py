"""Numbers with units, negations and names of a text, and how they differ between a sentence and its source.

A sentence may follow its source word for word and still say something else: another number, a "not"
that came or went, another disease's name. These are the checks that likeness alone does not make.
`python -m pytest tests/rag/test_support.py` runs it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rag.references import references
from rag.units import DOSE, PARTS, PER, PERIODS, SCALE, SMALL, TENS, TIMES, UNITS, VULGAR
from rag.words import Token, flatten, listed, stem, tokens

_ROMAN = {"ii": 2.0, "iii": 3.0, "iv": 4.0, "vi": 6.0, "vii": 7.0, "viii": 8.0}
_SAME_AS_BARE = frozenset({"", "year", "degree"})
_NUMERALS = frozenset((*SMALL, *TENS, *SCALE, *TIMES))
_RANGE = re.compile(r"\s*(?:-|to|or|and|,|, or|, and|/|x|by)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in its canonical unit (`""`: none) and, for a rate, what it is `per`; `text[start:end]` says it."""

    value: float
    unit: str
    per: str
    start: int
    end: int

    @property
    def dose(self) -> bool:
        """Whether it is an amount or a rhythm of taking something."""
        return self.unit in DOSE or self.unit.startswith("times/") or self.unit.startswith("every ")


def _value(words: Sequence[Token], i: int, text: str) -> tuple[float, int, str] | None:
    """The number that starts at word `i`: its value, the word after it, and a unit it implies."""
    word = words[i].text
    if word in TIMES:
        return TIMES[word], i + 1, "times"
    if word in VULGAR:
        return VULGAR[word] * 100, i + 1, "percent"
    if word in ("half", "quarter") and not (i and words[i - 1].text in SMALL):
        return 100 / PARTS[word], i + 1, "percent"
    if word[0].isdigit() and word[-1].isdigit():
        try:
            value, i = float(word.replace(",", "")), i + 1
        except ValueError:
            return None
    elif word in TENS:
        value, i = float(TENS[word]), i + 1
        if i < len(words) and 0 < SMALL.get(words[i].text, 0) < 10 and words[i].start - words[i - 1].end == 1:
            value, i = value + SMALL[words[i].text], i + 1
    elif word in SMALL:
        value, i = float(SMALL[word]), i + 1
    else:
        return None
    if i < len(words) and words[i].text in PARTS and value < PARTS[words[i].text]:
        return 100 * value / PARTS[words[i].text], i + 1, "percent"
    while i < len(words) and words[i].text in SCALE and words[i].start - words[i - 1].end <= 1:
        value, i = value * SCALE[words[i].text], i + 1
    return value, i, ""


def quantities(text: str, words: Sequence[Token] | None = None) -> list[Quantity]:
    """Every number of a text, digits or words, with its unit; in a range the unit belongs to both ends.

    A bare "one" is a pronoun more often than a number and is left out; so is a number inside a name (GLB1). A number
    that only refers to something ("[5]", "Figure 3", "(Smith, 2009)": `rag/references.py`) has what it refers to for
    its unit, so that it is held by its like and is no evidence for anything else.
    """
    words = tokens(text) if words is None else words
    marks = references(text)
    starts = [mark.start for mark in marks]
    text = flatten(text)
    found: list[Quantity] = []
    i = 0
    while i < len(words):
        got = _value(words, i, text)
        if got is None:
            if words[i].text in _ROMAN and i and words[i - 1].text in ("type", "stage", "grade", "class", "phase"):
                found.append(Quantity(_ROMAN[words[i].text], "", "", words[i].start, words[i].end))
            i += 1
            continue
        at = bisect_right(starts, words[i].start) - 1
        if at >= 0 and words[i].start < marks[at].end:
            value = float(words[i].text.replace(",", "")) if words[i].text[0].isdigit() else got[0]
            found.append(Quantity(value, f"#{marks[at].kind}", "", words[i].start, words[i].end))
            i += 1
            continue
        value, after, unit = got
        start, end, per, factor = words[i].start, words[after - 1].end, "", 1.0
        if unit != "percent":
            tail = re.match(r"\s*%|\s*°", text[end : end + 4])
            if tail:
                unit = "percent" if "%" in tail.group() else "degree"
                end += tail.end()
            elif after < len(words) and words[after].start - end <= 2 and "." not in text[end : words[after].start]:
                nxt = words[after].text
                if nxt == "per" and after + 1 < len(words) and words[after + 1].text == "cent":
                    unit, end, after = "percent", words[after + 1].end, after + 2
                elif nxt == "international" and after + 1 < len(words) and words[after + 1].text in ("unit", "units"):
                    unit, end, after = "iu", words[after + 1].end, after + 2
                elif nxt == "mm" and after + 1 < len(words) and words[after + 1].text == "hg":
                    unit, end, after = "mmhg", words[after + 1].end, after + 2
                elif nxt in ("times", "time"):
                    unit, end, after = "times", words[after].end, after + 1
                elif nxt in UNITS and unit == "":
                    (unit, factor), end, after = UNITS[nxt], words[after].end, after + 1
        if unit == "times":
            j = after + (after < len(words) and words[after].text in ("a", "an", "per", "each", "every", "in"))
            if j < len(words) and words[j].text in PERIODS and words[j].start - end <= 12:
                unit, end, after = "times/" + PERIODS[words[j].text], words[j].end, j + 1
        elif unit in DOSE and after < len(words):
            glue = text[end : words[after].start].strip()
            j = after + (words[after].text in ("a", "per", "each", "every") and glue == "")
            if j < len(words) and (glue == "/" or j > after or words[j].text in ("daily", "weekly", "monthly")):
                name = words[j].text
                per = PER.get(name.removesuffix("s"), PERIODS.get(name, ""))
                if per:
                    end, after = words[j].end, j + 1
        elif unit in ("hour", "day", "week", "month") and i and words[i - 1].text == "every":
            unit, start = "every " + unit, words[i - 1].start
        if not (unit == "" and words[i].text == "one" and after == i + 1):
            found.append(Quantity(value * factor, unit, per, start, end))
        i = max(after, i + 1)
    for k in range(len(found) - 2, -1, -1):
        left, right = found[k], found[k + 1]
        if (
            left.unit == ""
            and right.unit
            and not right.unit.startswith("#")
            and _RANGE.fullmatch(text[left.end : right.start])
        ):
            factor = next((f for w, (u, f) in UNITS.items() if u == right.unit and _ends(text, right, w)), 1.0)
            found[k] = Quantity(left.value * factor, right.unit, right.per, left.start, right.end)
    return found


def _ends(text: str, quantity: Quantity, unit: str) -> bool:
    return re.search(rf"(?<![^\W\d_]){re.escape(unit)}(?!\w)", text[quantity.start : quantity.end].lower()) is not None


def holds(wanted: Quantity, held: Iterable[Quantity]) -> bool:
    """Whether one of the quantities says the same: equal value and unit, and the rate where one is claimed."""
    return any(
        abs(wanted.value - other.value) <= 1e-6 * max(abs(wanted.value), 1e-9)
        and (wanted.unit == other.unit or (wanted.unit in _SAME_AS_BARE and other.unit in _SAME_AS_BARE))
        and (not wanted.per or wanted.per == other.per)
        for other in held
    )


def has_content(words: Iterable[Token]) -> bool:
    """Whether one of the words is neither a function word nor a number: only such words can be supported."""
    return any(
        word.stem and not re.fullmatch(r"[\d.,]+", word.text) and word.text not in _NUMERALS and word.text not in VULGAR
        for word in words
    )


# -- negation and opposites ---------------------------------------------------------------------------------------

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
            _OPPOSITE.setdefault(stem(_x), set()).add(stem(_y))
_BREAK = re.compile(r"[,;:.()\n]|\b(?:but|however|although|though|because|which|while|unless)\b", re.IGNORECASE)


def _stemmed(word: Token) -> str:
    return word.stem or stem(word.text)


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
    for one in said:
        for other in _OPPOSITE.get(one, ()):
            more, fewer = mine_count[one] > theirs_count[one], theirs_count[other] > mine_count[other]
            if more and fewer and not (one in mine_all or other in theirs_all):
                return f'it says "{_shown(one, draft_words)}" where the source says "{_shown(other, held_words)}"'
    for one in said - source:
        for prefix in ("un", "in", "im", "ir", "non", "dis", "ab"):
            bare, longer = one.removeprefix(prefix), prefix + one
            hit = bare if bare != one and len(bare) > 3 and bare in source else longer if longer in source else ""
            if hit and hit not in said and not (one in mine_all or hit in theirs_all):
                return f'it says "{_shown(one, draft_words)}" where the source says "{_shown(hit, held_words)}"'
    return ""


def _shown(stemmed: str, words: Sequence[Token]) -> str:
    return next((w.text for w in words if _stemmed(w) == stemmed), stemmed)


# -- names --------------------------------------------------------------------------------------------------------

_MEDICAL = re.compile(
    r"""(?:itis|osis|oses|emia|aemia|uria|oma|omas|omata|pathy|pathies|plasia|plegia|paresis|trophy|algia|rrhea|rrhage
    |ectomy|otomy|ostomy|oscopy|plasty|phobia|philia|penia|cytosis|kinesia|phasia|megaly|sclerosis|stenosis|syndrome
    |mab|nib|statin|cillin|mycin|micin|azole|pril|sartan|olol|dipine|caine|vir|zepam|zolam|triptan|gliptin|gliflozin
    |cycline|floxacin|oxetine|pramine|barbital|thiazide|steroid|sone|solone|profen|oxicam|coxib|parin|platin|rubicin
    |taxel|tinib|lukast|terol|tropium|formin|zide|amide|idine|idone|apine|azine|icine|urea|ase|ases|ogen|globin|myosin
    |virus|viruses|coccus|cocci|bacter|bacteria|monas|plasma)$""",
    re.VERBOSE,
)
_NOT_MEDICAL = frozenset(
    listed(
        """
disease diseases increase decrease base bases case cases phase phases release purchase phrase ease erase chase
database please lease increases decreases releases provide provides guide guides wide side outside inside decide
diagnosis diagnoses prognosis reason season person persons lesson comparison medicine medicines aside bacteria
virus viruses syndrome reside slide hide divide consequently
"""
    )
)


_NAMED = frozenset(["syndrome", "syndromes", "gene", "genes", "virus", "deficiency", "anemia"])
_OPENERS = frozenset(
    listed(
        """
        people person patients patient individuals individual children child adults women men doctors doctor
        physicians researchers scientists experts health healthcare medical symptoms symptom signs sign treatment
        treatments therapy therapies medicine medicines medication medications drugs drug surgery causes cause
        factors factor risk risks tests test testing diagnosis screening prevention early late severe mild
        complications complication problems problem changes change mutations mutation genes gene genetic inherited
        rare common additional different several various certain specific similar first second third finally overall
        unlike affected another possible potential main major primary secondary current recent new studies research
        evidence depending based regular proper important talk ask see call contact avoid eat drink take try seek
        keep follow wash stop quit tell learn know remember rest exercise diet food foods smoking blood pain
        infection infections cells cell body skin babies infants pregnant older younger family parents members age
        number type types form forms condition conditions disease disease's disorder disorders syndrome diseases
        result results example examples source sources page answer information help support care living life time
        times day days years chronic acute autosomal congenital hereditary familial vitamin human normal high low
        related rarely frequently approximately
        """
    )
)
_OPENS = re.compile(r"[.!?:\n][\"')\]]*\s*(?:[-*•]\s*)?$")


def names(text: str, words: Sequence[Token]) -> list[Token]:
    """Words that name something: symbols (GLB1, mRNA), capitalised words but for the usual first words of a
    sentence, words before "syndrome" or "gene", and words that end like a disease, a drug or an enzyme.
    Stop words and numbers are none."""
    found = []
    shouting = text.isupper()
    for i, word in enumerate(words):
        if not word.stem or (word.text[0].isdigit() and word.text.replace(",", "").replace(".", "").isdigit()):
            continue
        shape = text[word.start : word.end]
        first = (
            i == 0 or re.search(r"[.!?:\n][\"')\]]*\s*(?:[-*•]\s*)?$", text[words[i - 1].end : word.start]) is not None
        )
        symbol = not shouting and (any(c.isupper() for c in shape[1:]) or any(c.isdigit() for c in shape))
        capital = not shouting and shape[0].isupper() and not first
        if first and shape[0].isupper() and not shouting:
            capital = word.text not in _OPENERS and not word.text.endswith(("ing", "ly"))
        before = i + 1 < len(words) and words[i + 1].text in _NAMED and word.text not in _OPENERS
        medical = before or (
            len(word.text) > 5 and word.text not in _NOT_MEDICAL and _MEDICAL.search(word.text) is not None
        )
        if symbol or capital or medical:
            found.append(word)
    return found
