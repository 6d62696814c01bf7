"""What is quoted: the sentences that answer, verbatim, from all sources that hold them."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answer import Sentence, Source
from rag.attribution.highlights import highlights
from rag.attribution.selection import answering, pick, placed, quoted, scored, shown
from rag.retrieval.reading import Line, Piece
from tests.fakes import FakeEmbedder

PAGE = (
    "Gout is a common and painful form of arthritis. It causes swollen, red, hot and stiff joints.\n"
    "You are more likely to get gout if you:\n- Are a man\n- Are overweight\n- Drink alcohol\n\n"
    "How long does gout last?\n"
    "An attack of gout usually lasts 3 to 10 days. Doctors use tests of the joint fluid to diagnose it."
)
OTHER = "Attacks of gout often start at night. Without treatment an attack of gout lasts about two weeks."
encode = FakeEmbedder(dimensions=384).encode


def source(n: int, text: str, pair: str = "q") -> Source:
    return Source(n=n, passage_id=f"p{n}", pair_id=pair, title="Gout", question="What is (are) Gout ?", text=text)


def chosen(question: str, *texts: str, room: int = 110, kind: str = "information") -> list[Sentence]:
    sources = [source(n, text, f"q{n}") for n, text in enumerate(texts, 1)]
    pieces = [Piece(text, kind, True) for text in texts]
    return quoted(answering(scored([question], pieces, encode), pieces, room), sources)


def test_a_duration_that_was_asked_stands_first() -> None:
    found = chosen("how long does an attack of gout last", PAGE, room=12)
    assert found[0].text == "An attack of gout usually lasts 3 to 10 days."
    assert all(one.quoted and one.supported and one.support == 1.0 for one in found)


def test_another_source_that_says_more_is_quoted_too() -> None:
    found = chosen("how long does an attack of gout last", PAGE, OTHER)
    cited = {one.text: one.citations for one in found}
    assert cited["An attack of gout usually lasts 3 to 10 days."] == (1,)
    assert cited["Without treatment an attack of gout lasts about two weeks."] == (2,)


def test_what_two_sources_say_alike_is_said_once() -> None:
    found = chosen("how long does an attack of gout last", OTHER, OTHER)
    assert len({one.text for one in found}) == len(found)


def test_a_list_keeps_its_lead_in_and_its_marks() -> None:
    found = chosen("who is more likely to get gout, overweight people?", PAGE, room=40)
    texts = [one.text for one in found]
    at = texts.index("You are more likely to get gout if you:")
    assert texts[at + 1 : at + 4] == ["Are a man", "Are overweight", "Drink alcohol"]
    assert [one.before for one in found[at + 1 : at + 4]] == ["\n- "] * 3


def test_a_list_that_goes_on_a_sentence_is_quoted_with_it() -> None:
    page = "Gout hurts.\n\nYou can prevent attacks of gout by\n- Drinking water\n- Losing weight\n\nGout is old."
    texts = [one.text for one in chosen("how can attacks of gout be prevented", page, room=14, kind="prevention")]
    at = texts.index("You can prevent attacks of gout by")
    assert texts[at + 1 : at + 3] == ["Drinking water", "Losing weight"]


def test_a_list_before_a_sentence_is_not_drawn_in() -> None:
    page = "Gout may cause\n- Red joints\n- Hot joints\n\nRest and colchicine treat an attack of gout."
    texts = [one.text for one in chosen("what treats an attack of gout, colchicine?", page, room=8)]
    assert texts == ["Rest and colchicine treat an attack of gout."]


def test_an_item_that_answers_comes_with_its_lead_in() -> None:
    page = "Gout is old.\n\nAttacks of gout may come from\n- Beer and red meat\n- Lack of water\n\nIt hurts."
    texts = [one.text for one in chosen("beer and red meat and gout", page, room=30)]
    at = texts.index("Attacks of gout may come from")
    assert texts[at + 1 : at + 3] == ["Beer and red meat", "Lack of water"]


def test_no_heading_and_no_question_of_the_page_itself_is_quoted() -> None:
    found = chosen("how long does gout last", "Gout\n\n" + PAGE)
    assert not any(one.text.endswith("?") or one.text == "Gout" for one in found)


def test_one_sentence_is_given_however_long() -> None:
    long = "word " * 300 + "end."
    assert [one.text for one in chosen("word?", long, room=10)] == [long]
    assert chosen("word?", room=10) == []
    assert chosen("word?", " \n ", OTHER, room=9)[0].citations == (2,)


@given(st.text(max_size=200), st.lists(st.text(max_size=300), max_size=4), st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_any_text_is_quoted_verbatim(question: str, texts: list[str], room: int) -> None:
    sources = tuple(source(n, text, f"q{n % 2}") for n, text in enumerate(texts, 1))
    by_number = {item.n: item for item in sources}
    pieces = [Piece(text, "information", True) for text in texts]
    found = quoted(answering(scored([question], pieces, encode), pieces, room), sources)
    assert len({(one.citations, one.text) for one in found}) <= len(found)
    for sentence in found:
        assert sentence.text in by_number[sentence.citations[0]].text
    for item in highlights(found, sources):
        assert item.used == any(item.n in s.citations for s in found)
        assert bool(item.highlights) == item.used


QUESTION = "how long does an attack of gout last"


def own(text: str, **changed: Any) -> Piece:
    """A text whose page asks the very question."""
    return Piece(text, "information", True, question=1.0, **changed)


def test_an_answer_whose_very_question_is_asked_is_given_from_its_beginning() -> None:
    pieces = [own(PAGE), Piece(OTHER, "information", True, question=0.5)]
    lines = scored([QUESTION], pieces, encode)
    found = answering(lines, pieces)
    assert [line.text for line in found][:2] == [line.text for line in lines if line.piece == 0][:2]
    assert {line.piece for line in found} == {0}
    assert not any(line.text.endswith("?") for line in found)
    assert len(answering(lines, pieces, 5)) < len(found)
    unlike = [Piece(PAGE, "information", True, question=0.9), pieces[1]]
    assert answering(scored([QUESTION], unlike, encode), unlike) == pick(scored([QUESTION], unlike, encode))


def test_a_like_question_of_another_topic_gives_nothing_to_the_answer() -> None:
    pieces = [own(PAGE, names=frozenset({"gout"})), own(OTHER, names=frozenset({"pseudogout"}))]
    assert len({line.piece for line in answering(scored([QUESTION], pieces, encode), pieces)}) == 1


def test_an_answer_that_says_nothing_but_where_to_look_is_still_given() -> None:
    pieces = [own("These resources address the diagnosis or management of gout:\n- Drug Therapy\n- Gene Review")]
    lines = scored([QUESTION], pieces, encode)
    assert answering(lines, pieces) == pick(lines) != []


def test_the_heading_of_a_list_stands_over_it_and_a_repeated_lead_in_once() -> None:
    pieces = [
        own("Steps If You Take Insulin\n- Check it often.\n\nSteps If You Do Not\n- Rest.\nWalk."),
        own(PAGE),
        own(PAGE),
    ]
    texts = [line.text for line in answering(scored([QUESTION], pieces, encode), pieces)]
    assert texts[:5] == ["Steps If You Take Insulin", "Check it often.", "Steps If You Do Not", "Rest.", "Walk."]
    assert len(set(texts)) == len(texts)


@given(st.integers(1, 200), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_a_generator_is_shown_no_item_without_what_leads_it_in(room: int, chosen: int) -> None:
    """An item alone would stand under another lead-in, and say the contrary of what its page says."""
    page = (
        "Anything that raises the chance of gout is a risk. These raise it:\n- Drinking beer.\n- Being overweight.\n"
        "Ask a doctor about your own risk, and about what you can do to be safe.\n"
        "The following do not affect the risk of gout:\n- Having an abortion.\n- Smoking cigarettes."
    )
    pieces = [Piece(page, "information", True)]
    lines = scored(["who is at risk of gout"], pieces, encode)
    text = shown(lines, pick(lines, chosen), pieces, room)[0]
    for item, lead_in in (("Having an abortion.", "do not affect"), ("Drinking beer.", "These raise it:")):
        if item in text:
            before = text[: text.index(item)]
            assert lead_in in before
            assert before.rindex(lead_in) == max(before.rfind(one) for one in ("do not affect", "These raise it:"))


@given(st.integers(1, 120), st.sampled_from(["gout", "how long does an attack of gout last", "overweight people"]))
@settings(max_examples=40, deadline=None)
def test_a_generator_is_shown_what_was_chosen_and_more_of_the_page(room: int, question: str) -> None:
    pieces = [Piece(PAGE, "information", True), Piece(OTHER, "information", True)]
    lines = scored([question], pieces, encode)
    chosen = pick(lines, 20)
    texts = shown(lines, chosen, pieces, room)
    for line in chosen:
        assert line.text in texts[line.piece]
    kept = [line for line in lines if line.piece in texts and line.text in texts[line.piece]]
    assert sum(len(line.text.split()) for line in kept) <= max(room, sum(len(line.text.split()) for line in chosen))
    for at, text in texts.items():
        places = [text.index(line.text) for line in kept if line.piece == at]
        assert places == sorted(places), "in the order of the page"


def test_what_a_generator_is_shown_keeps_lists() -> None:
    pieces = [Piece(PAGE, "information", True)]
    lines = scored(["who is more likely to get gout, overweight people?"], pieces, encode)
    assert "if you:\n- Are a man\n- Are overweight\n- Drink alcohol" in shown(lines, pick(lines, 40), pieces)[0]


def test_the_rest_of_a_list_stands_behind_what_was_chosen_of_it() -> None:
    lead, one, two, other = (
        Line(piece, place, 0, 0, f"line {piece}{place}", item, 0.5)
        for piece, place, item in ((0, 0, False), (0, 1, True), (0, 2, True), (1, 0, False))
    )
    assert placed([lead, one, other], [two]) == [lead, one, two, other]
    assert placed([lead, one], [other]) == [lead, one, other]
    assert placed([other], [one, two]) == [other, one, two]
