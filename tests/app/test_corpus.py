"""The page and the API say what the index holds: nothing before that is known, each source by its own name."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from app import chat, render
from app.engine import Engine
from app.history import History, Turn
from index.build import build
from index.identity import Part, part
from tests.app import fakes
from tests.app.test_render import Tags

OWN = part("own", "my-faq <3>", 3)
MEDQUAD = part("medquad", "", 42)


@contextmanager
def served(engine: Engine) -> Iterator[Any]:
    from starlette.testclient import TestClient

    from app import server

    app = server.create(engine, History(None), "s" * 24)
    with TestClient(app, base_url="http://localhost") as found:
        yield found


def html_of(client: Any) -> str:
    """Every HTML component of the chat and of the page beside it."""
    config = client.get("/config").json()
    return "\n".join(str(item["props"].get("value")) for item in config["components"] if item["type"] == "html")


def test_an_own_corpus_is_named_everywhere_and_medquad_nowhere() -> None:
    engine = Engine(lambda: fakes.FakePipeline(corpus=(OWN,)), (OWN,))
    with served(engine) as client:
        head, shown = client.get("/config").json()["head"], html_of(client)
        said = "Health questions answered from my-faq &lt;3&gt;, every sentence with its source."
        assert f'<meta name="description" content="{said}">' in head
        assert shown.count(said) == 2, "the chat and the page beside it"
        assert shown.count("Answers from my-faq &lt;3&gt;.") == 2
        assert not re.search(r"\bNIH\b|MedQuAD|CC BY", shown)


def test_nothing_is_claimed_while_it_is_not_known_and_then_what_is_so() -> None:
    go = threading.Event()

    def load() -> fakes.FakePipeline:
        go.wait(20)
        return fakes.FakePipeline(corpus=(OWN, MEDQUAD))

    engine = Engine(load)
    with served(engine) as client:
        engine.start()
        assert not re.search(r"\bNIH\b|MedQuAD|CC BY", html_of(client))
        assert "NIH" not in re.findall(r'<meta name="description"[^>]*>', client.get("/config").json()["head"])[0]
        waiting = client.get("/api/health").json()
        assert (waiting["state"], waiting["corpus"]["sources"], waiting["corpus"]["attribution"]) == ("loading", [], "")
        go.set()
        engine.pipeline(20)
        corpus = client.get("/api/health").json()["corpus"]
    assert corpus["description"].startswith("Health questions answered from my-faq <3> and NIH text (MedQuAD), ")
    assert [(one["name"], one["kind"], one["pairs"], one["license"]) for one in corpus["sources"]] == [
        ("my-faq <3>", "own", 3, ""),
        ("MedQuAD", "medquad", 42, "CC BY 4.0"),
    ]
    head, foot = chat.identified(engine, ())
    assert "my-faq &lt;3&gt; and NIH text (MedQuAD)" in head
    assert "is under CC BY 4.0" in foot
    assert "https://github.com/abachaa/MedQuAD" in foot


def test_what_was_known_is_not_drawn_again() -> None:
    engine = Engine(lambda: fakes.FakePipeline(corpus=(OWN,)), (OWN,))
    engine.start()
    engine.pipeline(20)
    assert all(isinstance(one, dict) for one in chat.identified(engine, (OWN,))), "Gradio's word for no change"


def test_the_page_over_medquad_says_what_it_said() -> None:
    assert "Health questions answered from NIH text, every sentence with its source." in chat.masthead((MEDQUAD,))
    foot = chat.footer((MEDQUAD,))
    assert escape("Answers from MedQuAD (Ben Abacha & Demner-Fushman, 2019), CC BY 4.0.") in foot
    assert "creativecommons.org/licenses/by/4.0" in foot


def test_the_program_reads_the_corpus_before_the_model(tmp_path: Path) -> None:
    from app.__main__ import corpus_of
    from configs.schema import Cleaning, IndexSettings
    from index.sources import load_corpus
    from tests.fakes import FakeEmbedder
    from tests.index.killed import CUTTING

    table = tmp_path / "häufige fragen.csv"
    table.write_text("question,answer\nWhat is gout?,A painful joint.\n", "utf-8")
    assert corpus_of(tmp_path / "index") == ()
    build(load_corpus([str(table)], Cleaning()), tmp_path / "index", CUTTING, FakeEmbedder(), IndexSettings())
    assert corpus_of(tmp_path / "index") == (Part("häufige fragen", "own", 1, "häufige fragen"),)


def asked(answer: Any) -> list[tuple[str | None, str]]:
    page = Tags(render.turn(Turn("k", answer.question, answer)))
    return [(attrs["data-ask"], attrs["type"] or "") for attrs in page.of(cls="mc-ask")]


def test_a_nearest_topic_that_is_a_question_asks_itself() -> None:
    titles = ("How to prevent Glaucoma?", "Tell me about gout", "Asthma")
    questions = ("How to prevent Glaucoma?", "Tell me about gout", "What is Asthma?")
    answer = fakes.ABSTAINED.model_copy(update={"nearest": titles, "nearest_questions": questions})
    assert [ask for ask, _ in asked(answer)] == list(questions)
    kept = fakes.ABSTAINED.model_copy(update={"nearest": titles[::2]})
    assert [ask for ask, _ in asked(kept)] == ["How to prevent Glaucoma?", "What is Asthma?"]


def test_a_source_whose_title_is_its_question_shows_it_once() -> None:
    question = "How to prevent Glaucoma?"
    same = fakes.source(1, title=question, question=question, url="", text="See a doctor.")
    assert Tags(render.source_item(same, "k")).text.count(question) == 1
    other = fakes.source(1, title="Glaucoma", question=question, url="")
    assert Tags(render.source_item(other, "k")).text.count(question) == 1


def test_the_terminal_shows_such_a_title_once() -> None:
    from rag.__main__ import render as in_terminal

    question = "How to prevent Glaucoma?"
    item = fakes.source(1, title=question, question=question, used=True, institute="")
    answer = fakes.ANSWERED.model_copy(update={"sources": (item,)})
    assert "  [1] How to prevent Glaucoma?\n" in in_terminal(answer)
