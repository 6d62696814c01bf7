"""What was asked beside something else and is not in the answer is said, and nothing else is."""

from __future__ import annotations

import pytest

from index.corpus import QAPair
from rag.answer import Answer, Sentence, Source
from rag.attribution.unsaid import unsaid
from rag.retrieval.aspects import ASPECTS

CAUSES = Sentence(text="Gout is caused by uric acid in the joints.", citations=(1,), supported=True)
PAGE = "Gout is caused by uric acid in the joints. It hurts."


def source(n: int, text: str) -> Source:
    return Source(n=n, passage_id=f"p{n}", pair_id=f"q{n}", title="Gout", question="", text=text)


def pair(kind: str, title: str = "Gout") -> QAPair:
    return QAPair("p", f"What is {title}?", PAGE, focus=title, question_type=kind)


def test_the_second_thing_that_no_source_speaks_of_is_named() -> None:
    question = "what causes gout and how is it treated?"
    assert unsaid(question, [CAUSES], [source(1, PAGE)], {1: pair("causes")}) == ("how it is treated",)
    more = [source(1, PAGE), source(2, "Gout is treated with rest and medicines.")]
    assert unsaid(question, [CAUSES], more, {1: pair("causes"), 2: pair("causes")}) == (), "it stands beside the answer"
    assert unsaid(question, [CAUSES], [source(1, PAGE)], {1: pair("treatment")}) == (), "its page is on treatment"
    assert unsaid(question, [CAUSES.model_copy(update={"citations": ()})], [], {}) == (), "nothing is cited"


@pytest.mark.parametrize("question", ["is gout hereditary?", "gout", "what causes gout"])
def test_of_one_thing_retrieval_has_decided(question: str) -> None:
    assert unsaid(question, [CAUSES], [source(1, PAGE)], {1: pair("causes")}) == ()


def test_a_type_that_no_cited_page_names_is_told() -> None:
    asked = "what causes lupus type 9"
    pages = {1: pair("causes", "Lupus"), 2: pair("causes", "Lupus type 9")}
    assert unsaid(asked, [CAUSES], [source(1, PAGE)], pages) == ("what holds for “type 9” alone",)
    both = CAUSES.model_copy(update={"citations": (1, 2)})
    assert unsaid(asked, [both], [source(1, PAGE), source(2, PAGE)], pages) == ()


def test_the_answer_says_it_in_one_line_at_its_end() -> None:
    answer = Answer(question="q", status="answered", mode="extractive", sentences=(CAUSES,), missing=("its symptoms",))
    assert answer.text.endswith("[1]\n\nThe sources found do not say: its symptoms.")
    assert answer.model_copy(update={"missing": ()}).text.endswith("[1]")


def test_every_aspect_has_words() -> None:
    assert all(aspect.means and aspect.means[0].islower() for aspect in ASPECTS.values())
