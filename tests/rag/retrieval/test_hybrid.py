"""What the hybrid retriever returns, for whom, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import configs
from configs.schema import IndexSettings, Passages, Retriever
from index.build import build
from index.corpus import QAPair
from index.embedder import Embedder
from index.sources import STARTER, load_corpus
from rag.retrieval import ranking
from rag.retrieval.hybrid import HybridRetriever
from rag.retrieval.names import Names, Said, other_name
from rag.retrieval.question import MAX_WORDS, parts
from rag.retrieval.ranking import score
from rag.retrieval.reranker import candidates, left_over
from tests import fakes


def make(folder: Path, pairs: Sequence[QAPair], **changes: float) -> HybridRetriever:
    """A retriever over `pairs` with the fake embedder."""
    embedder = fakes.FakeEmbedder(dimensions=384)
    index = build(fakes.corpus(pairs), folder / "index", Passages(max_tokens=64), embedder, IndexSettings())
    return HybridRetriever.create(index, embedder, Retriever(**changes))


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> HybridRetriever:
    from configs.schema import Cleaning

    corpus = load_corpus([STARTER], Cleaning())
    return make(tmp_path_factory.mktemp("starter"), corpus.pairs)


def page(n: int, question: str, answer: str, focus: str = "", synonyms: tuple[str, ...] = (), url: str = "") -> QAPair:
    url = url or f"https://example.org/{n}"
    return QAPair(f"p{n}", question, answer, document=str(n), focus=focus, synonyms=synonyms, url=url, urls=(url,))


def test_own_question_comes_first(starter: HybridRetriever) -> None:
    for row in (0, 57, 140):
        pair = starter.index.pairs[row]
        assert starter.retrieve(pair.question, 3).hits[0].pair.question == pair.question


def test_hits_are_ordered_and_know_their_text(starter: HybridRetriever) -> None:
    found = starter.retrieve("What are the symptoms of Asthma?", 5)
    scores = [hit.score for hit in found.hits]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert 0 <= found.confidence <= 1
    for hit in found.hits:
        assert hit.pair.answer[hit.passage.start : hit.passage.end] == hit.passage.text
        assert starter.index.pair_of[hit.row] == hit.passage.pair
    assert found.nearest[0] == "Asthma"
    assert found.nearest_questions[0] == "What is Asthma?"


def test_without_a_focus_a_nearest_topic_asks_its_own_question(tmp_path: Path) -> None:
    found = make(tmp_path, [page(1, "How to prevent Glaucoma?", "Have your eyes examined.")]).retrieve("Glaucoma?")
    assert found.nearest == found.nearest_questions == ("How to prevent Glaucoma?",)


@pytest.mark.parametrize("asked", ["How to prevent Glaucoma?", "how to PREVENT glaucoma", "How to prevent gláucoma ?"])
def test_the_very_question_of_a_corpus_without_topics_is_answered(asked: str, tmp_path: Path) -> None:
    rows = ("How to prevent Glaucoma?", "What is gout?")
    retriever = make(tmp_path, [page(n, one, "Have your eyes examined.") for n, one in enumerate(rows)])
    assert retriever.retrieve(asked).confidence >= 0.95
    assert retriever.retrieve("How to prevent what cannot be told?").confidence < 0.95


def test_scores_are_those_of_the_whole_matrix(starter: HybridRetriever) -> None:
    """Candidates are an economy: the best passage is the best of all passages."""
    index, weights = starter.index, starter.settings
    question = "How is high blood pressure treated?"
    vector = starter.embedder.encode([question])[0]
    questions = index.question_vectors.reconstruct_n(0, len(index.pairs)) @ vector
    passages = index.passage_vectors.reconstruct_n(0, len(index.passages)) @ vector
    lexical = index.lexical.scores(question)
    score = weights.question_weight * questions[index.pair_of] + weights.passage_weight * passages
    score += weights.lexical_weight * lexical / lexical.max()
    found = ranking.score(starter.asked(question), starter.state, weights)
    for place, row in enumerate(found.rows.tolist()):
        pair = int(index.pair_of[row])
        assert found.question[place] == pytest.approx(questions[pair], abs=1e-5)
        assert found.passage[place] == pytest.approx(passages[row], abs=1e-5)
        assert found.lexical[place] == pytest.approx(lexical[row], rel=1e-4)
        named = found.score[place] - score[row]
        assert -1e-5 <= named <= weights.name_weight + 1e-5
        assert (named > 1e-5) == (index.pairs[pair].focus == "High Blood Pressure")


def test_near_repeats_are_shown_once(tmp_path: Path) -> None:
    text = "Each cell has two copies of the gene and both are altered in people with this condition. " * 2
    pairs = [page(n, f"Is disease{n} inherited?", text, f"disease{n}") for n in range(6)]
    pairs.append(page(9, "What is inheritance?", "Genes pass from parents to their children in every family."))
    found = make(tmp_path, pairs).retrieve("Is disease3 inherited?", 5).hits
    assert sum(hit.passage.text.startswith("Each cell") for hit in found) == 1
    assert found[0].pair.focus == "disease3"
    everything = make(tmp_path / "off", pairs, near_duplicate=1.0, per_page=9).retrieve("Is disease3 inherited?", 5)
    assert len(everything.hits) <= 5


def test_a_page_gives_no_more_than_its_share(tmp_path: Path) -> None:
    url = "https://example.org/gout"
    words = ("joint", "crystal", "toe", "uric", "diet", "water")
    pairs = [
        page(n, f"What about gout and {w}?", f"On gout: the {w} matters {n} times.", url=url)
        for n, w in enumerate(words)
    ]
    pairs += [fakes.pair(row) for row in range(4)]
    for limit in (1, 2):
        found = make(tmp_path / str(limit), pairs, per_page=limit).retrieve("What about gout?", 5).hits
        assert sum(hit.pair.url == url for hit in found) == limit


def test_a_synonym_finds_its_page(tmp_path: Path) -> None:
    pairs = [fakes.pair(row) for row in range(30)]
    pairs.append(page(99, "What are the signs of dengue?", "High fever and pain.", "Dengue", ("Break-bone fever",)))
    found = make(tmp_path, pairs).retrieve("What are the signs of breakbone or break bone fever?", 3)
    assert found.hits[0].pair.focus == "Dengue"


COVERED = ("What are the symptoms of Gout?", "asthma", "What causes Migraine?")
UNCOVERED = ("What is the capital of France?", "What is the dose of lisinopril?", "asdf qwer", "12345")


def test_covered_and_uncovered_questions_part(weights: None, tmp_path: Path) -> None:
    profile, _ = configs.load("embedded")
    embedder = Embedder(profile.embedder)
    index = build(
        load_corpus([STARTER], profile.cleaning), tmp_path / "index", profile.passages, embedder, profile.index
    )
    retriever = HybridRetriever.create(index, embedder, profile.retriever)
    lowest = min(retriever.retrieve(question).confidence for question in COVERED)
    highest = max(retriever.retrieve(question).confidence for question in UNCOVERED)
    assert highest < retriever.settings.abstain_below <= lowest


def test_another_embedder_orders_what_is_plain(starter: HybridRetriever) -> None:
    """The decision is not calibrated for the fake embedder, whose cosines are low: a threshold of its own, then."""
    lowest = min(starter.retrieve(question).confidence for question in COVERED)
    highest = max(starter.retrieve(question).confidence for question in UNCOVERED)
    assert highest < 0.3 < lowest


@pytest.mark.parametrize("question", ["", "   ", "?!", "\x00", "-"])
def test_nothing_asked_finds_nothing(starter: HybridRetriever, question: str) -> None:
    found = starter.retrieve(question)
    assert (found.hits, found.confidence) == ((), 0.0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=400), k=st.integers(1, 8))
def test_any_text_is_a_question(starter: HybridRetriever, text: str, k: int) -> None:
    found = starter.retrieve(text, k)
    assert len(found.hits) <= k
    assert 0 <= found.confidence <= 1
    assert len({hit.row for hit in found.hits}) == len(found.hits)


def test_a_huge_question_is_read_in_part(starter: HybridRetriever) -> None:
    found = starter.retrieve("What are the symptoms of gout? " + "lorem ipsum dolor " * 6000)
    assert found.hits[0].pair.focus == "Gout"


def test_the_same_question_gives_the_same_answer(starter: HybridRetriever) -> None:
    question = "my knee hurts. what can i do about arthritis of the knee?"
    assert starter.retrieve(question) == starter.retrieve(question)


def test_parts_of_a_message() -> None:
    message = (
        "Gout. Hello doctor. My father is 70 and likes long walks by the river every day. What can he eat?"
        " Thank you so much for your time."
    )
    found = parts(message, 8)
    assert found[0].startswith("Gout. My father")
    assert "What can he eat?" in found
    assert not any("Hello" in text or "Thank you" in text for text in found)
    assert parts("What is gout?", 8) == ["What is gout?"]
    assert parts("Hello", 8) == ["Hello"]
    for marks in ("??", "?!", "?!?!??"):
        assert parts(f"What is gout{marks}", 8) == ["What is gout?"], "a repeated mark asks nothing more"
    assert len(parts(message * 20, 3)) == 3
    assert sum(len(text.split()) for text in parts("word " * 5000, 50)) <= 2 * MAX_WORDS


def test_names_in_a_question() -> None:
    pairs = [
        page(0, "q", "a", "Dengue", ("Break-bone fever", "DF")),
        page(1, "q", "a", "Fever", ()),
        page(2, "q", "a", "Marfan syndrome", ("MFS", "Health")),
        page(3, "q", "a", "Drug Reactions", ("Side Effects",)),
    ]
    names = Names(pairs)

    def rows(text: str) -> list[int]:
        return np.concatenate([found.pairs for found in names.find(Said.of(text))] or [np.empty(0, int)]).tolist()

    assert rows("what helps against break-bone fevers?") == [0]
    assert rows("a fever in Marfan Syndrome") == [1, 2]
    assert rows("is DF bad") == [0]
    assert rows("is df bad") == []
    assert rows("mfs") == [2]
    assert rows("your health") == []
    assert rows("side effects of aspirin") == []
    assert Names(pairs, frozenset({"break-bone fever"})).find(Said.of("break-bone")) == []


def test_the_names_of_a_question_are_searched_once_and_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [page(0, "What is dengue?", "A fever.", "Dengue", ("Break-bone fever",)), page(1, "q", "Heat.", "Fever")]
    retriever = make(tmp_path, pages)
    searched: list[Said] = []
    find = Names.find
    monkeypatch.setattr(Names, "find", lambda self, said: [searched.append(said), find(self, said)][1])

    found = retriever.retrieve("Is break-bone fever bad?", 2)
    assert len(searched) == 1
    assert found.hits[0].pair.focus == "Dengue", "the longest name at a place is the one that is meant"
    retriever.retrieve("Hello! I am tired. Why is my skin red? Thank you, your dengue patient.", 2)
    assert len(searched) - 1 == len(set(searched[1:])) > 2


def test_the_other_name_by_which_a_page_is_asked_for() -> None:
    dengue = page(0, "q", "a", "Dengue", ("Break-bone fever", "Bone fever", "DF", "Side Effects"))
    assert other_name(Said.of("What helps against break-bone fevers?"), dengue) == "Break-bone fever"
    assert other_name(Said.of("what helps against bone fever"), dengue) == "Bone fever"
    assert other_name(Said.of("Is break-bone fever the same as dengue?"), dengue) == ""
    assert other_name(Said.of("What is yellow fever?"), dengue) == ""
    assert other_name(Said.of("is DF bad"), dengue) == "DF"
    assert other_name(Said.of("is df bad"), dengue) == ""
    assert other_name(Said.of("side effects of aspirin"), dengue) == ""
    assert (
        other_name(Said.of(""), dengue) == other_name(Said.of("What is dengue?"), page(1, "q", "a", "Dengue", ())) == ""
    )
    assert other_name(Said.of("What is a stroke?"), page(2, "q", "a", "", ("Stroke",))) == "Stroke"


@pytest.mark.parametrize(
    ("question", "title", "more"),
    [
        # A title may say more than the question where its first words name nothing else.
        ("What is factor V Leiden?", "Factor V Leiden thrombophilia", False),
        ("What is the outlook for diabetes?", "Diabetes insipidus", True),
        ("What is Leiden retinopathy?", "Factor V Leiden thrombophilia", True),
    ],
)
def test_what_a_title_says_more_counts_where_it_tells_conditions_apart(
    question: str, title: str, more: bool, tmp_path: Path
) -> None:
    titles = ("Factor V Leiden thrombophilia", "Diabetes insipidus", "Diabetes mellitus", "Asthma", "Retinopathy")
    pairs = [page(n, f"What is {one}?", f"{one} is a condition of some people.", one) for n, one in enumerate(titles)]
    retriever = make(tmp_path, pairs)
    asked = retriever.asked(question)
    scored = score(asked, retriever.state, retriever.settings)
    found = candidates(asked, scored, retriever.state)
    best = scored.pairs[found.places].tolist().index(titles.index(title))
    title_left, name_left = left_over(best, found, asked, scored, retriever.state)
    assert (title_left > 0) == more
    assert (name_left > 0) == ("retinopathy" in question)
