"""Repairs: what MedQuAD's making damaged is put right, and every change is told.

    text, done = after_layout(clean_answer(before_layout(raw)))

Lists that stand twice stand once, notes on videos and links are left out, headings are parted from the sentence behind
them, tables that ran into a line are lists (`phenotypes.py`), and words that lost a letter, an apostrophe, a space or a
dash get it back by a table that was read through (`repairs.json`, made from MedQuAD's own vocabulary). The spelling of
a page's authors is theirs and stays.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from index import phenotypes
from index.words import runs, unfolded, words

TABLE = Path(__file__).resolve().parent / "repairs.json"

LIST, OUTLINE, PARAGRAPH, HEADING, NOTE, TABLE_RUN, LABEL = (
    "list given twice",
    "outline given twice",
    "paragraph given twice",
    "heading glued to a sentence",
    "note on a video or link",
    "table run into a line",
    "label left over",
)
RUN = 8
"""Words that follow themselves at once are a copy from this many on; of two list items or more, from two."""
LONGEST, PASSES, NEAR = 200_000, 8, 40
"""Characters past which an answer's copies are not looked for (MedQuAD's longest has some 30,000), passes in which they
are, and characters looked at beside a run."""
LONG = 17
"""Words; a shorter paragraph may well be said twice ("Talk with your doctor")."""
GLUED_HEADINGS = frozenset({"NIHSeniorHealth"})
"""Sources whose headings stand before their sentence without a mark; of the others', two in three finds were wrong."""

_LETTERS = re.compile(r"[^\W\d_]+")
_ADDRESS = re.compile(r"://|www\.|@|\.(?:com|org|gov|net|edu|html?|uk)\b")
_BULLET = re.compile(r"(?:^|(?<=\s))[-•·‣▪◦*]\s+")
_BEGINS = re.compile(r"(?:^|[-•·‣▪◦*]\s|\s\s|\n|[.?!:;][)\"”]?\s)[\s\"“(]*$")
_OUTLINES = frozenset({"key points"})

_SENTENCE = r"[^.\n]*(?:\.(?=\S)[^.\n]*)*\.?(?=\s|\)|$)"
_NOTES = re.compile(
    r"\(\s*(?:Watch|See) the (?:short )?videos?\b[^()]*(?:\([^()]*\)[^()]*)*\)"
    r"|\(\s*This short video\b[^()]*\)"
    rf"|\bTo (?:enlarge|reduce) the videos?\b{_SENTENCE}\)?"
    r"|\bTop of page\b"
    rf"|\b(?:Please )?[Cc]lick on the (?:following )?links? to (?:access|view|see)\b{_SENTENCE}"
    rf"|\b(?:Please )?[Cc]lick here to\b{_SENTENCE}"
    r"|(?:(?<=\. )|(?<=\n)|^)[A-Z][^.\n]{0,200}\b[Cc]lick here\.(?=\s|$)"
)
"""What a page said of its own links and films, which are not here."""
_NOTED = ("video", "Top of page", "lick on the", "lick here")
"""One of these stands in every such note: most texts have none, and are not searched."""

