"""One question, three ways of answering it side by side: the page at `/compare`.

    blocks = chat.build(engine, history, secret)
    add(blocks, engine)

The columns are filled one after the other, since the engine lets one generation through at a time, and each is
a component of its own, so that a snapshot redraws one column only. A comparison is kept nowhere.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal

import gradio as gr

from app import chat, render
from app.engine import Engine, Unavailable, check
from app.history import new_key
from app.stops import Stops
from configs.errors import UserError
from rag.answer import DEMONSTRATION, Answer

FROM_MEMORY = ("base", "finetuned")
MEMORY_MARK = "No sources: from the model's memory, may be wrong. Not advice."
NO_ADAPTER = (
    "This way of answering needs an adapter, and none is loaded. Train one with <code>make finetune</code>, "
    "or name one when the program is started: <code>--set generator.adapter=FOLDER</code>."
)


@dataclass(frozen=True, slots=True)
class Column:
    """One way of answering, and how far it has come.

    `absent`: this mode needs an adapter that is not there. `stand_in`: the mode that this one is shown in place of.
    `words`: what is waited for, or why nothing was asked; `error`: what went wrong, in one line.
    """

    key: str
    mode: str
    stage: Literal["waiting", "writing", "done", "absent"] = "waiting"
    stand_in: str = ""
    answer: Answer | None = None
    words: str = "Waiting for its turn."
    error: str = ""


Columns = tuple[Column, Column, Column]


def planned(modes: Sequence[str]) -> Columns:
    """The three columns where `modes` can be asked for: without an adapter, base+rag stands in for finetuned+rag."""
    base = Column(new_key(), "base")
    if "finetuned+rag" in modes:
        return base, Column(new_key(), "finetuned"), Column(new_key(), "finetuned+rag")
    absent = Column(new_key(), "finetuned", "absent")
    return base, absent, Column(new_key(), "base+rag", stand_in="finetuned+rag")


class Comparison:
    """The handlers of the page; readers are told apart by the browser session's name."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.stops = Stops()

    def ask(self, session: str, question: str) -> Iterator[tuple[Columns, int]]:
        """Snapshots of the columns, each with the place (0 to 2) of the one that changed.

        A stop, or an engine that takes no question, leaves the remaining columns unasked. One mode that
        breaks does not keep the others from answering. Raises UserError for a question that cannot be asked.
        """
        question = check(question)
        stop = self.stops.begin(session)
        unasked = ""
        try:
            # While the model loads, its modes are not known; `base` is always there, and is asked first.
            ready = self.engine.loaded
            columns = list(planned(self.engine.pipeline().modes if ready else ("finetuned+rag",)))
            for place in range(3):
                if place == 1 and not ready and self.engine.loaded:
                    columns[1:] = planned(self.engine.pipeline().modes)[1:]
                    yield _three(columns), 2
                if columns[place].stage == "absent":
                    yield _three(columns), place
                    continue
                if stop.is_set():
                    unasked = "Not asked: the comparison was stopped."
                if unasked:
                    columns[place] = replace(columns[place], stage="done", words=unasked)
                    yield _three(columns), place
                    continue
                try:
                    with closing(self._fill(columns[place], question, stop)) as steps:
                        for columns[place] in steps:  # each state takes the place of the one before it
                            yield _three(columns), place
                except Unavailable as problem:
                    columns[place] = replace(columns[place], stage="done", error=_sentence(problem))
                    unasked = "Not asked."
                    yield _three(columns), place
        finally:
            self.stops.end(session, stop)

    def _fill(self, column: Column, question: str, stop: threading.Event) -> Generator[Column, None, None]:
        """The column from its first to its last state. Raises Unavailable where the engine takes no question."""
        column = replace(column, stage="writing", words="The model is reading the question.")
        yield column
        try:
            with closing(self.engine.ask(question, stop, mode=column.mode)) as steps:  # type: ignore[type-var]
                for step in steps:
                    column = replace(column, words=step) if isinstance(step, str) else replace(column, answer=step)
                    yield column
        except Unavailable:
            raise
        except UserError as problem:
            column = replace(column, error=_sentence(problem))
        if column.answer is None and not column.error:
            column = replace(column, error="Stopped before the answer began.")
        yield replace(column, stage="done", words="")


def _three(columns: list[Column]) -> Columns:
    first, second, third = columns
    return first, second, third


def _sentence(problem: UserError) -> str:
    text = " ".join(str(problem).split())
    return text[:1].upper() + text[1:]


def notice(columns: Columns) -> str:
    """The emergency notice, once for all columns; empty where there is none."""
    for column in columns:
        if column.answer and column.answer.status == "emergency":
            return render.emergency(column.answer.notice)
    return ""


