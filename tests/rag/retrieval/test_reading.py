"""Sentences are worth what they say to the question."""

from __future__ import annotations

import math

from rag.retrieval.reading import Piece, read, says_nothing
from tests.fakes import FakeEmbedder

EMBEDDER = FakeEmbedder(dimensions=384)
TEXT = "Gout\nGout is a form of arthritis. What causes gout?\nUric acid causes gout. (Watch the video to learn more.)"


def test_the_sentence_that_answers_is_worth_most() -> None:
    lines = read(["what causes gout"], [Piece(TEXT, "information", True)], EMBEDDER.encode)
    assert max(lines, key=lambda line: line.value).text == "Uric acid causes gout."
    assert [line.text for line in lines if line.value == -math.inf] == [
        "Gout", "What causes gout?", "(Watch the video to learn more.)",
    ]  # fmt: skip
    for line in lines:
        assert TEXT[line.start : line.end] == line.text


def test_no_more_than_so_many_are_embedded_and_none_that_says_nothing() -> None:
    embedder = FakeEmbedder(dimensions=384)
    lines = read(["what causes gout"], [Piece(TEXT, "information", True)] * 20, embedder.encode, embedded=5)
    assert sum(line.cosine != 0 for line in lines) <= 5
    assert len(embedder.encoded) == 6
    assert "Gout" not in embedder.encoded


def test_a_better_page_and_a_better_type_count() -> None:
    both = [Piece("Rest helps.", "treatment", True, 0.9), Piece("Rest helps.", "inheritance", True, 0.9)]
    first, second = read(["how is gout treated"], both, EMBEDDER.encode)
    assert first.value > second.value
    both = [Piece("Rest helps.", "treatment", True, 0.9), Piece("Rest helps.", "treatment", True, 0.1)]
    first, second = read(["how is gout treated"], both, EMBEDDER.encode)
    assert first.value > second.value


def test_the_very_question_comes_first_only_on_a_likely_page() -> None:
    """Questions on two types of a disease are nearly the same text."""

    def value(page: float, likeness: float) -> float:
        piece = Piece("Rest helps.", "treatment", True, page, likeness)
        return read(["how is gout treated"], [piece], EMBEDDER.encode)[0].value

    assert value(0.9, 0.99) > value(0.9, 0.9) + 0.5
    assert value(0.01, 0.99) < value(0.9, 0.9)


def test_headings_and_questions_say_nothing() -> None:
    assert says_nothing("Common Treatments", item=False)
    assert not says_nothing("Fever", item=True)
    assert says_nothing("How is it treated?", item=False)
    assert says_nothing("These resources address the diagnosis or management of gout:", item=False)
    assert not says_nothing("Rest.", item=False)
    # What GHR and NCI say of their own listings, on thousands of pages alike.
    assert says_nothing("Genetic Testing Registry: gout", item=False)
    assert says_nothing("These have been retrieved from NCI's listing of clinical trials.", item=False)
    assert not says_nothing("Clinical trials are testing new treatments for gout.", item=False)
    assert says_nothing("NIH: National Institute on Aging and Its Offices", item=False)
    assert not says_nothing("Treatment of gout may include", item=False)
    assert read(["gout"], [], EMBEDDER.encode) == []


def test_a_list_of_links_is_worth_less_than_any_sentence_but_can_be_read() -> None:
    """Of some answers it is all there is; then the answer still comes first to its own question."""
    links = "These resources address gout:\n- Gout treatment, a page\n- Gout registry"
    first, *items = read(["gout treatment"], [Piece(links, "treatment", True)], EMBEDDER.encode)
    assert first.value == -math.inf
    assert all(line.points for line in (first, *items))
    listed = read(["gout treatment"], [Piece(links.replace("These", "Three"), "treatment", True)], EMBEDDER.encode)
    for link, item in zip(items, listed[1:], strict=True):
        assert -math.inf < link.value < item.value - 0.9
        assert not item.points


def test_a_table_of_medical_terms_gives_way_to_plain_words_and_stands_where_there_are_none() -> None:
    lead = "The Human Phenotype Ontology provides the following list of signs and symptoms for gout:"
    table = Piece(f"{lead}\n- Arthralgia (90%)\n- Gout of the toe\n\nSymptoms of gout come at night.", "symptoms", True)
    plain = Piece("Symptoms of gout are pain and a swollen toe.", "symptoms", True)
    lines = read(["symptoms of gout"], [table, plain], EMBEDDER.encode)
    assert [line.table for line in lines] == [True, True, True, False, False]
    assert max(lines, key=lambda line: line.value).piece == 1
    alone = read(["symptoms of gout"], [Piece(table.text.partition("\n\n")[0], "symptoms", True)], EMBEDDER.encode)
    assert all(line.value > -math.inf for line in alone)