_SINGLE = "patient person parent mother father doctor infant newborn individual human smoker teen woman man child baby"
_PHRASES: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), right)
    for pattern, right in (
        (r"(?<=Guillain[- ])Barr\b(?!é)", "Barré"),
        (r"\bIm(?= older| underweight)", "I'm"),
        (r"\bBells(?= palsy)", "Bell's"),
        (r"\bStills(?= disease)", "Still's"),
        (r"\bDowns(?= syndrome)", "Down's"),
        (r"\bHodgkins(?= (?:disease|lymphoma))", "Hodgkin's"),
        (rf"(?<=\b[Aa] )({_SINGLE.replace(' ', '|')})s(?= [a-z])", r"\1's"),
        (rf"(?<=\b[Aa]n )({_SINGLE.replace(' ', '|')})s(?= [a-z])", r"\1's"),
        (
            r"(?<=\b[Tt]he )(heart|brain|stomach|liver|spleen)s"
            r"(?= (?!of|and|or|in|are|is|that|to|with|from|for)[a-z])",
            r"\1's",
        ),
    )
]
_SMALL = (
    "a an the of to in for and or with your at on by from is are as vs not do does can be it its than you who my when"
    " if how what after about into but"
).replace(" ", "|")
_OPENERS = (
    "The This These Those That In If When While People Some Many Most Your You There It As A An For To Although Because"
    " Before After Both Each Every Even Once Other Others Another Researchers Scientists Doctors Studies Several Older"
    " He She They We With Without Also Not No Such During Since Until Unlike Sometimes Usually Often However Here"
    " Whether Too Adults At On By One Two Three All Any Ask Talk Try Make Keep Only Experts Currently Anyone More"
).split()
_HEADING = re.compile(
    r"(?:^|(?<=\n)|(?<=[.?!:)] ))"
    rf"(?P<head>[A-Z][\w'’/&-]*,?(?: (?:[A-Z0-9(][\w'’/&()-]*,?|{_SMALL})){{1,11}}) (?=(?P<opener>[A-Z][\w'’-]*) [a-z])"
)
_ASKING = re.compile(
    rf"(?:^|(?<=\n)|(?<=[.!?)] ))(?P<head>[A-Z][\w'’/&-]*(?: (?:[A-Z0-9(][\w'’/&()-]*,?|{_SMALL})){{1,11}}\?) (?=[A-Z])"
)
_TITLES = "Symptoms|Complications|Causes|Treatments?|Diagnosis|Prevention|Research|Medications?|Surgery|Outlook"
_TITLE = re.compile(rf"(?:^|(?<=\n)|(?<=[.!?] ))(?P<head>{_TITLES}) (?=(?:{'|'.join(_OPENERS)}) [a-z])")
_VERB = re.compile(r" (?:is|are|can|may|has|affects|occurs|causes|usually|often)\b")