def column_html(column: Column) -> str:
    """One column: the mode, the mark of what is written from memory, the answer, its sources, its cost."""
    answer, live = column.answer, column.stage == "writing"
    parts = [
        f'<section class="mc-column" id="{column.key}" data-mode="{escape(column.mode)}" '
        f'aria-labelledby="{column.key}-h" aria-busy="{str(live).lower()}">',
        f'<h3 id="{column.key}-h">{escape(render.MODE_WORDS.get(column.mode, column.mode))} '
        f'<span class="mc-mode">{escape(column.mode)}</span></h3>',
    ]
    if column.mode in FROM_MEMORY:
        parts.append(f'<p class="mc-memory">{escape(MEMORY_MARK)}</p>')
    if column.stand_in:
        parts.append(
            f'<p class="mc-stand-in">In place of <span class="mc-mode">{escape(column.stand_in)}</span>, '
            "which needs an adapter.</p>"
        )
    if column.stage == "absent":
        parts.append(f'<p class="mc-absent">{NO_ADAPTER}</p>')
    elif answer is not None:
        parts.append(_answered(answer, column.key, live))
    elif not column.error:
        parts.append(f'<p class="mc-waiting">{escape(column.words)}</p>')
        parts.append('<div class="mc-progress" aria-hidden="true"></div>' if live else "")
    if column.error:
        kind = "Cut short." if answer else "No answer."
        parts.append(f'<p class="mc-error"><strong>{kind}</strong> {escape(column.error)}</p>')
    return "".join([*parts, "</section>"])


def _answered(answer: Answer, key: str, live: bool) -> str:
    parts = [render.status(answer, live)]
    if answer.status == "abstained":
        parts.append(render.abstention(answer))
    if answer.fallback:
        parts += [f'<p class="mc-note">{escape(note)}</p>' for note in render.notes(answer)]
    if any(source.demonstration for source in answer.sources) and answer.sentences:
        parts.append(f'<p class="mc-demo">{escape(DEMONSTRATION)}</p>')
    if answer.sentences or answer.draft:
        parts.append(f'<div class="mc-text">{render.paragraphs(answer, key, live)}</div>')
    elif live and not answer.complete:
        parts.append('<div class="mc-progress" aria-hidden="true"></div>')
    if answer.missing_words:
        parts.append(f'<p class="mc-note">{escape(answer.missing_words)}</p>')
    if not live:
        if answer.truncated and not answer.fallback and answer.sentences:
            parts.append('<p class="mc-cut">The answer reached its length limit and ends early.</p>')
        if answer.sources:  # from memory, there are no marks to explain
            parts.append(render.legend(answer))
        parts.append(cost(answer))
    if answer.sources:
        parts.append(render.sources(answer, key))
    return "".join(parts)


def cost(answer: Answer) -> str:
    """Time and tokens, as a list of names and values."""
    times = answer.timings
    rows = []
    if times.first_token_ms:
        rows.append(("Time to the first words", render.seconds(times.first_token_ms)))
    if times.total_ms:
        rows.append(("Time in all", render.seconds(times.total_ms)))
    if times.new_tokens:
        rows += [("Tokens written", f"{times.new_tokens:,}"), ("Tokens read", f"{times.prompt_tokens:,}")]
    elif answer.complete:
        rows.append(("Tokens written", "none: no text was generated"))
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f'<dl class="mc-cost">{items}</dl>' if items else ""


def heading(question: str) -> str:
    """The question that the columns answer."""
    return (
        '<div class="mc-asked"><h2 class="mc-question"><span class="mc-sr">Question: </span>'
        f"{escape(render.shortened(question.strip()))}</h2></div>"
    )


def problem_html(words: str) -> str:
    """Why a question was not asked."""
    return f'<div class="mc-asked"><p class="mc-error"><strong>Not asked.</strong> {escape(words)}</p></div>'


def announcement(column: Column) -> str:
    """One line for screen readers once a column is done."""
    name = render.MODE_WORDS.get(column.mode, column.mode)
    if column.error or column.answer is None:
        words = column.error or column.words
    elif column.answer.status == "abstained":
        words = "not answered."
    else:
        words = "answer ready." if column.answer.complete else "stopped."
    return chat.announce(escape(f"{name}: {words}"))


def welcome(questions: Sequence[str]) -> str:
    """What the page shows before the first question."""
    items = "".join(f"<li>{render.ask_button(question)}</li>" for question in questions)
    return (
        '<section class="mc-welcome" aria-label="Start here"><h2>Compare three ways of answering</h2>'
        "<p>The same question goes to the model alone, to the fine-tuned model alone, and to the fine-tuned model "
        "that reads the sources. Only the last one can be checked. The answers come one after the other; "
        "a comparison is not kept.</p>"
        f'<h3>For example</h3><ul class="mc-examples">{items}</ul></section>'
    )


