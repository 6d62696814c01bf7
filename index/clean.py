"""Cleaning: MedQuAD's layout white space becomes paragraphs and lists, and exact duplicates become one pair.

What a source's making damaged is then put right (`index/repairs.py`); the text as it was published is kept beside it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from index import repairs
from index.corpus import QAPair

if TYPE_CHECKING:
    from configs.schema import Cleaning
    from index.readers.report import ReadReport

BULLET = re.compile(r"[-•·‣▪◦*](?=\s|$)\s*")
NUMBERED = re.compile(r"\(?\d{1,2}[.)] +\S")
SENTENCE_END = re.compile(r"[.?!][)\]\"'”’]*$")
WRAPPED_WIDTH = 120
"""Lines longer than this were not wrapped by hand: each of their newlines was meant."""
DROPPED_LINES = {"Espaol", "Español"}
"""A link to the Spanish page, left in 18 answers of 8_NHLBI_QA_XML (without its ñ)."""
_NEWLINES = re.compile(r"\r\n|[\r\v\f\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff]"
    r"|[\ud800-\udfff]"
)
_SPACES = re.compile(r"[^\S\n ]")
_NOT_PLAIN = re.compile(r"[^\x20-\x7e\n]")
_EMAIL = re.compile(r"(?<![\w.+-])[\w+-]+(?:\.[\w+-]+)*@(?:[\w-]+\.)+[A-Za-z]{2,}\b")
_DIGITS = re.compile(r"\d(?:[^\d\n]{0,3}\d){6}")
REGIONS = ("US", "IN", "GB")
"""Whose national ways of writing a number are known without a country code: where the dialogues come from."""


def plain(text: str) -> str:
    """NFC, newlines as `\\n`, every other space a plain one, no control or invisible characters."""
    if not _NOT_PLAIN.search(text):  # most texts, in a fifth of the time
        return text
    text = _SPACES.sub(" ", _NEWLINES.sub("\n", text))
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))


def clean_question(text: str) -> str:
    """One line, no space before its question mark ("What causes Asthma ?"), no doubled one ("risk? ?")."""
    text = " ".join(plain(text).split())
    return re.sub(r"\s+\?", "?", re.sub(r"\?(?:\s+\?)+", "?", text))


def clean_answer(text: str) -> str:
    """Paragraphs with a blank line between them, list items one a line as "- item", right under their lead-in.

    MedQuAD's layout is in its white space. A run of spaces before a dash starts an item; two or more after a
    sentence's end, or three before a capital, start a paragraph (checked by eye on all nine folders). A single
    newline is a space where a line was wrapped, and a new paragraph where a heading or a paragraph ended.
    """
    text = plain(text)
    typed = len(re.findall(r"[.?!]  (?=[A-Z])", text))
    # Someone who types two spaces after every sentence does not mean a paragraph by them.
    typist = typed > 1 and typed > len(re.findall(r"[.?!] (?=[A-Z])", text))
    blocks: list[_Block] = []
    for group in re.split(r"\n[^\S\n]*(?:\n[^\S\n]*)+", text):
        lines = [line.strip() for line in group.split("\n")]
        lines = [line for line in lines if line and line not in DROPPED_LINES]
        width = max(map(len, lines), default=0)
        for number, line in enumerate(lines):
            wrapped = number > 0 and _wrapped(lines[number - 1], line, width)
            _add_line(blocks, line, wrapped, typist)
    return _join(blocks)


def _wrapped(before: str, line: str, width: int) -> bool:
    """Whether the newline between two lines of a block only wraps the text."""
    if line[0].islower():
        return True
    return width <= WRAPPED_WIDTH and len(before) + 1 + len(line.split(" ", 1)[0]) > width


@dataclass
class _Block:
    """A paragraph, a list item or a numbered line, as the runs of text it is put together from."""

    kind: str
    runs: list[str]


def _add_line(blocks: list[_Block], line: str, wrapped: bool, typist: bool) -> None:
    pieces = re.split(r"( {2,})", line)
    for place in range(0, len(pieces), 2):
        piece, gap = pieces[place], pieces[place - 1] if place else ""
        after, following = pieces[place + 1 : place + 3] or ("", "")
        _add_run(blocks, piece, gap, wrapped if place == 0 else None, typist)
        # The first item may stand after a single space ("include - a  - b"), where its lead-in is still open.
        if BULLET.match(following) and len(after) <= 3 and not BULLET.match(piece) and not piece.endswith(":"):
            lead, dash, first = blocks[-1].runs[-1].rpartition(" - ")
            if dash:
                blocks[-1].runs[-1] = lead
                blocks.append(_Block("item", [first]))


def _add_run(blocks: list[_Block], run: str, gap: str, wrapped: bool | None, typist: bool) -> None:
    """Add a run of text. `wrapped` is None inside a line, where `gap` is the white space before the run."""
    bullet = BULLET.match(run)
    if bullet:
        blocks.append(_Block("item", [run[bullet.end() :]]))
        return
    if wrapped is not None and NUMBERED.match(run):
        blocks.append(_Block("number", [run]))
        return
    last = blocks[-1] if blocks else _Block("", [""])
    if last.kind == "item" and not any(last.runs):  # a bullet alone on its line
        last.runs = [run]
        return
    if wrapped is not None:
        new = not wrapped
    else:
        listed = last.kind in ("item", "number")
        starts = run[0].isupper() or (run[0] in "\"'(“" and run[1:2].isupper())
        ended = bool(SENTENCE_END.search(last.runs[-1][-20:])) and (starts or listed)
        new = (ended and not (typist and len(gap) == 2)) or (len(gap) > 2 and starts)
    if new or not blocks:
        blocks.append(_Block("paragraph", [run]))
    else:
        last.runs.append(run)


def _join(blocks: list[_Block]) -> str:
    before = {"paragraph": "\n\n", "item": "\n- ", "number": "\n"}
    texts = ((block.kind, " ".join(filter(None, block.runs)).strip()) for block in blocks)
    return "".join(before[kind] + text for kind, text in texts if text).strip()


def normalize(text: str) -> str:
    """A name as it is compared: no case, no punctuation but inside words, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s'+-]|(?<!\w)['-]+|['-]+(?!\w)", " ", folded).split())


def deidentify(text: str) -> tuple[str, int, int]:
    """The text with e-mail addresses as `[email]` and telephone numbers as `[phone]`, and how many of each.

    Telephone numbers are those that libphonenumber holds for valid in one of `REGIONS` or with a country code, so
    that doses, ranges, dates and readings stay. In MedQuAD's answers it found 77 numbers and nothing else.
    """
    text, emails = _EMAIL.subn("[email]", text) if "@" in text else (text, 0)
    if not _DIGITS.search(text):
        return text, emails, 0
    out, last, phones = [], 0, _phones(text)
    for start, end in phones:
        out += [text[last:start], "[phone]"]
        last = end
    return "".join([*out, text[last:]]), emails, len(phones)


def _phones(text: str) -> list[tuple[int, int]]:
    """Start and end of each telephone number, in order and apart."""
    from phonenumbers import Leniency, PhoneNumberMatcher

    found: list[tuple[int, int]] = []
    for region in REGIONS:
        for match in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
            begin = match.start
            if match.raw_string.startswith("(") and ")" not in match.raw_string:  # a bracket around the number
                begin += len(match.raw_string) - len(match.raw_string.lstrip("( "))
            if all(match.end <= start or end <= begin for start, end in found):
                found.append((begin, match.end))
    return sorted(found)


def clean_pairs(pairs: Iterable[QAPair], settings: Cleaning, report: ReadReport) -> list[QAPair]:
    """Clean, drop the empty and the too short or long, and merge exact duplicates, keeping every URL.

    Two pairs are duplicates when their cleaned question and answer, before any repair, are the same; the first one's
    provenance stays. Ids are made unique ("~2", "~3", ... in reading order).
    """
    kept: list[QAPair] = []
    row_of: dict[tuple[str, str], int] = {}
    for pair in pairs:
        raw = pair.answer
        question, answer = clean_question(pair.question), clean_answer(raw)
        if not (_has_words(question) and _has_words(answer)):
            report.drop_empty(pair.id, f"no words in its {'answer' if _has_words(question) else 'question'}")
            continue
        published = (question, answer)
        pair = replace(
            pair,
            question=question,
            answer=answer,
            focus=clean_question(pair.focus),
            synonyms=tuple(dict.fromkeys(filter(None, map(clean_question, pair.synonyms)))),
        )
        if settings.repair:
            pair = _repaired(pair, plain(raw))
        words = len(pair.answer.split())
        if words < settings.min_answer_words:
            report.too_short += 1
            continue
        if settings.max_answer_words is not None and words > settings.max_answer_words:
            report.too_long += 1
            continue
        urls = tuple(dict.fromkeys(url for url in (pair.url, *pair.urls) if _is_link(url)))
        row = row_of.setdefault(published, len(kept))
        if row < len(kept):
            report.duplicates += 1
            merged = tuple(dict.fromkeys((*kept[row].urls, *urls)))
            kept[row] = replace(kept[row], url=merged[0] if merged else "", urls=merged)
            continue
        kept.append(replace(pair, url=urls[0] if urls else "", urls=urls))
    report.kept += len(kept)
    return _unique_ids(kept)


def _repaired(pair: QAPair, raw: str) -> QAPair:
    """A cleaned pair with its words and layout put right; its answer as published in `original` where that differs."""
    text, done = repairs.before_layout(raw)
    laid_out = pair.answer if text == raw else clean_answer(text)
    answer, more = repairs.after_layout(laid_out, pair.source, pair.focus)
    if not _has_words(answer):  # nothing but a link
        answer, more, done = pair.answer, [], []
    question, asked = repairs.repair_words(pair.question)
    named = [repairs.repair_words(name) for name in (pair.focus, *pair.synonyms)]
    return replace(
        pair,
        question=question,
        answer=answer,
        focus=named[0][0],
        synonyms=tuple(dict.fromkeys(name for name, _ in named[1:])),
        original="" if answer == pair.answer else pair.answer,
        repairs=tuple(dict.fromkeys(map(str, [*done, *more, *asked, *(one for _, words in named for one in words)]))),
    )


def _unique_ids(pairs: list[QAPair]) -> list[QAPair]:
    seen: Counter[str] = Counter()
    taken = {pair.id for pair in pairs}
    unique = []
    for pair in pairs:
        seen[pair.id] += 1
        if seen[pair.id] > 1:
            while (fresh := f"{pair.id}~{seen[pair.id]}") in taken:
                seen[pair.id] += 1
            taken.add(fresh)
            pair = replace(pair, id=fresh)
        unique.append(pair)
    return unique


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _is_link(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))
