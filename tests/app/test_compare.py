"""One question in three modes: their order, what stands where one is missing, stopping, and errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app import chat, compare
from app.engine import MAX_QUESTION_BYTES, Engine
from app.history import History
from configs.errors import UserError
from rag.answer import Answer, Timings
from tests.app import fakes
from tests.app.test_render import ALLOWED, Tags

ADAPTED = ("finetuned+rag", "finetuned", "base+rag", "extractive", "base")


class ModesPipeline(fakes.FakePipeline):
    """Answers as the mode would: from memory without sources. `asked` holds the modes in the order they came.

    `slow` in the question makes memory take its time, so that a browser sees it being written.
    """

    def __init__(self, delay: float = 0.0, adapter: bool = True) -> None:
        super().__init__(delay)
        self.asked: list[str] = []
        if adapter:
            self.modes = ADAPTED  # type: ignore[assignment]

    def stream(self, input: str, **options: Any) -> Iterator[Answer]:
        """Snapshots in the mode that was asked for; `broken MODE` in the question breaks that mode."""
        mode = options["mode"]
        self.asked.append(mode)
        memory = mode in compare.FROM_MEMORY
        question = "memory" if memory and "pills" not in input else input
        if f"broken {mode} " in f"{input} ":
            question = "explode"
        pause = 8 * self.delay if memory and "slow" in input else 0.0
        for answer in super().stream(question, **options):
            time.sleep(pause)
            yield answer.model_copy(update={"mode": mode, "question": input})


def ready(pipeline: ModesPipeline) -> compare.Comparison:
    engine = Engine(lambda: pipeline)
    engine.start()
    engine.pipeline(5)
    return compare.Comparison(engine)


def last(steps: Iterator[tuple[compare.Columns, int]]) -> compare.Columns:
    *_, (columns, _) = steps
    return columns


def test_the_three_modes_are_asked_in_order_and_each_column_holds_its_own_answer() -> None:
    pipeline = ModesPipeline()
    columns = last(ready(pipeline).ask("one", "asthma?"))
    assert pipeline.asked == ["base", "finetuned", "finetuned+rag"]
    assert [column.answer.mode for column in columns if column.answer] == pipeline.asked
    assert [column.stage for column in columns] == ["done"] * 3
    assert [bool(column.answer and column.answer.sources) for column in columns] == [False, False, True]


def test_columns_grow_one_after_the_other() -> None:
    places = [place for _, place in ready(ModesPipeline()).ask("one", "asthma?")]
    assert places == sorted(places)
    assert places.count(2) > 10, "the last column streams"


def test_without_an_adapter_two_modes_are_asked_and_the_missing_one_says_what_it_needs() -> None:
    pipeline = ModesPipeline(adapter=False)
    columns = last(ready(pipeline).ask("one", "asthma?"))
    assert pipeline.asked == ["base", "base+rag"]
    assert columns[1].stage == "absent"
    page = Tags(compare.column_html(columns[1]))
    assert "needs an adapter" in page.text
    assert "make finetune" in page.text
    stand_in = Tags(compare.column_html(columns[2])).text
    assert "In place of finetuned+rag" in stand_in
    assert "base+rag" in stand_in


def test_a_question_asked_while_the_model_loads_finds_out_what_modes_there_are() -> None:
    gate = threading.Event()

    def load() -> ModesPipeline:
        gate.wait(5)
        return ModesPipeline(adapter=False)

    engine = Engine(load)
    engine.start()
    steps = compare.Comparison(engine).ask("one", "asthma?")
    said = [next(steps)[0][0].words for _ in range(2)]
    assert "Loading" in said[1]
    gate.set()
    columns = last(steps)
    assert [column.stage for column in columns] == ["done", "absent", "done"]
    assert columns[2].mode == "base+rag"


def test_memory_columns_carry_the_mark_and_the_one_with_sources_does_not() -> None:
    columns = last(ready(ModesPipeline()).ask("one", "asthma?"))
    texts = [Tags(compare.column_html(column)).text for column in columns]
    assert [compare.MEMORY_MARK in text for text in texts] == [True, True, False]
    waiting = Tags(compare.column_html(compare.planned(ADAPTED)[1])).text
    assert compare.MEMORY_MARK in waiting, "the mark is there before the first word"


def test_citations_lead_to_sources_of_the_same_column_and_no_id_stands_twice() -> None:
    columns = last(ready(ModesPipeline()).ask("one", "asthma?"))
    pages = [Tags(compare.column_html(column)) for column in columns]
    ids = [attrs["id"] for page in pages for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    targets = [attrs["href"] for attrs in pages[2].of(cls="mc-cite")]
    assert targets
    assert {(target or "").lstrip("#") for target in targets} <= {attrs["id"] for attrs in pages[2].of(cls="mc-source")}
    assert not pages[0].of(cls="mc-cite")


def test_time_and_tokens_stand_in_the_column() -> None:
    text = Tags(compare.cost(fakes.ANSWERED)).text
    assert text == "Time to the first words0.4 sTime in all2.1 sTokens written58Tokens read420"
    assert "none" in Tags(compare.cost(fakes.ABSTAINED)).text
    stopped = fakes.ANSWERED.model_copy(update={"complete": False, "timings": Timings()})
    assert compare.cost(stopped) == ""


def test_an_emergency_is_told_once_above_the_columns() -> None:
    columns = last(ready(ModesPipeline()).ask("one", "I took a whole bottle of pills"))
    page = Tags(compare.notice(columns))
    assert len(page.of(role="alert")) == 1
    assert "911" in page.text
    for column in columns:
        found = Tags(compare.column_html(column))
        assert not found.of(role="alert")
        assert "911" not in found.text
    assert compare.notice(last(ready(ModesPipeline()).ask("one", "asthma?"))) == ""


def test_an_emergency_shows_with_the_first_snapshot_of_the_first_column() -> None:
    first = next(columns for columns, _ in ready(ModesPipeline()).ask("one", "pills") if columns[0].answer)
    assert compare.notice(first)
    assert first[1].stage == first[2].stage == "waiting"


def test_a_stop_ends_the_generation_and_leaves_the_rest_unasked() -> None:
    pipeline = ModesPipeline(0.002)
    comparison = ready(pipeline)
    steps = comparison.ask("one", "asthma?")
    for columns, place in steps:
        if place == 2 and columns[2].answer and columns[2].answer.draft:
            break
    assert comparison.stops.busy("one")
    comparison.stops.stop("one")
    columns = last(steps)
    assert columns[2].answer
    assert not columns[2].answer.complete
    assert "Stopped before the end" in Tags(compare.column_html(columns[2])).text
    assert pipeline.running == 0
    assert not comparison.stops.busy("one")

    steps = comparison.ask("one", "asthma?")
    next(steps)
    comparison.stops.stop("one")
    columns = last(steps)
    assert "Stopped before the answer began." in columns[0].error
    assert "Not asked" in Tags(compare.column_html(columns[2])).text
    assert len(pipeline.asked) == 3, "nothing more was generated"


def test_a_reader_who_goes_away_frees_the_engine() -> None:
    pipeline = ModesPipeline(0.002)
    comparison = ready(pipeline)
    steps = comparison.ask("one", "asthma?")
    while next(steps)[0][0].answer is None:
        pass
    steps.close()  # type: ignore[attr-defined]
    fakes.ended(pipeline)
    assert not comparison.stops.busy("one")
    assert last(comparison.ask("two", "asthma?"))[2].answer


def test_two_comparisons_generate_one_at_a_time() -> None:
    pipeline = ModesPipeline(0.001)
    comparison = ready(pipeline)
    threads = [threading.Thread(target=lambda n=n: last(comparison.ask(f"{n}", "asthma?"))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(pipeline.asked) == 9
    assert pipeline.most == 1


def test_a_mode_that_breaks_says_so_and_the_others_answer() -> None:
    columns = last(ready(ModesPipeline()).ask("one", "asthma, broken finetuned please"))
    assert "out of memory" in columns[1].error
    assert "Traceback" not in columns[1].error
    assert "No answer." in Tags(compare.column_html(columns[1])).text
    assert columns[0].answer
    assert columns[2].answer


def test_a_model_that_could_not_be_loaded_is_told_once() -> None:
    def load() -> ModesPipeline:
        raise UserError("no index; run make index")

    engine = Engine(load)
    engine.start()
    with pytest.raises(UserError):
        engine.pipeline(5)
    columns = last(compare.Comparison(engine).ask("one", "asthma?"))
    assert "no index; run make index" in columns[0].error
    assert [column.error for column in columns[1:]] == ["", ""]
    assert "Not asked" in Tags(compare.column_html(columns[1])).text


@pytest.mark.parametrize(("question", "words"), [(" \n", "empty"), ("x" * (MAX_QUESTION_BYTES + 1), "100 kB")])
def test_a_question_that_cannot_be_asked_reaches_no_column(question: str, words: str) -> None:
    comparison = ready(ModesPipeline())
    with pytest.raises(UserError, match=words):
        next(comparison.ask("one", question))
    assert not comparison.stops.busy("one")


def test_an_attack_in_any_field_stays_text() -> None:
    bad = '<script>window.pwned=1</script>"onclick=1 '
    hostile = fakes.hostile()
    column = compare.Column("k1", "base+rag", "done", stand_in=bad, answer=hostile, error=bad)
    parts = [
        compare.column_html(column),
        compare.column_html(compare.Column("k2", bad, words=bad)),
        compare.notice(tuple(compare.Column("k", bad, answer=hostile) for _ in range(3))),  # type: ignore[arg-type]
        compare.notice(
            tuple(  # type: ignore[arg-type]
                compare.Column("k", bad, answer=hostile.model_copy(update={"status": "emergency"})) for _ in range(3)
            )
        ),
        compare.heading(bad),
        compare.problem_html(bad),
        compare.announcement(compare.Column("k", bad, "done", error=bad)),
    ]
    for html in parts:
        page = Tags(html)
        assert not page.stack, "every tag is closed"
        assert {tag for tag, _ in page.tags} <= ALLOWED | {"dl", "dt", "dd"}
        for _, attrs in page.tags:
            assert not [name for name in attrs if name.startswith("on")]
            assert (attrs.get("href") or "#").startswith(("#", "http://", "https://"))


def test_the_page_is_its_own_route_and_opens_no_public_endpoint() -> None:
    engine = Engine(ModesPipeline)
    blocks = chat.build(engine, History(None), "s" * 24)
    before = set(blocks.config["page"][""]["components"])
    compare.add(blocks, engine)
    config = blocks.get_config_file()
    assert set(config["page"]) == {"", "compare"}
    assert set(config["page"][""]["components"]) == before, "the chat's page is as it was"
    assert len(config["page"]["compare"]["dependencies"]) == 3
    assert {item["api_visibility"] for item in config["dependencies"]} == {"private"}