def add(blocks: Any, engine: Engine, questions: Sequence[str] = chat.EXAMPLES[:2]) -> None:
    """Add the page at /compare to the chat's Blocks; call it outside their context."""
    comparison = Comparison(engine)
    skip = gr.skip

    def ask(typed: str, request: gr.Request, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        """Outputs: box, alarm, heading, three columns, button, stop button, spoken line."""
        data = event._data if isinstance(event._data, dict) else {}
        pressed = data.get("ask")
        question = pressed if isinstance(pressed, str) else typed or ""
        session = str(request.session_hash)
        nothing = tuple(skip() for _ in range(8))
        if not question.strip():
            yield (*nothing, chat.announce("Type a question first."))
            return
        if comparison.stops.busy(session):
            yield (*nothing, chat.announce("A comparison is being written. Wait for it, or press Stop."))
            return
        steps = comparison.ask(session, question)
        shown: list[str] = []
        alarm = ""
        try:
            for columns, place in steps:
                spoken = announcement(columns[place]) if columns[place].stage == "done" else skip()
                if not shown:
                    shown = [column_html(column) for column in columns]
                    asked_for = question if isinstance(pressed, str) else skip()
                    busy, idle = gr.update(visible=False), gr.update(visible=True)
                    yield asked_for, "", heading(question), *shown, busy, idle, chat.announce("The answers follow.")
                    continue
                # A plan that changed once the model was loaded changes more than one column.
                drawn = [column_html(column) for column in columns]
                changed = [new if new != old else skip() for new, old in zip(drawn, shown, strict=True)]
                shown = drawn
                found = alarm or notice(columns)
                rung = found if found != alarm else skip()
                alarm = found
                yield skip(), rung, skip(), *changed, skip(), skip(), spoken
        except UserError as problem:
            words = _sentence(problem)
            yield skip(), "", problem_html(words), "", "", "", skip(), skip(), chat.announce(escape(words))
            return
        finally:
            steps.close()  # type: ignore[attr-defined]
        yield *nothing[:6], gr.update(visible=True), gr.update(visible=False), skip()

    def stop(request: gr.Request) -> None:
        comparison.stops.stop(str(request.session_hash))

    known = engine.corpus

    def tick() -> tuple[Any, ...]:
        if engine.state == "loading":
            return tuple(skip() for _ in range(4))
        return chat.state_line(engine), chat.next_tick(engine), *chat.identified(engine, known, "./compare")

    plain: dict[str, Any] = {"apply_default_css": False}
    with blocks.route("Compare", "compare", show_in_navbar=False):
        timer = gr.Timer(0.7)
        head = gr.HTML(chat.masthead(known, "./compare"), elem_id="mc-masthead", js_on_load=None, **plain)
        with gr.Column(elem_id="mc-compare-ask"):
            line = gr.HTML(chat.state_line(engine), js_on_load=None, elem_id="mc-engine", **plain)
            with gr.Row(elem_id="mc-ask-row"):
                box = gr.Textbox(
                    label="One question for all three",
                    placeholder="A symptom or a condition",
                    lines=1,
                    max_lines=5,
                    autofocus=True,
                    scale=5,
                    elem_id="mc-box",
                )
                button = gr.Button("Compare", variant="primary", elem_id="mc-ask", scale=0, min_width=112)
                stop_button = gr.Button("Stop", visible=False, elem_id="mc-stop", scale=0, min_width=112)
        spoken = gr.HTML(chat.announce(""), js_on_load=None, elem_id="mc-spoken", **plain)
        alarm = gr.HTML("", js_on_load=None, elem_id="mc-alarm", **plain)
        asked = gr.HTML(welcome(questions), js_on_load=chat.ON_LOAD, elem_id="mc-asked", **plain)
        with gr.Row(elem_id="mc-compare"):
            columns = [gr.HTML("", js_on_load=chat.ON_LOAD, elem_classes="mc-cell", **plain) for _ in range(3)]
        foot = gr.HTML(chat.footer(known), js_on_load=None, elem_id="mc-foot", **plain)

        gr.on(
            [box.submit, button.click, asked.click, *(column.click for column in columns)],
            ask,
            [box],
            [box, alarm, asked, *columns, button, stop_button, spoken],
            trigger_mode="multiple",
            concurrency_limit=None,
            **chat.PRIVATE,
        )
        stop_button.click(stop, queue=False, **chat.PRIVATE)
        timer.tick(tick, outputs=[line, timer, head, foot], queue=False, **chat.PRIVATE)
