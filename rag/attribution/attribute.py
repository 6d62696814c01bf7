"""The model's draft as sentences, each with the sources it rests on.

Code owns the citations: what the model wrote as `[n]` is taken out and only breaks ties. A sentence that
closely follows a source is shown in the source's own words; one that no source holds, or that differs
from its best source in a number, a name or a negation, is marked, or dropped in strict mode.
`python -m pytest tests/rag/attribution/test_attribute.py` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rapidfuzz import fuzz

from configs.schema import Answering
from index.sentences import spans
from rag.answer import Sentence, Source
from rag.attribution.doses import unsourced_doses
from rag.attribution.quantities import has_content
from rag.attribution.references import references, without_marks, words_of
from rag.attribution.support import LIST_MARK, Evidence
from rag.attribution.words import Token, plain, tokens

MAX_DRAFT = 20_000
"""Characters of a draft that are read: more than any model here can write, and a bound on the time taken."""
NEAR_TIE = 0.03
"""Supports this close are equal, and then the model's own citation, or else the sentence before, decides."""
SECOND_GAIN = 0.15
"""Share of a sentence that a second source must add to be cited."""
MAX_SENTENCES = 300
"""Sentences of a draft that are read, for the same reason."""
REPEAT = 92.0
"""Likeness in percent past which a sentence repeats one already kept."""
CANDIDATES = 8
LEEWAY = 0.1

