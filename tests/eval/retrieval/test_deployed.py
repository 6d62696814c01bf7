"""Given answers in the order in which the chat would have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs import load
from eval.datasets.judged import Given, Question
from eval.metrics.ranking import order
from eval.retrieval import deployed as module
from eval.retrieval.deployed import deployed, ranked
from index.build import build
from index.corpus import QAPair
from rag.retrieval.hybrid import HybridRetriever
from rag.retrieval.reranker import Reranker
from tests import fakes

PROFILE = load("embedded")[0]
EMBEDDER = fakes.FakeEmbedder(dimensions=384, max_tokens=256)


def given(row: int, question: str = "", answer: str = "") -> Given:
    """Row `row` of the made-up corpus as a given answer."""
    pair = fakes.pair(row, question, answer)
    return Given(str(row), pair.question, pair.answer, 1, row, pair.url, pair.focus, pair.synonyms)


@pytest.mark.parametrize(
    "text", ["What are the signs, part 1, of gout?", "gout disease", "Hello. I am old. What signs has asthma? Thanks."]
)
def test_the_order_is_the_chats(text: str, tmp_path: Path) -> None:
    answers = tuple(given(row) for row in (0, 1, 2, 10, 11, 21, 3))
    pairs = [
        QAPair(str(row), one.title, one.body, focus=one.focus, synonyms=one.synonyms, url=one.url)
        for row, one in enumerate(answers)
    ]
    index = build(fakes.corpus(pairs), tmp_path, PROFILE.passages, EMBEDDER, PROFILE.index)
    # Every passage is shown: neither repeats nor further ones of a page are left out.
    settings = PROFILE.retriever.model_copy(update={"per_page": 99, "near_duplicate": 1.0})
    hits = HybridRetriever.create(index, EMBEDDER, settings).retrieve(text, k=99).hits
    wanted = list(dict.fromkeys(int(hit.pair.id) for hit in hits))
    [scores] = deployed("one", [Question(text, answers)], PROFILE, EMBEDDER, None)
    assert sorted(wanted) == list(range(len(answers)))
    assert order(scores).tolist() == wanted


def test_other_questions_answers_are_left_out(tmp_path: Path) -> None:
    better, worse, other = given(1), given(2), given(11)
    index = build(fakes.corpus(20), tmp_path, PROFILE.passages, EMBEDDER, PROFILE.index)
    retriever = HybridRetriever.create(index, EMBEDDER, PROFILE.retriever)
    assert set(ranked(retriever, Reranker.load(), "What are the signs, part 1, of gout?", [1, 2])) == {1, 2}
    asked = "What are the signs of gout?"
    alone, beside = (
        deployed("two", questions, PROFILE, EMBEDDER, None)[0]
        for questions in (
            [Question(asked, (worse, better))],
            [Question(asked, (worse, better)), Question(asked, (other, better))],
        )
    )
    assert order(alone).tolist() == order(beside).tolist() == [1, 0]


def test_an_answer_given_twice_is_one_pair_and_one_without_text_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[QAPair]] = []

    def watched(corpus, *rest, **named):  # type: ignore[no-untyped-def]
        seen.append(corpus.pairs)
        return build(corpus, *rest, **named)

    monkeypatch.setattr(module, "build", watched)
    again = Given("another id", given(1).title, given(1).body, 4, 9, given(1).url, given(1).focus, given(1).synonyms)
    empty = Given("empty", "Mumps", "", 1, url="#", focus="Mumps")
    first, second = deployed(
        "two", [Question("gout?", (empty, given(1))), Question("gout?", (again,))], PROFILE, EMBEDDER, None
    )
    assert [pair.url for pair in seen[0]] == ["", given(1).url]
    assert first[0] == -np.inf
    assert order(first).tolist() == [1, 0]
    assert np.isfinite(second).all()
