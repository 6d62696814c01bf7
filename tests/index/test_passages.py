"""Passages: nothing lost, nothing twice, nothing the embedder would not read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from index.corpus import QAPair
from index.passages import Passage, cut, embedding_text, headings
from tests.fakes import FakeTokenizer

count = FakeTokenizer().count
SPECIAL = 2


def passages(answer: str, question: str = "What is it?", max_tokens: int = 48) -> list[Passage]:
    return cut(7, QAPair("p", question, answer), count, max_tokens)


def read(question: str, passage: Passage, max_tokens: int) -> int:
    """Tokens that the embedder is given."""
    return count([embedding_text(headings([question], count, max_tokens)[0], passage)])[0] + SPECIAL


sentence = st.lists(
    st.sampled_from(["gene", "the", "of", "blood", "x" * 300, "(rare)", "1.5"]), min_size=1, max_size=70
)
block = st.one_of(
    sentence.map(lambda words: " ".join(words) + ". "),
    st.lists(sentence, min_size=1, max_size=6).map(
        lambda items: "\n\nSigns include:\n\n" + "\n".join("- " + " ".join(words) for words in items) + "\n\n"
    ),
    st.sampled_from(["\n\n", "Symptoms\n\n", "   ", "\n"]),
)
answers = st.lists(block, max_size=12).map("".join) | st.text(max_size=300)


@given(answers, st.integers(48, 120), st.sampled_from(["", "What is it?", "Why? " * 90]))
def test_passages_cover_the_answer_and_fit_the_window(answer: str, max_tokens: int, question: str) -> None:
    found = passages(answer, question, max_tokens)
    at = 0
    for ordinal, passage in enumerate(found):
        assert (passage.pair, passage.ordinal) == (7, ordinal)
        assert passage.text == answer[passage.start : passage.end]
        assert passage.text == passage.text.strip() != ""
        assert at <= passage.start
        assert not answer[at : passage.start].strip()
        assert read(question, passage, max_tokens) <= max_tokens
        assert passage.lead_in in answer
        at = passage.end
    assert not answer[at:].strip()
    assert len({passage.id for passage in found}) == len(found)


def test_a_short_answer_is_one_passage() -> None:
    (only,) = passages("Asthma is common. It affects the lungs.")
    assert only.text == "Asthma is common. It affects the lungs."
    assert only.lead_in == ""


def test_a_long_question_leaves_the_passage_its_half_of_the_window() -> None:
    question = "My knee hurts and I wonder why. " * 20
    answer = " ".join(f"Sentence number {n} is about knees." for n in range(12))
    for passage in passages(answer, question):
        heading = headings([question], count, 48)[0]
        assert question.startswith(heading)
        assert count([passage.text])[0] >= 10
        assert read(question, passage, 48) <= 48


def test_cuts_fall_at_sentence_ends_and_leave_no_crumb() -> None:
    answer = " ".join(f"Sentence number {n} is about the lungs and air." for n in range(9))
    found = passages(answer)
    assert len(found) > 1
    assert all(passage.text.endswith(".") for passage in found)
    sizes = count([passage.text for passage in found])
    assert min(sizes) >= max(sizes) / 2


def test_a_paragraph_end_is_preferred_to_a_sentence_end() -> None:
    first = " ".join(f"Early words number {n}." for n in range(6))
    second = " ".join(f"Later words number {n}." for n in range(5))
    assert [passage.text for passage in passages(f"{first}\n\n{second}")] == [first, second]


def test_a_list_stays_with_its_lead_in() -> None:
    opening = " ".join(f"This opening sentence has number {n}." for n in range(5))
    items = "\n".join(f"- sign {n} here" for n in range(4))
    found = passages(f"{opening}\n\nThe signs include:\n\n{items}")
    assert len(found) == 2
    assert found[1].text == f"The signs include:\n\n{items}"


def test_a_list_too_long_for_one_passage_keeps_its_lead_in_at_hand() -> None:
    items = "\n".join(f"- sign number {n} that one may see" for n in range(15))
    found = passages(f"The signs include:\n\n{items}\n\nA paragraph that follows the list says something else.")
    assert len(found) > 2
    assert found[0].lead_in == ""
    assert found[0].text.startswith("The signs include:\n\n- sign number 0")
    assert all(passage.lead_in == "The signs include:" for passage in found[1:] if passage.text.startswith("- "))
    assert "The signs include:" in embedding_text("Why?", found[1])


def test_a_sentence_longer_than_the_window_is_cut_at_white_space() -> None:
    words = [f"word{n}" for n in range(200)]
    found = passages(" ".join(words))
    assert len(found) >= 5
    assert " ".join(passage.text for passage in found).split() == words
