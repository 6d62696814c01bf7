"""The swap tests tell a generator that reads from one that looks at headings, at places, or at how it is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import pytest
from langchain_core.messages import AIMessageChunk, BaseMessage

from configs import load
from configs.schema import IndexSettings, Passages
from eval.swaps import Writer, Written, measure, variants
from index.build import build
from index.corpus import QAPair
from rag.pipeline import Pipeline
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes

QUESTIONS = ["What is gout?", "What is migraine?", "What is asthma?"]
PAGES = {
    "Gout": "Gout is a form of arthritis. It is caused by uric acid crystals in a joint.",
    "Migraine": "Migraine is a kind of headache. It is often felt on one side of the head.",
    "Asthma": "Asthma is a disease of the airways. It makes them narrow and swollen.",
}
Answering = Callable[[str, list[tuple[str, str]]], str]


class Scripted:
    """A generator that is a function of the question and the sources, each a heading and a text."""

    def __init__(self, answers: Answering) -> None:
        self.answers = answers

    def count_tokens(self, messages: Sequence[BaseMessage]) -> int:
        return sum(len(str(message.content).split()) for message in messages)

    def stream(self, messages: list[BaseMessage], adapter: bool = True) -> Iterator[AIMessageChunk]:
        text = messages[-1].text
        sources = re.findall(r"^\[\d+\] ?(.*)\n((?:.+\n?)+)", text, re.M)
        yield AIMessageChunk(content=self.answers(text.split("Question: ")[1].split("\n")[0], sources))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("index")
    pairs = [QAPair(id=name, question=f"What is {name}?", answer=text, focus=name) for name, text in PAGES.items()]
    profile, _ = load("embedded", ["retriever.abstain_below=0", "retriever.k=2"])
    embedder = fakes.FakeEmbedder(dimensions=256, max_tokens=128)
    index = build(fakes.corpus(pairs), folder, Passages(max_tokens=128), embedder, IndexSettings())
    return Pipeline(profile, index, HybridRetriever.create(index, embedder, profile.retriever), folder)


def unchanged(pipeline: Pipeline, answers: Answering) -> dict[str, bool]:
    pipeline.use(Scripted(answers))  # type: ignore[arg-type]
    found = measure(Writer(pipeline, "finetuned+rag", 0), QUESTIONS)
    return {name: all(same for same, _ in outcomes) for name, outcomes in found.items()}


def reads(question: str, sources: list[tuple[str, str]]) -> str:
    name = re.sub(r"\W|hello|please|what is", "", question.lower()).strip()
    return " ".join(text for _, text in sources if text.lower().startswith(name))


def test_a_generator_that_reads_is_moved_by_nothing(pipeline: Pipeline) -> None:
    assert unchanged(pipeline, reads) == {
        "page question": True, "no heading": True, "order": True, "fewer": True, "one more": True, "wording": True,
    }  # fmt: skip


def test_one_that_takes_the_first_source_is_found_by_their_order(pipeline: Pipeline) -> None:
    assert not unchanged(pipeline, lambda question, sources: sources[0][1])["order"]


def test_one_that_compares_headings_is_found_without_them(pipeline: Pipeline) -> None:
    def compares(question: str, sources: list[tuple[str, str]]) -> str:
        return " ".join(text for heading, text in sources if heading and heading.lower() in question.lower())

    found = unchanged(pipeline, compares)
    assert not found["no heading"]
    assert found["page question"], "they are not in the prompt at all"


def test_one_that_copies_whatever_it_is_shown_is_found_by_one_more(pipeline: Pipeline) -> None:
    assert not unchanged(pipeline, lambda question, sources: " ".join(text for _, text in sources))["one more"]


def test_one_that_answers_a_greeting_is_found_by_the_wording(pipeline: Pipeline) -> None:
    assert not unchanged(pipeline, lambda question, sources: sources[0][1] if question[0] == "W" else "Yes.")["wording"]


def test_sentences_count_in_any_order_and_a_kept_draft_is_not_one_passed_over() -> None:
    one = Written(True, ("Rest helps.", "Ice helps."), frozenset({0}))
    assert one.same(Written(True, ("Ice helps.", "Rest helps."), frozenset({1})))
    assert not one.same(Written(False, one.sentences, one.cited))
    assert not one.same(Written(True, ("Rest helps.",), one.cited))
    assert one.overlap(one) == 1
    assert one.overlap(Written(True, ("Rest helps.",), one.cited)) == pytest.approx(2 / 3)
    assert one.overlap(Written(True, (), frozenset())) == 0


def test_what_would_change_nothing_is_left_out(pipeline: Pipeline) -> None:
    (gout, migraine), questions = pipeline.retriever.retrieve("gout migraine").hits[:2], ["Why?"]
    assert set(variants([(gout, "Text.")], frozenset({0}), (migraine, "Other."), questions)) == {
        "page question", "no heading", "one more",
    }  # fmt: skip
