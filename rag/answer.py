"""The one result type: what every door (command line, chat, API, evaluation) gets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from configs.modes import Mode
from rag.attribution.references import without_marks

Status = Literal["answered", "abstained", "emergency"]

DISCLAIMER = (
    "This is information from the sources shown, not medical advice. Ask a health professional about your own case."
)
ABSTENTION = "The sources do not cover this question."
WHETHER_OR_NOT = "If it could be an emergency, call your local emergency number now."
"""Said with every abstention: some emergencies are missed, and a question not answered is no sign of safety."""
MISSING = "The sources found do not say:"
DEMONSTRATION = "Demonstration text, not from NIH."


Unmarked = Annotated[str, AfterValidator(without_marks)]
"""Text without numbers in square brackets: `[n]` is medcite's own citation, never a passage's or a model's."""


class Span(BaseModel):
    """Characters `start` to `end` of a source's text."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Source(BaseModel):
    """One passage the answer could draw on. `n` is the number that the reader sees; it never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n: int = Field(ge=1)
    passage_id: str
    pair_id: str
    title: Unmarked
    question: Unmarked = Field(description="the question that this source's page answers")
    text: Unmarked = Field(
        description="the passage, without reference marks of its own; "
        "empty under an emergency notice, where only the page is named"
    )
    institute: str = ""
    url: str = ""
    urls: tuple[str, ...] = ()
    score: float = Field(0.0, description="the retriever's fused score, higher is better")
    demonstration: bool = False
    used: bool = Field(False, description="whether a sentence of the answer cites it")
    highlights: tuple[Span, ...] = Field((), description="the parts of `text` that support the answer")
    doses_left_out: int = Field(
        0, ge=0, description="sentences with doses that `text` does not show, since the question does not name the page"
    )
    repairs: tuple[str, ...] = Field((), description="what differs here from the page's text as it was published")


class Sentence(BaseModel):
    """One sentence of the answer and what it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: Unmarked = Field(description="without citation marks")
    citations: tuple[int, ...] = Field((), description="source numbers, best first")
    support: float = Field(0.0, ge=0, le=1)
    supported: bool = False
    quoted: bool = Field(False, description="the source's own words")
    before: str = Field("", description="layout that precedes it: a space, a paragraph break, a list mark")
    note: str = Field("", description="why it is not supported, in words: a number, a negation, a name")


class Timings(BaseModel):
    """Milliseconds since the question came in; 0 where a step did not happen."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    retrieve_ms: float = 0.0
    first_token_ms: float = 0.0
    total_ms: float = 0.0
    prompt_tokens: int = 0
    new_tokens: int = 0


class Answer(BaseModel):
    """An answer, an abstention or an emergency notice.

    While it is streamed, `complete` is false and `draft` holds the words of the sentence being
    written; each snapshot replaces the one before it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    question: str
    status: Status
    mode: Mode
    sentences: tuple[Sentence, ...] = ()
    sources: tuple[Source, ...] = ()
    understood: str = Field("", description="a follow-up as a question of its own, where the turns before are in it")
    searched: str = Field("", description="the question as it was searched, where words of it were read as others")
    growing: str = Field(
        "", description="one line on an index of which not all passages have vectors yet; empty where all have"
    )
    notice: str = Field("", description="the emergency notice or the abstention sentence; shown first")
    nearest: tuple[str, ...] = Field((), description="on abstention: the nearest topics")
    nearest_questions: tuple[str, ...] = Field((), description="on abstention: the question to ask for each of them")
    confidence: float = Field(0.0, ge=0, le=1)
    fallback: bool = Field(False, description="too little of the draft was supported: the sources are quoted instead")
    missing: tuple[str, ...] = Field(
        (), description="what was asked, too, and is in none of the sources: `how it is treated`"
    )
    truncated: bool = Field(False, description="the generator reached its token limit")
    model: str = ""
    adapter: str = ""
    timings: Timings = Timings()
    disclaimer: str = DISCLAIMER
    complete: bool = True
    draft: Unmarked = ""

    @property
    def text(self) -> str:
        """The answer as plain text with `[n]` after each cited sentence, notice first, and last what is missing."""
        body = "".join(
            (sentence.before if i else sentence.before.lstrip()) + cited(sentence)
            for i, sentence in enumerate(self.sentences)
        )
        return "\n\n".join(part for part in (self.notice, body, self.missing_words) if part)

    @property
    def missing_words(self) -> str:
        """One line on what was asked, too, and is in none of the sources; empty where nothing is missing."""
        return f"{MISSING} {', '.join(self.missing)}." if self.missing else ""

    @property
    def confidence_words(self) -> str:
        """The confidence as a reader should see it; the limits are the profile's to set, these are display bands."""
        if self.status == "abstained":
            return "not covered by the sources"
        return "high" if self.confidence >= 0.8 else "medium" if self.confidence >= 0.6 else "low"


def cited(sentence: Sentence) -> str:
    """A sentence followed by its citation marks."""
    return sentence.text + "".join(f" [{n}]" for n in sentence.citations)