@dataclass(frozen=True, slots=True)
class Repair:
    """One change. `kind` says what was wrong, `what` is what was changed, as "before > after" or what was left out."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def parsed(text: str) -> Repair:
    """A `Repair` from its text."""
    kind, _, what = text.partition(": ")
    return Repair(kind, what)


def within(made: Sequence[str], text: str) -> tuple[str, ...]:
    """What of a page's repairs concerns a passage of it: its words, and the kinds of the others without their text.

    What was left out may hold a dose that is not to be shown here.
    """
    if not text:
        return ()
    kept: dict[str, None] = {}
    for one in map(parsed, made):
        _, mark, right = one.what.rpartition(" > ")
        if mark and right in text:
            kept[str(one)] = None
        elif not mark:
            kept[one.kind] = None
    return tuple(kept)


def before_layout(text: str) -> tuple[str, list[Repair]]:
    """A raw answer without notes and without the second copy of its lists, its layout white space kept."""
    done: list[Repair] = []

    def noted(match: re.Match[str]) -> str:
        done.append(Repair(NOTE, _short(match.group())))
        return "   "

    if any(word in text for word in _NOTED):
        text = _NOTES.sub(noted, text)
    if len(text) > LONGEST:
        return text, done
    for _ in range(PASSES):
        copies = _copies(text)
        if not copies:
            break
        kept, at = [], 0
        for start, end in copies:
            done.append(Repair(LIST, _short(text[start:end])))
            kept.append(text[at:start].rstrip(" "))
            while text[end : end + 1] == " ":
                end += 1
            at = end
        text = "   ".join([*kept, text[at:]])
    return text, done


def _copies(text: str) -> list[tuple[int, int]]:
    """Where runs of words stand that repeat the run just before them: in order, apart.

    The run begins where a line, an item or a sentence does and its copy ends where a sentence can, without a mark of a
    list inside: "What are the signs of gout? The signs of gout vary" and two items that are alike hold no copy.
    """
    said = _said(text)
    listed = _BULLET.search(text) is not None
    if not listed and not _repeats(said):
        return []
    found = runs(text)
    copies: list[tuple[int, int]] = []
    last: dict[tuple[str, ...], int] = {}
    free = 0
    for second in range(len(said) - RUN + 1):
        gram = tuple(said[second : second + RUN])
        first = last.get(gram)
        last[gram] = second
        if second < free or first is None or said[first:second] != said[second : 2 * second - first]:
            continue
        length = second - first
        if length < RUN or len(set(said[first:second])) < 5:
            continue
        same = length
        while (
            same < 2 * length and said[first + same : first + same + 1] == said[second + same : second + same + 1] != []
        ):
            same += 1
        # "your gums. - Keep … your gums. Keep …" holds the same copy from "your" on and from "Keep" on.
        for move in range(same - length + 1):
            if span := _whole(text, found, first + move, length):
                copies.append(span)
                free = second + move + length
                break
    return copies or (_short_lists(text, found, said) if listed else [])


def _said(text: str) -> list[str]:
    """The words of a text in small letters, in order."""
    return [word.lower() for word in unfolded(text)]


def _repeats(said: list[str]) -> bool:
    """Whether a run of RUN words stands twice: most texts have none, and are read no further."""
    grams = list(zip(*(said[start:] for start in range(RUN)), strict=False))
    return len(set(grams)) < len(grams)


def _short_lists(text: str, found: list[re.Match[str]], said: list[str]) -> list[tuple[int, int]]:
    """The same for runs of fewer words than RUN that hold two items of a list at least."""
    copies: list[tuple[int, int]] = []
    starts = [match.start() for match in found]
    for mark in _BULLET.finditer(text):
        first = bisect_left(starts, mark.end())
        for length in range(2, RUN):
            second = first + length
            if len(said) >= second + length and said[first:second] == said[second : second + length]:
                listed = _BULLET.search(text, found[first].end(), found[second - 1].start())
                span = _whole(text, found, first, length) if listed else None
                if span and (not copies or span[0] >= copies[-1][1]):
                    copies.append(span)
                    break
    return copies


def _whole(text: str, found: list[re.Match[str]], first: int, length: int) -> tuple[int, int] | None:
    """Characters of the copy of a run of words, with the marks that hang on them, if both are whole sentences."""
    start, end = _span(text, found, first + length, length)
    begin = found[first].start()
    following = text[end : end + NEAR].lstrip()[:1]
    ended = text[end - 1] in ".?!):;" or "  " in text[end : end + 3] or "\n" in text[end : end + 2]
    if not _BEGINS.search(text, max(0, begin - NEAR), begin) or _BULLET.search(text, max(0, start - 3), end):
        return None
    return (start, end) if ended or not following.islower() else None


def _span(text: str, found: list[re.Match[str]], second: int, length: int) -> tuple[int, int]:
    """Characters of some words with the marks that hang on them."""
    start, end = found[second].start(), found[second + length - 1].end()
    while start and not text[start - 1].isspace() and start > found[second - 1].end():
        start -= 1
    following = found[second + length].start() if second + length < len(found) else len(text)
    while end < following and not text[end].isspace():
        end += 1
    # The last item's own mark and the copy's are one: "- Red hair. Fair skin. … Red hair."
    return max(start, _end_of_word(text, found[second - 1].end())), end


def _end_of_word(text: str, end: int) -> int:
    while end < len(text) and not text[end].isspace():
        end += 1
    return end


def after_layout(text: str, source: str = "", focus: str = "") -> tuple[str, list[Repair]]:
    """A laid-out answer with its outlines and paragraphs once, its headings on lines of their own, its words whole."""
    done: list[Repair] = []
    if label := _LABEL.match(text):
        done.append(Repair(LABEL, label.group().strip()))
        text = text[label.end() :]
    text = phenotypes.laid_out(text, lambda cells: done.append(Repair(TABLE_RUN, _short(cells))))
    text = _once(text, done)
    if source in GLUED_HEADINGS:
        text = _headings(text, frozenset(words(focus)), done)
    text, more = repair_words(text)
    return text, done + more


def _key(text: str) -> tuple[str, ...]:
    return tuple(_said(text))


def _once(text: str, done: list[Repair]) -> str:
    """Without an outline's items that are headings further on, and without long paragraphs that stood before."""
    paragraphs = text.split("\n\n")
    if len(paragraphs) == 1:
        return text
    kept: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for place, paragraph in enumerate(paragraphs):
        head, *items = paragraph.split("\n")
        if items and head.strip().lower() in _OUTLINES:
            later = {_key(line) for after in paragraphs[place + 1 :] for line in after.split("\n")}
            left = [item for item in items if _key(item) not in later]
            if len(left) < len(items):
                done.append(Repair(OUTLINE, f"{len(items) - len(left)} of {len(items)} items"))
                paragraph = "\n".join([head, *left]) if left else ""
        whole = _key(paragraph)
        if len(whole) >= LONG and whole in seen:
            done.append(Repair(PARAGRAPH, _short(paragraph)))
            continue
        seen.add(whole)
        if paragraph:
            kept.append(paragraph)
    return "\n\n".join(kept)


