"""What an Answer looks like, and that no text of it can be more than text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import render
from app.history import Turn
from rag.answer import Answer, Sentence, Span
from tests.app import fakes


class Tags(HTMLParser):
    """Every tag with its attributes, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.stack: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag, "tags nest"

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, **wanted: str) -> list[dict[str, str | None]]:
        """Attributes of the tags that have all of these (`cls` is class)."""
        pairs = {name.replace("cls", "class"): value for name, value in wanted.items()}
        return [
            attrs
            for _, attrs in self.tags
            if all(value in (attrs.get(name) or "").split() for name, value in pairs.items())
        ]


def shown(answer: Answer, live: bool = False) -> Tags:
    return Tags(render.turn(Turn("k1", answer.question, answer), live=live))


def test_citations_lead_to_sources_of_their_own_number() -> None:
    page = shown(fakes.ANSWERED)
    assert [attrs["href"] for attrs in page.of(cls="mc-cite")] == ["#k1-s1", "#k1-s3", "#k1-s1"]
    ids = {attrs["id"] for attrs in page.of(cls="mc-source")}
    assert ids == {"k1-s1", "k1-s2", "k1-s3"}


def test_cited_and_found_are_apart_and_keep_their_numbers() -> None:
    html = render.sources(fakes.ANSWERED, "k1")
    cited, found = html.split("Also found, not cited")
    assert "[1]" in cited
    assert "[3]" in cited
    assert "[2]" in found
    assert "[2]" not in cited


def test_marks_stand_on_the_supporting_words_alone() -> None:
    html = render.sources(fakes.ANSWERED, "k1")
    assert f"<mark>{fakes.QUOTED}</mark>" in html
    assert html.count("<mark>") == 2


def test_quotation_support_and_its_lack_can_be_told_apart_without_colour() -> None:
    page = shown(fakes.ANSWERED)
    assert f"“{fakes.QUOTED}”" in page.text
    assert "Not supported by the sources: the number 40% is in no source" in page.text
    assert "“Smoke" not in page.text


def test_status_confidence_times_and_notice_are_in_words() -> None:
    text = shown(fakes.ANSWERED).text
    for words in (
        "Answered from 2 of 3 sources",
        "Confidence: high",
        "First words after 0.4 s · whole answer after 2.1 s",
        "not medical advice",
        "National Heart, Lung, and Blood Institute",
        "Read the page at www.nhlbi.nih.gov",
    ):
        assert words in text


def test_an_abstention_looks_like_one_and_offers_topics() -> None:
    page = shown(fakes.ABSTAINED)
    assert page.of(cls="mc-abstention")
    assert not page.of(cls="mc-text")
    assert [attrs["data-ask"] for attrs in page.of(cls="mc-ask")][:2] == ["What is Asthma?", "What is Gout?"]
    assert "Not answered" in page.text


def test_an_emergency_is_first_and_an_alert() -> None:
    html = render.turn(Turn("k1", "I took a whole bottle of pills", fakes.EMERGENCY))
    page = Tags(html)
    assert page.of(role="alert")
    assert page.text.index("911") < page.text.index("I took a whole bottle")
    assert page.tags[1][1]["role"] == "alert"


def test_demonstration_text_is_marked_at_the_answer_and_at_each_source() -> None:
    text = shown(fakes.DEMO).text
    assert text.count("Demonstration text, not from NIH.") == 1 + len(fakes.DEMO.sources)
    assert "Demonstration" not in shown(fakes.ANSWERED).text


def test_an_answer_from_memory_says_so_and_marks_its_sentences() -> None:
    page = shown(fakes.MEMORY)
    assert "without sources" in page.text
    assert "None of it can be checked" in page.text
    assert page.of(cls="mc-unsupported")


def test_what_is_written_now_shows_as_a_draft_and_a_stop_says_so() -> None:
    part = fakes.ANSWERED.model_copy(update={"complete": False, "sentences": (), "draft": "They are <wheez"})
    live = shown(part, live=True)
    assert "They are <wheez" in live.text
    assert live.of(cls="mc-caret")
    assert "Stopped before the end" in shown(part).text


def test_lists_and_paragraphs_follow_the_layout() -> None:
    parts = [("", "Signs are:"), ("\n- ", "fever"), ("\n- ", "rash"), ("\n\n", "See a doctor."), (" ", "Soon.")]
    answer = fakes.ANSWERED.model_copy(
        update={"sentences": tuple(Sentence(text=t, before=b, supported=True, citations=(1,)) for b, t in parts)}
    )
    tags = [tag for tag, _ in Tags(render.paragraphs(answer, "k", False)).tags if tag in ("p", "ul", "li")]
    assert tags == ["p", "ul", "li", "li", "p"]


ALLOWED = {
    "article",
    "div",
    "h2",
    "h3",
    "p",
    "span",
    "strong",
    "a",
    "ul",
    "li",
    "section",
    "details",
    "summary",
    "blockquote",
    "mark",
    "button",
}


def test_an_attack_in_any_field_stays_text() -> None:
    answer = fakes.hostile()
    for status in ("answered", "abstained", "emergency"):
        page = shown(answer.model_copy(update={"status": status}))
        assert {tag for tag, _ in page.tags} <= ALLOWED
        for _, attrs in page.tags:
            assert not [name for name in attrs if name.startswith("on")]
            assert (attrs.get("href") or "#").startswith(("#", "http://", "https://"))
        assert "<script>" in page.text
    error = Tags(render.turn(Turn("k", "<b>q</b>", None, "<img src=x onerror=1>")))
    assert {tag for tag, _ in error.tags} <= ALLOWED


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        " https://nih.gov",
        "data:text/html,x",
        "//evil.example",
        "https://",
        "ftp://nih.gov/x",
        'https://nih.gov/"onclick=x',
        "https://a@evil.example",
        "http://[",
        "",
        "vbscript:x",
        "https:\\\\evil.example",
    ],
)
def test_other_addresses_are_not_linked(url: str) -> None:
    assert render.safe_url(url) == ""


@pytest.mark.parametrize("url", ["https://www.nih.gov/a?b=1&c=2#d", "http://ghr.nlm.nih.gov/condition/x"])
def test_pages_are_linked(url: str) -> None:
    assert render.safe_url(url) == url


@given(
    st.text(alphabet="a<>&\"'\n ", max_size=60),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=6),
)
def test_highlights_never_change_the_words(text: str, cuts: list[tuple[int, int]]) -> None:
    page = Tags(render.highlighted(text, [Span(start=a, end=b) for a, b in cuts]))
    assert page.text == text
    assert not page.stack
    assert {tag for tag, _ in page.tags} <= {"mark"}


def test_a_very_long_question_is_shown_short() -> None:
    assert len(render.shortened("q" * 100_000)) < 700


def test_an_answer_cut_at_its_limit_says_so_after_the_text() -> None:
    text = shown(fakes.ANSWERED.model_copy(update={"truncated": True})).text
    assert text.index("outgrow it") < text.index("length limit")
    assert "length limit" not in shown(fakes.ANSWERED).text
