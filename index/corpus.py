"""One question with its answer and where it comes from: the unit every corpus is read into."""

from __future__ import annotations

from dataclasses import dataclass, field

INSTITUTES = {
    "CancerGov": "National Cancer Institute (NCI)",
    "GARD": "Genetic and Rare Diseases Information Center (GARD)",
    "GHR": "Genetics Home Reference (NLM)",
    "MPlusHealthTopics": "MedlinePlus Health Topics (NLM)",
    "NIDDK": "National Institute of Diabetes and Digestive and Kidney Diseases (NIDDK)",
    "NINDS": "National Institute of Neurological Disorders and Stroke (NINDS)",
    "NIHSeniorHealth": "NIH Senior Health (NIA)",
    "NHLBI": "National Heart, Lung, and Blood Institute (NHLBI)",
    "CDC": "Centers for Disease Control and Prevention (CDC)",
}
"""The `source` attribute of MedQuAD's documents, as a reader should see it."""


@dataclass(frozen=True, slots=True)
class QAPair:
    """A question, its answer and its provenance. Fields a corpus does not have are empty.

    `id` is unique in a merged corpus and stable between reads of the same files. `urls` holds every
    page that carried this pair (exact duplicates are merged); `url` is the first of them.
    `demonstration` marks the project's own starter text, which is not from any health institute. `repairs` are the
    `index.repairs.Repair`s made, as text; `original` is the answer as published where they changed it.
    """

    id: str
    question: str
    answer: str
    collection: str = ""
    document: str = ""
    question_id: str = ""
    question_type: str = ""
    focus: str = ""
    synonyms: tuple[str, ...] = ()
    cuis: tuple[str, ...] = ()
    semantic_types: tuple[str, ...] = ()
    semantic_group: str = ""
    source: str = ""
    url: str = ""
    urls: tuple[str, ...] = field(default=())
    demonstration: bool = False
    original: str = ""
    repairs: tuple[str, ...] = ()

    @property
    def institute(self) -> str:
        """The publisher's full name, or the source's own code where it is not one of MedQuAD's."""
        return INSTITUTES.get(self.source, self.source)

    @property
    def title(self) -> str:
        """What a reader is shown as the page's title: the focus, or else the question."""
        return self.focus or self.question

    @property
    def asks(self) -> str:
        """The question that a reader who chooses this title means: a title that is a question asks itself."""
        return f"What is {self.focus}?" if self.focus else self.question


def repeats(title: str, question: str) -> bool:
    """Whether a page's title is its question over again, but for case, white space and the mark at its end."""
    first, second = (" ".join(text.split()).rstrip("?!. ").casefold() for text in (title, question))
    return first == second


def titled(title: str, question: str) -> str:
    """A page's title and its question in a line; once where they are the same."""
    return question if repeats(title, question) else f"{title}: {question}"
