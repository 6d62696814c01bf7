"""Which sources each sentence of the model's draft may cite.

Code owns the citations: what the model wrote as `[n]` is taken out and only breaks ties. A sentence that
closely follows a source is shown in the source's own words; one that no source holds, or that differs
from its best source in a number, a name or a negation, is marked, or dropped in strict mode.
`python -m pytest tests/rag/attribution/test_attribute.py` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from rapidfuzz import fuzz

from configs.schema import Answering
from index.sentences import LIST_MARK
from index.words import plain, tokens
from rag.answer import Sentence, Source
from rag.attribution.doses import unsourced_doses
from rag.attribution.draft import Piece, is_cut, is_noise, pieces_of, wider
from rag.attribution.quantities import has_content
from rag.attribution.support import Evidence

NEAR_TIE = 0.03
"""Supports this close are equal, and then the model's own citation, or else the sentence before, decides."""
SECOND_GAIN = 0.15
"""Share of a sentence that a second source must add to be cited."""
REPEAT = 92.0
"""Similarity in percent past which a sentence repeats one already kept."""
CANDIDATES = 8
LEEWAY = 0.1


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
    pieces = pieces_of(draft, set(by_number), [source.text for source in sources])
    asked = tokens(question)
    seen: set[str] = set()
    kept: list[Sentence] = []
    said: list[str] = []
    shown: list[tuple[int, int, int]] = []
    gap, last = "", -1
    for i, piece in enumerate(pieces):
        gap = wider(gap, piece.before)
        flat = plain(piece.words)
        if flat in seen or is_noise(piece, asked):
            continue
        seen.add(flat)
        cut = complete and i == len(pieces) - 1 and is_cut(piece, pieces)
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
    return without_orphans(kept) if complete else kept


def _repeats(flat: str, said: Sequence[str]) -> bool:
    digits = re.findall(r"\d+", flat)
    for other in said[-200:]:
        if flat == other:
            return True
        alike = min(len(flat), len(other)) > 30 and fuzz.ratio(flat, other, score_cutoff=REPEAT) > 0
        if alike and re.findall(r"\d+", other) == digits and (" not " in flat) == (" not " in other):
            return True
    return False


def without_orphans(kept: Sequence[Sentence]) -> list[Sentence]:
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
    piece: Piece,
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
    row = _to_quote(piece, evidence, settings, rows, hints, last, cut)
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


def _to_quote(
    piece: Piece,
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
    least = settings.quote_threshold if len(piece.words) > 4 else max(settings.quote_threshold, 0.9)
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


def _supported(piece: Piece, evidence: Evidence, rows: Sequence[int], support: float) -> Sentence:
    numbers = dict.fromkeys(evidence.sources[evidence.units[row].source].n for row in rows)
    return Sentence(text=piece.text, citations=tuple(numbers), support=min(support, 1.0), supported=True)


def _joint(stems: set[str], rows: Sequence[int], evidence: Evidence) -> float:
    """Weighted share of the stems that the units hold together, topic words as held."""
    weights = {s: evidence.weight(s) for s in sorted(stems)}
    held = sum(w for s, w in weights.items() if any(evidence.has(row, s) for row in rows))
    return held / (sum(weights.values()) or 1.0)


def _second(piece: Piece, stems: set[str], row: int, support: float, evidence: Evidence) -> int | None:
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
    piece: Piece, stems: set[str], rows: Sequence[int], evidence: Evidence, settings: Answering
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
