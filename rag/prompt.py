"""What the generator reads: a fixed instruction, numbered sources, the question, and what to do with it.

    prompt = build(question, evidence.shown(), generator.count_tokens, profile.prompt)

A source stands under its page's name alone. Under the page's own question a fine-tuned 135M model compared that with
the question that was asked, and did not read: one swapped turned its answer round (docs/decisions/reading.md).

The instruction never changes between questions, so the generator keeps its cache. Adapters are trained
on this text: change it only together with `PROMPT_VERSION` (`rag/versions.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from configs.schema import Prompt as Settings
from index.sentences import spans
from index.words import words
from rag.retrieval.hits import Hit
from rag.retrieval.names import Said, other_name

SYSTEM = "You answer health questions from numbered sources."
REQUEST = "Quote the sentences of the sources that answer the question, with their numbers."
"""Said last, after the question: there the untrained 135M model follows it. Of its sentences 8 in 25 then follow a
source closely (seven questions); with the same in the instruction 2 in 28 did (ten questions, these among them)."""
CLOSED_BOOK = "Answer the health question in a few clear sentences."
HEADING_CHARACTERS = 160
CONTINUED = "(continued)"
CUT = " [...] "
"""Stands where the middle of a too long question was."""
CLOSED_BOOK_BYTES = 1200
"""A token is at least a byte, so this many bytes fit every profile's window without asking the tokenizer."""

# Beginnings and ends of turns in the chat templates of the Llama, SmolLM, TinyLlama, Mistral and Gemma families.
_CONTROL = re.compile(
    r"<(?=\|)|<(?=/?(?:s|unk|pad|bos|eos|start_of_turn|end_of_turn)>)|<(?=</?SYS>>)|\[(?=/?INST\])", re.I
)
_NUMBER = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True)
class Prompt:
    """Messages for the generator. `sources[i]` is shown under number i + 1 with the text `shown[i]`."""

    messages: list[BaseMessage]
    sources: tuple[Hit, ...] = ()
    shown: tuple[str, ...] = field(default=())
    question_shortened: bool = False


def neutral(text: str, tokens: Sequence[str] = ()) -> str:
    """`text` with a space inside whatever a chat template would read as a control token.

    `tokens` are further control tokens, such as a tokenizer's own. Doing it twice changes nothing more.
    """
    text = _CONTROL.sub(lambda found: found[0] + " ", text)
    for token in tokens:
        while token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}" if len(token) > 1 else " ")
    return text