def _headings(text: str, focus: frozenset[str], done: list[Repair]) -> str:
    """Headings in capitals that run into the sentence behind them, each as a paragraph."""

    def parted(match: re.Match[str]) -> str:
        head = match["head"]
        opener = match.groupdict().get("opener")
        if opener is not None:
            last = head.rsplit(" ", 1)[-1]
            named = opener == last or (opener in focus and _VERB.match(match.string, match.end() + len(opener)))
            if not (opener in _OPENERS or named) or not last[0].isupper():
                return match.group()
        done.append(Repair(HEADING, head))
        before = "" if match.start() == 0 or match.string[match.start() - 1] == "\n" else "\n\n"
        return f"{before}{head}\n\n"

    for pattern in (_HEADING, _ASKING, _TITLE):
        text = pattern.sub(parted, text)
    return re.sub(r" +\n", "\n", text)


_LABEL = re.compile(r"Summary\s*:\s+(?=\S)")
"""What stands before the text of MedlinePlus' health topics."""
_IN_PHRASES = frozenset(
    [*"Barr Im Bells Stills Downs Hodgkins hearts brains stomachs livers spleens".split()]
    + [f"{one}s" for one in _SINGLE.split()]
)
"""One of these words stands in every place that _PHRASES changes."""


@cache
def _damaged() -> frozenset[str]:
    """The words of an ASCII text that may be changed: of the table, also at a sentence's start, and of _IN_PHRASES."""
    table = _words()
    return _IN_PHRASES | table.keys() | {word[:1].upper() + word[1:] for word in table}


@cache
def _words() -> dict[str, tuple[str, str]]:
    """Each damaged word of the table with its kind and its repair."""
    table = json.loads(TABLE.read_text("utf-8"))
    return {wrong: (kind, right) for kind, entries in table.items() for wrong, right in entries.items()}


def repair_words(text: str) -> tuple[str, list[Repair]]:
    """Words of the table put right, outside web addresses. Upper case at a word's start stays."""
    if text.isascii() and _damaged().isdisjoint(_LETTERS.findall(text)):
        return text, []  # most texts, in a fifth of the time
    table, done = _words(), []

    def whole(match: re.Match[str]) -> str:
        word = match.group()
        found = table.get(word)
        if found is None and word[0].isupper() and (lower := table.get(word[0].lower() + word[1:])):
            found = (lower[0], lower[1][0].upper() + lower[1][1:])
        if found is None or _in_address(match.string, match.start()):
            return word
        done.append(Repair(found[0], f"{word} > {found[1]}"))
        return found[1]

    def phrase(right: str) -> Callable[[re.Match[str]], str]:
        def changed(match: re.Match[str]) -> str:
            whole = match.expand(right)
            kind = "lost letter" if not whole.isascii() else "lost apostrophe"
            done.append(Repair(kind, f"{match.group()} > {whole}"))
            return whole

        return changed

    text = _LETTERS.sub(whole, text)
    for pattern, right in _PHRASES:
        text = pattern.sub(phrase(right), text)
    return text, done


def _in_address(text: str, place: int) -> bool:
    start = max(text.rfind(" ", 0, place), text.rfind("\n", 0, place)) + 1
    end = min((at for at in (text.find(" ", place), text.find("\n", place)) if at >= 0), default=len(text))
    return bool(_ADDRESS.search(text, start, end))


def _short(text: str, most: int = 80) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