_N = r"\d{1,3}"
_MANY = rf"{_N}(?:\s*(?:,\s*and|,|;|&|-|–|and)\s*(?:sources?\s*)?{_N})*"
_WORD = r"(?:sources?|passages?|documents?|docs?|refs?|references?|citations?|s)"
_MARK = re.compile(
    rf"\[\[?\^?\s*(?:{_WORD}\.?\s*:?\s*#?)?({_MANY})\s*\]?\]"
    rf"|【\s*(?:{_WORD}\s*)?({_MANY})[^】\n]{{0,20}}】"
    rf"|\((?:see\s+)?{_WORD}\.?\s*:?\s*#?({_MANY})\)"
    rf"|<sup>\s*\[?({_MANY})\]?\s*</sup>"
    rf"|(?<=\S)\s*\(({_MANY})\)(?=\s*(?:[.!?](?!\w)|$|\n))"
    rf"|(?<=[.!?])\s*\(({_MANY})\)"
    rf"|\[\s*({_MANY})(?=\s*[.!?](?:\s|$))"
    r"|([¹²³⁴⁵⁶⁷⁸⁹]+)(?=[\s.,;]|$)",
    re.IGNORECASE,
)
_SUPERSCRIPT = str.maketrans("¹²³⁴⁵⁶⁷⁸⁹", "123456789")
_SPECIAL = re.compile(r"<\|[\w ]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>", re.IGNORECASE)
_DANGLING = re.compile(r"\s*[\[【(][^\]】)\w]*(?:source\s*)?[\d,\s]{0,8}$", re.IGNORECASE)
_OPENING = re.compile(
    r"""(?:(?:answer|response|assistant)\s*:\s*
    |(?:according\s+to|based\s+(?:up)?on|as\s+(?:stated|mentioned|described|per)\s*(?:in|by)?)\s*
      (?:(?:the|these|this|your|provided|given|above|following)\s+){0,3}
      (?:sources?|passages?|texts?|context|documents?|articles?|information)?
      (?:\s+(?:provided|given|above|you\s+provided))?\s*,\s*
    |(?:(?:sure|certainly|of\s+course|okay|yes)[!,.]?\s+)?(?:here\s+(?:is|are)|here's|below\s+(?:is|are))\b
      [^.:!?\n]{0,80}:\s*
    |(?:the\s+)?(?:provided\s+|given\s+)?(?:sources?|passages?|text|context|documents?)\s+
      (?:says?|states?|mentions?|indicates?|explains?)\s+that\s+)""",
    re.IGNORECASE | re.VERBOSE,
)
_FILLER = re.compile(
    r"""(?:sure|certainly|of\s+course|absolutely|great\s+question|good\s+question|okay|ok|thanks?(?:\s+you)?|hello|hi)
      (?:\s+(?:thing|there|for\s+(?:asking|your\s+question)))?\s*[!.,]?\s*$
    |(?:(?:sure|certainly|of\s+course|absolutely|okay|ok|yes)\s*[!,.]\s*)?
      (?:here\s+(?:is|are|'s)|here's|below\s+(?:is|are))\s+(?:a|an|the|some|my|your|what)\b(?=.*
      \b(?:answer|summary|information|response|overview|explanation|list|details|steps|points|facts|know|found)\b)
    |.{0,20}\bI\s+hope\s+(?:this|that|it|you)\b
    |.{0,40}\bas\s+an?\s+(?:AI|artificial|language\s+model|large\s+language|virtual|helpful)\b
    |.{0,30}\bI(?:'m|\s+am)\s+(?:an?\s+(?:AI|assistant|language)|not\s+a\s+(?:doctor|medical)|sorry|happy\s+to|glad\s+to|here\s+to)
    |(?:please\s+)?(?:let\s+me\s+know|feel\s+free\s+to|don't\s+hesitate)\b
    |(?:if\s+you\s+have\s+(?:any|other|more)\s+(?:other\s+|further\s+|more\s+)?questions)\b
    |(?:the\s+)?(?:question|user|instructions?|system|sources?|references?)\s*:?\s*$
    |(?:is\s+there\s+anything\s+else|do\s+you\s+have\s+any\s+(?:other|more|further))\b
    |(?:you\s+are\s+a\s+(?:helpful|medical)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_ENDS = re.compile(r"[.!?:;…][\"'”’)\]*]*$")


@dataclass(slots=True)
class _Piece:
    """A sentence of the draft: its words, the layout and list mark before it, and the numbers the model wrote."""

    text: str
    before: str
    mark: str
    hints: tuple[int, ...]
    words: tuple[Token, ...] = field(default=())


def attribute(
    draft: str,
    sources: Sequence[Source],
    settings: Answering,
    *,
    question: str = "",
    complete: bool = True,
) -> list[Sentence]:
    """The draft's sentences in order, each with its citations, or marked as not supported and why.

    Repeats, chat filler, echoes of `question`, and sentences with a dose that no cited source holds are
    dropped; unsupported ones too if `settings.strict`. If the draft is `complete`, a last sentence that
    stops in the middle is completed from the source it follows, or dropped; if more is to come, the
    draft must end where a sentence does. Only numbers of the given sources are ever cited.
    """
    evidence = Evidence(sources)
    by_number = {source.n: k for k, source in reversed(list(enumerate(sources)))}
    pieces = _pieces(draft, set(by_number), [source.text for source in sources])
    asked = tokens(question)
    seen: set[str] = set()
    kept: list[Sentence] = []
    said: list[str] = []
    shown: list[tuple[int, int, int]] = []
    gap, last = "", -1
    for i, piece in enumerate(pieces):
        gap = _wider(gap, piece.before)
        flat = plain(piece.words)
        if flat in seen or _is_noise(piece, asked):
            continue
        seen.add(flat)
        cut = complete and i == len(pieces) - 1 and _is_cut(piece, pieces)
        found = _sentence(piece, evidence, settings, [by_number[n] for n in piece.hints], last, shown, cut)
        if found is None:
            continue
        sentence, place = found
        flat = plain(tokens(sentence.text))
        if _repeats(flat, said) or (settings.strict and not sentence.supported):
            continue
        cited_texts = [sources[by_number[n]].text for n in sentence.citations]
        if not sentence.quoted and unsourced_doses(sentence.text, cited_texts):
            continue
        said.append(flat)
        if place:
            shown.append(place)
        if sentence.citations:
            last = by_number[sentence.citations[0]]
        kept.append(sentence.model_copy(update={"before": gap + piece.mark}))
        gap = ""
    return _without_orphans(kept) if complete else kept


# -- the draft ----------------------------------------------------------------------------------------------------


def unmarked(draft: str) -> str:
    """A piece of a draft without the numbers that the model cites by: none of them is known to be right."""
    return _MARK.sub("", _DANGLING.sub("", _SPECIAL.sub("", draft)))


def _marks(text: str, held: Sequence[str]) -> list[tuple[int, int, str]]:
    """Start, end and numbers of each mark in a draft.

    The prompt shows a passage's own "[3]" as "(3)", and the model copies it: a "(3)" that no source has is a mark too.
    """
    found = [(*match.span(), next(g for g in match.groups() if g)) for match in _MARK.finditer(text)]
    if not held:
        return found
    taken = {start for start, _, _ in found}
    for item in references(text):
        said = text[item.start : item.end]
        opens = not text[: item.start].rpartition("\n")[2].strip()
        if said.startswith("(") and item.kind == "reference" and not opens and item.start not in taken:
            overlaps = any(start < item.end and item.start < end for start, end, _ in found)
            if not overlaps and not any(said in source for source in held):
                found.append((item.start, item.end, said))
    return sorted(found)


def _pieces(draft: str, numbers: set[int], held: Sequence[str]) -> list[_Piece]:
    """The draft without marks, special tokens and emphasis, cut into sentences with their hints."""
    text = _SPECIAL.sub("", draft[:MAX_DRAFT])
    text = re.sub(r"\*\*|__|`+|^#{1,6}[ \t]+|^>[ \t]+", "", text, flags=re.MULTILINE)
    text = _DANGLING.sub("", text)
    clean: list[str] = []
    hints: list[tuple[int, list[int]]] = []
    at = length = 0
    for start, end, written in _marks(text, held):
        part = text[at:start]
        opens = not part.strip() or part.endswith("\n") if part else at == 0
        part = part if opens else part.rstrip(" \t")
        clean.append(part)
        length += len(part)
        at = end
        if opens:
            at += len(text[at:]) - len(text[at:].lstrip(" \t:"))
        found = _numbers(written)
        # A mark at the start of a line belongs to what follows, any other to what it follows.
        hints.append((length if opens else length - 1, [n for n in found if n in numbers]))
    clean.append(text[at:])
    text = "".join(clean)
    pieces: list[_Piece] = []
    end = 0
    for start, stop in spans(text):
        mark = LIST_MARK.match(text, start, stop)
        begin = mark.end() if mark else start
        layout = text[end:start]
        before = "\n\n" if layout.count("\n") > 1 else "\n" if "\n" in layout else " " if pieces else ""
        end = stop
        said = tuple(dict.fromkeys(n for place, found in hints if start <= place < stop for n in found))
        body = re.sub(r"\s+([.,;:!?])(?=\s|$)", r"\1", " ".join(text[begin:stop].split()))
        opening = _OPENING.match(body)
        if opening and opening.end() < len(body):
            body = body[opening.end() :]
            body = body[:1].upper() + body[1:]
        body = without_marks(body)
        words = words_of(body)
        if words:
            pieces.append(_Piece(body, before, mark.group() if mark else "", said, words))
        elif pieces and said:
            pieces[-1].hints = tuple(dict.fromkeys((*pieces[-1].hints, *said)))
    return pieces[:MAX_SENTENCES]


def _numbers(written: str) -> list[int]:
    written = written.translate(_SUPERSCRIPT)
    found: list[int] = []
    for part in re.finditer(rf"({_N})(?:\s*[-–]\s*({_N}))?", written):
        low, high = int(part[1]), int(part[2] or part[1])
        found += range(low, min(high, low + 9) + 1)
    return found


def _wider(one: str, other: str) -> str:
    """The wider of two layouts, list marks left out."""
    breaks = max(one.count("\n"), other.count("\n"))
    return "\n" * min(breaks, 2) or (" " if " " in (one[:1], other[:1]) else "")


def _is_noise(piece: _Piece, asked: Sequence[Token]) -> bool:
    """Chat filler, an echo of the question, or one phrase over and over."""
    if _FILLER.match(piece.text):
        return True
    words = [word.text for word in piece.words]
    if len(words) > 20 and len(set(words)) < 0.35 * len(words):
        return True
    content = {word.stem for word in piece.words if word.stem}
    wanted = {word.stem for word in asked if word.stem}
    if not wanted or not content <= wanted:
        return False
    echo = piece.text.endswith("?") or not _ENDS.search(piece.text)
    return echo or fuzz.ratio(plain(piece.words), plain(asked)) >= 95


def _is_cut(piece: _Piece, pieces: Sequence[_Piece]) -> bool:
    """Whether the last sentence stops in the middle, judged by its punctuation and that of its list."""
    if _ENDS.search(piece.text):
        return False
    if not piece.mark:
        return True
    others = [other for other in pieces[:-1] if other.mark]
    return bool(others) and all(_ENDS.search(other.text) for other in others)


def _repeats(flat: str, said: Sequence[str]) -> bool:
    digits = re.findall(r"\d+", flat)
    for other in said[-200:]:
        if flat == other:
            return True
        alike = min(len(flat), len(other)) > 30 and fuzz.ratio(flat, other, score_cutoff=REPEAT) > 0
        if alike and re.findall(r"\d+", other) == digits and (" not " in flat) == (" not " in other):
            return True
    return False


def _without_orphans(kept: Sequence[Sentence]) -> list[Sentence]:
    """Without lead-ins ("Symptoms include:") whose list is gone."""
    result = []
    for i, sentence in enumerate(kept):
        followed = i + 1 < len(kept) and ("\n" in kept[i + 1].before or LIST_MARK.search(kept[i + 1].before))
        if sentence.text.endswith(":") and not followed and not sentence.quoted:
            continue
        result.append(sentence)
    return result


# -- one sentence -------------------------------------------------------------------------------------------------


def _sentence(
    piece: _Piece,
    evidence: Evidence,
    settings: Answering,
    hints: Sequence[int],
    last: int,
    shown: Sequence[tuple[int, int, int]],
    cut: bool,
) -> tuple[Sentence, tuple[int, int, int] | None] | None:
    """The sentence as it is to be shown and the place it quotes; None if it is to be dropped."""
    if not has_content(piece.words):
        # "There are 5." is in no source, whatever numbers they hold; of "They include:" and "of 5" nothing is lost.
        fragment = cut or not re.search(r"[.!?][\"'”’)]*$", piece.text) or not re.search(r"[^\W\d_]", piece.text)
        return None if fragment else (Sentence(text=piece.text, note="it says nothing that a source could hold"), None)
    stems = {word.stem for word in piece.words if word.stem}
    coverage = evidence.coverage(stems)
    rows = _best(coverage, CANDIDATES)
    row = _to_snap(piece, evidence, settings, rows, hints, last, cut)
    if row is not None:
        return _quote(evidence, row, shown)
    if cut or piece.text.endswith("?"):
        return None
    note, turned = "no source says this", False
    top = float(coverage[rows[0]]) if rows else 0.0
    for row in _ordered(rows, coverage, evidence, hints, last):
        # Where the nearest unit disagrees, one that only says less about it is no support.
        if coverage[row] < max(settings.support_above, top - LEEWAY):
            break
        found = evidence.difference(piece.text, piece.words, [row])
        if not found:
            second = _second(piece, stems, row, float(coverage[row]), evidence)
            cited = (row,) if second is None else (row, second)
            support = float(coverage[row]) if second is None else _joint(stems, cited, evidence)
            return _supported(piece, evidence, cited, support), None
        if note.startswith("no source"):
            note, turned = found, found.startswith(("it says", "the source says"))
    pair = None if turned else _pair(piece, stems, rows, evidence, settings)
    if pair:
        return _supported(piece, evidence, pair, _joint(stems, pair, evidence)), None
    if rows and note.startswith("no source") and top >= SECOND_GAIN:
        note = evidence.difference(piece.text, piece.words, rows[:1]) or note
    return Sentence(text=piece.text, support=min(top, 1.0), note=note), None


def _best(coverage: np.ndarray, k: int) -> list[int]:
    """Rows of the k highest, best first, ties in order; those that hold nothing are left out."""
    if len(coverage) > 4 * k:
        rows = np.argpartition(-coverage, k)[:k]
        rows = rows[np.lexsort((rows, -coverage[rows]))]
    else:
        rows = np.argsort(-coverage, kind="stable")[:k]
    return [int(row) for row in rows if coverage[row] > 0]


def _ordered(
    rows: Sequence[int], coverage: np.ndarray, evidence: Evidence, hints: Sequence[int], last: int
) -> list[int]:
    """Rows by coverage; near ties by the model's hint, then the sentence before, then the shorter unit."""

    def key(row: int) -> tuple[float, bool, bool, int]:
        unit = evidence.units[row]
        step = round(float(coverage[row]) / NEAR_TIE)
        return (-step, unit.source not in hints, unit.source != last, unit.last - unit.first)

    return sorted(rows, key=key)


def _to_snap(
    piece: _Piece,
    evidence: Evidence,
    settings: Answering,
    rows: Sequence[int],
    hints: Sequence[int],
    last: int,
    cut: bool,
) -> int | None:
    """The unit that the sentence closely follows (if `cut`, whose beginning it follows), or None."""
    said = plain(piece.words)
    if len(said) > 3000:
        return None
    least = settings.snap_above if len(piece.words) > 4 else max(settings.snap_above, 0.9)
    best: tuple[float, int] | None = None
    for row in rows:
        unit = evidence.units[row]
        if unit.lines or (cut and unit.first != unit.last):
            continue
        held = evidence.plain_of(row)
        if len(held) > 3000:
            continue
        ratio = fuzz.ratio(said, held) / 100
        if cut and len(piece.words) > 3:
            ratio = max(ratio, fuzz.ratio(said, held[: len(said)]) / 100)
        if ratio < least:
            continue
        ratio += 0.02 * (unit.source in hints) + 0.01 * (unit.source == last)
        ratio -= 0.05 * bool(evidence.difference(piece.text, piece.words, [row]))
        if best is None or ratio > best[0] + 1e-9:
            best = (ratio, row)
    return best[1] if best else None


def _quote(
    evidence: Evidence, row: int, shown: Sequence[tuple[int, int, int]]
) -> tuple[Sentence, tuple[int, int, int]] | None:
    """The unit's own words; without the part that is shown already, None where all of it is."""
    unit = evidence.units[row]
    text = evidence.texts[unit.source]
    places = [
        (a, b)
        for a, b in text.sentences[unit.first : unit.last + 1]
        if not any(k == unit.source and s <= a and b <= e for k, s, e in shown)
    ]
    if not places:
        return None
    start, end = places[0][0], places[-1][1]
    sentence = Sentence(
        text=text.text[start:end],
        citations=(evidence.sources[unit.source].n,),
        support=1.0,
        supported=True,
        quoted=True,
    )
    return sentence, (unit.source, start, end)


def _supported(piece: _Piece, evidence: Evidence, rows: Sequence[int], support: float) -> Sentence:
    numbers = dict.fromkeys(evidence.sources[evidence.units[row].source].n for row in rows)
    return Sentence(text=piece.text, citations=tuple(numbers), support=min(support, 1.0), supported=True)


def _joint(stems: set[str], rows: Sequence[int], evidence: Evidence) -> float:
    """Weighted share of the stems that the units hold together, topic words as held."""
    weights = {s: evidence.weight(s) for s in stems}
    held = sum(w for s, w in weights.items() if any(evidence.has(row, s) for row in rows))
    return held / (sum(weights.values()) or 1.0)


def _second(piece: _Piece, stems: set[str], row: int, support: float, evidence: Evidence) -> int | None:
    """A unit of another source that holds what the first lacks, all of it, or None (ALCE: no needless citation)."""
    missing = {s for s in stems if not evidence.has(row, s)}
    if len(missing) < 2 or 1 - support < SECOND_GAIN:
        return None
    for other in _best(evidence.coverage(missing), 4):
        if evidence.units[other].source == evidence.units[row].source:
            continue
        if _joint(stems, (row, other), evidence) > 0.99 and not evidence.difference(
            piece.text, piece.words, [row, other]
        ):
            return other
    return None


def _pair(
    piece: _Piece, stems: set[str], rows: Sequence[int], evidence: Evidence, settings: Answering
) -> tuple[int, int] | None:
    """Two units that support the sentence together though neither does alone, or None."""
    least = max(settings.support_above, 0.85)
    for row in rows[:3]:
        if _joint(stems, (row,), evidence) < 0.35:
            break
        missing = {s for s in stems if not evidence.has(row, s)}
        if not missing:
            continue
        for other in _best(evidence.coverage(missing), 3):
            gain = _joint(stems, (row, other), evidence) - _joint(stems, (row,), evidence)
            if gain < SECOND_GAIN or _joint(stems, (row, other), evidence) < least:
                continue
            if not evidence.difference(piece.text, piece.words, [row, other]):
                return row, other
    return None