def build(
    question: str,
    sources: Sequence[tuple[Hit, str]],
    count_tokens: Callable[[Sequence[BaseMessage]], int],
    settings: Settings,
) -> Prompt:
    """The prompt for `question` over hits, each with the text to show, within `settings.max_tokens` in its template.

    At most `settings.sources` of them, in the order given. A text that does not fit whole keeps the sentences most
    like the question, in their order; one of which no sentence fits is left out. A question that would take
    more than half of the room loses its middle.
    """
    empty = count_tokens(_messages("", (), {}))
    room = max(32, settings.max_tokens - empty)
    asked, shortened = _fit_question(question, lambda text: count_tokens(_messages(text, (), {})) - empty, room // 2)
    said = Said.of(question)
    given = sources[: settings.sources]
    headings = {hit.pair.id: _heading(hit, said) for hit, _ in given}
    kept: list[tuple[Hit, str]] = []

    def fits(text: str, hit: Hit) -> bool:
        return count_tokens(_messages(asked, [*kept, (hit, text)], headings)) <= settings.max_tokens

    for hit, whole in given:
        text = plain(whole).strip()
        if not fits(text, hit):
            text = _shorten(text, asked, lambda piece, hit=hit: fits(piece, hit))  # type: ignore[misc]
        if text:
            kept.append((hit, text))
    messages = _messages(asked, kept, headings)
    return Prompt(messages, tuple(hit for hit, _ in kept), tuple(text for _, text in kept), shortened)


def arrange(hits: Sequence[Hit]) -> list[Hit]:
    """The hits with those of one answer together, at the place of the best of them, in the order they are read."""
    places: dict[str, int] = {}
    for at, hit in enumerate(hits):
        places.setdefault(hit.pair.id, at)
    return sorted(hits, key=lambda hit: (places[hit.pair.id], hit.passage.ordinal))


def closed_book(question: str) -> list[BaseMessage]:
    """The prompt of the modes without retrieval; a question past `CLOSED_BOOK_BYTES` loses its middle."""
    asked, _ = _fit_question(question, lambda text: len(text.encode("utf-8", "replace")), CLOSED_BOOK_BYTES)
    return [SystemMessage(CLOSED_BOOK), HumanMessage(f"Question: {asked}")]


def _messages(question: str, sources: Sequence[tuple[Hit, str]], headings: Mapping[str, str]) -> list[BaseMessage]:
    """`sources` are hits with what is shown of them, `headings` the heading of each pair by its id."""
    parts: list[str] = []
    before = ""
    for n, (hit, text) in enumerate(sources, 1):
        heading = CONTINUED if hit.pair.id == before else headings[hit.pair.id]
        parts.append(f"[{n}] {heading}".rstrip() + f"\n{text}")
        before = hit.pair.id
    return [SystemMessage(SYSTEM), HumanMessage("\n\n".join([*parts, f"Question: {question}\n{REQUEST}"]))]


def _heading(hit: Hit, said: Said) -> str:
    """The name of the page's topic, never its question; with the other name by which the topic is asked for."""
    text = hit.pair.focus
    other = other_name(said, hit.pair)
    text = " ".join(plain(f"{text} ({other})" if other else text).split())
    return text if len(text) <= HEADING_CHARACTERS else text[:HEADING_CHARACTERS].rsplit(" ", 1)[0] + " ..."


def plain(text: str) -> str:
    """No control tokens, and no bracketed number that could pass for a source's."""
    return _NUMBER.sub(r"(\1)", neutral(text))


def _shorten(text: str, question: str, fits: Callable[[str], bool]) -> str:
    """The sentences of `text` most like `question`, as many as fit, in their order; empty if none does."""
    places = spans(text)
    asked = _words(question)
    # Equal similarity goes to the earlier sentence: pages say what matters first.
    ranked = sorted(range(len(places)), key=lambda i: (-len(asked & _words(text[slice(*places[i])])), i))
    kept: list[int] = []
    misses = 0
    for i in ranked:
        if fits(_joined(text, places, sorted([*kept, i]))):
            kept.append(i)
        elif (misses := misses + 1) == 4:
            break
    return _joined(text, places, sorted(kept))


def _joined(text: str, places: Sequence[tuple[int, int]], chosen: Sequence[int]) -> str:
    """The chosen sentences, each pair parted by a line break if one stood between them, else by a space."""
    pieces: list[str] = []
    for before, i in zip([None, *chosen], chosen, strict=False):
        if before is not None:
            pieces.append("\n" if "\n" in text[places[before][1] : places[i][0]] else " ")
        pieces.append(text[slice(*places[i])])
    return "".join(pieces)


def _words(text: str) -> set[str]:
    return {word for word in words(text.lower(), "_") if len(word) > 3}


def _fit_question(question: str, size: Callable[[str], int], limit: int) -> tuple[str, bool]:
    """The question, and whether it lost its middle to be at most `limit` in `size`."""
    text = neutral(" ".join(question.split()))
    # A token is rarely past 16 characters; what is surely too long is not worth counting whole.
    if len(text) <= 16 * limit and size(text) <= limit:
        return text, False
    half = min(len(text) // 2, 8 * limit)
    while True:
        short = neutral(text[:half].rstrip() + CUT + text[len(text) - half :].lstrip())
        if half <= 4 or size(short) <= limit:
            return short, True
        half = min(half - 1, int(half * max(0.5, 0.95 * limit / size(short))))
