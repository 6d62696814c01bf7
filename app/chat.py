"""The Gradio chat: `build(engine, history, secret)` gives the Blocks that `app/server.py` serves.

The conversation is two HTML components: the turns that are finished, and the one being written, so
that a snapshot redraws one turn only. `page.js` opens sources; without it the page still reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from app import render
from app.engine import Engine, check
from app.history import History, Turn, new_id, new_key, valid_id
from app.stops import Stops
from configs.errors import UserError
from index import identity
from index.identity import Part
from rag.answer import DISCLAIMER, Answer

FOLDER = Path(__file__).parent
EXAMPLES = (
    "What are the symptoms of asthma?",
    "How is high blood pressure treated?",
    "What causes gout?",
    "How can I lower my risk of type 2 diabetes?",
)
FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
LOOK_SECONDS = 5.0
"""Between two looks at how far an index is that is still growing."""
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
PAGES = (("./", "Chat"), ("./compare", "Compare"), ("./report", "Evaluation report"))
"""Addresses relative to the page, so that they hold behind a proxy's prefix too."""

MEDQUAD_LINKS = (
    '<a href="https://github.com/abachaa/MedQuAD" target="_blank" rel="noopener noreferrer">MedQuAD</a>, '
    '<a href="https://creativecommons.org/licenses/by/4.0/" target="_blank" rel="noopener noreferrer">license</a>.'
)

TITLE = "medcite: health answers with their sources"

ON_LOAD = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-ask]');
  if (button) trigger('click', { ask: button.dataset.ask });
});
watch('value', () => window.medcite && window.medcite.drawn(element));
window.medcite && window.medcite.drawn(element);
"""


def page_options(corpus: Sequence[Part] = ()) -> dict[str, Any]:
    """What Gradio 6 takes when the Blocks are served: theme, style and script, all local.

    `corpus` is what the index is known to hold by then.
    """
    return {
        "theme": theme(),
        "css": (FOLDER / "style.css").read_text("utf-8"),
        "head": f"<script>{(FOLDER / 'page.js').read_text('utf-8')}</script>"
        f'<meta name="description" content="{escape(identity.purpose(corpus))}">',
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "enable_monitoring": False,
        "show_error": False,
        "max_file_size": "1kb",
        "favicon_path": str(FOLDER / "favicon.svg"),
    }


def theme() -> Any:
    """Gradio's bare theme in system fonts; colors are the style sheet's variables."""
    return gr.themes.Base(font=list(FONTS), font_mono=["ui-monospace", "monospace"], radius_size="sm").set(
        body_background_fill="var(--mc-page)",
        body_background_fill_dark="var(--mc-page)",
        body_text_color="var(--mc-ink)",
        body_text_color_dark="var(--mc-ink)",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_label_text_color="var(--mc-ink)",
        block_label_text_color_dark="var(--mc-ink)",
        block_info_text_color="var(--mc-soft)",
        block_info_text_color_dark="var(--mc-soft)",
        body_text_color_subdued="var(--mc-soft)",
        body_text_color_subdued_dark="var(--mc-soft)",
        border_color_primary="var(--mc-line)",
        border_color_primary_dark="var(--mc-line)",
        input_background_fill="var(--mc-field)",
        input_background_fill_dark="var(--mc-field)",
        input_border_color="var(--mc-edge)",
        input_border_color_dark="var(--mc-edge)",
        input_placeholder_color="var(--mc-soft)",
        input_placeholder_color_dark="var(--mc-soft)",
        button_primary_background_fill="var(--mc-accent)",
        button_primary_background_fill_dark="var(--mc-accent)",
        button_primary_background_fill_hover="var(--mc-accent-strong)",
        button_primary_background_fill_hover_dark="var(--mc-accent-strong)",
        button_primary_text_color="var(--mc-on-accent)",
        button_primary_text_color_dark="var(--mc-on-accent)",
        button_secondary_background_fill="var(--mc-field)",
        button_secondary_background_fill_dark="var(--mc-field)",
        button_secondary_text_color="var(--mc-ink)",
        button_secondary_text_color_dark="var(--mc-ink)",
        slider_color="var(--mc-accent)",
        slider_color_dark="var(--mc-accent)",
        checkbox_background_color_selected="var(--mc-accent)",
        checkbox_background_color_selected_dark="var(--mc-accent)",
    )


class Chat:
    """The handlers of one page; conversations are told apart by the browser's id."""

    def __init__(self, engine: Engine, history: History, example_questions: tuple[str, ...] = EXAMPLES) -> None:
        self.engine = engine
        self.history = history
        self.examples = example_questions
        self.stops = Stops()

    def opened(self, conversation: object) -> tuple[str, str, str]:
        """A page was opened: its conversation's id, its turns, and what stands below them."""
        found = valid_id(conversation)
        turns = self.history.turns(found)
        return found, "".join(render.turn(item) for item in turns), "" if turns else welcome(self.examples)

    def ask(
        self,
        session: str,
        conversation: object,
        question: str,
        mode: str | None,
        strict: bool,
        tokens: int,
        temperature: float,
        alone: bool = False,
    ) -> Iterator[tuple[str, str, str, Turn, bool]]:
        """Snapshots: conversation id, earlier turns and this turn as HTML, the turn, whether it is the last.

        A question asked `alone` is no follow-up, whatever it says.
        """
        found = valid_id(conversation)
        turns = self.history.turns(found)
        earlier = "".join(render.turn(item) for item in turns)
        before = [] if alone else [item.answer.understood or item.question for item in turns if item.answer]
        key = new_key()
        stop = self.stops.begin(session)
        item = Turn(key, question.strip())
        yield found, earlier, render.turn(item, live=True), item, False
        answer: Answer | None = None
        error = ""
        try:
            question = check(question)
            for step in self.engine.ask(
                question,
                stop,
                mode=mode or None,
                strict=strict,
                max_new_tokens=tokens,
                temperature=temperature,
                history=before,
            ):
                if isinstance(step, Answer):
                    answer = step
                    if not step.complete:
                        item = Turn(key, question, step)
                        yield found, earlier, render.turn(item, live=True), item, False
                else:
                    yield found, earlier, render.turn(item, live=True, waiting=step), item, False
        except UserError as problem:
            error = " ".join(str(problem).split())
            error = error[:1].upper() + error[1:]
        finally:
            self.stops.end(session, stop)
            if answer is None and not error:
                error = "Stopped before the answer began."
            item = Turn(key, render.shortened(question.strip(), 2000), answer, error)
            if question.strip():
                self.history.add(found, item)
        yield found, earlier, render.turn(item), item, True

    def clear(self, session: str, conversation: object) -> tuple[str, str, str]:
        """Delete the conversation and begin another."""
        self.stops.stop(session)
        self.history.clear(valid_id(conversation))
        return new_id(), "", welcome(self.examples)


def welcome(questions: tuple[str, ...]) -> str:
    """What an empty conversation shows."""
    items = "".join(f"<li>{render.ask_button(question)}</li>" for question in questions)
    return (
        '<section class="mc-welcome" aria-label="Start here"><h2>Ask a health question</h2>'
        "<p>The answer is written from the passages that are found, and each sentence links to the one it rests on. "
        "If the sources do not cover a question, no answer is made up. "
        "Ask on in a few words (“and how is it treated?”): the answer says how that was understood.</p>"
        f'<h3>For example</h3><ul class="mc-examples">{items}</ul></section>'
    )


def masthead(corpus: Sequence[Part], here: str = "./") -> str:
    """Name, purpose, links to the pages, and the notice that is always in sight.

    `corpus` is what the index holds, as far as that is known; `here` is this page's address.
    """
    current = {here: ' aria-current="page"'}
    links = "".join(f'<a href="{address}"{current.get(address, "")}>{words}</a>' for address, words in PAGES)
    return (
        '<header class="mc-masthead"><div><h1>medcite</h1>'
        f"<p>{escape(identity.purpose(corpus))}</p>"
        f'<nav class="mc-pages" aria-label="Pages">{links}</nav></div>'
        f'<p class="mc-standing"><strong>Information, not medical advice.</strong> '
        f"{escape(DISCLAIMER.partition('. ')[2])} In an emergency call your local emergency number.</p></header>"
    )


def footer(corpus: Sequence[Part]) -> str:
    """Attribution and license of what the index holds, as far as that is known, and how well it all works."""
    words = escape(identity.attribution(corpus))
    links = MEDQUAD_LINKS if any(part.kind == "medquad" for part in corpus) else ""
    return (
        '<footer class="mc-footer"><p>How well does it answer? <a href="./report">The evaluation report</a></p>'
        f"<p>{' '.join(text for text in (words, links) if text)} "
        "Questions and answers stay on the machine that runs this program.</p></footer>"
    )


def identified(engine: Engine, known: Sequence[Part], here: str = "./") -> tuple[Any, Any]:
    """Masthead and footer anew, where the index turns out to hold something else than was known."""
    if engine.corpus == tuple(known):
        return gr.skip(), gr.skip()
    return masthead(engine.corpus, here), footer(engine.corpus)


def state_line(engine: Engine) -> str:
    """What the program is doing, in words."""
    words = {
        "loading": "Loading the model. You can ask already; the answer follows.",
        "ready": "Ready",
        "stuck": f"Not answering now: {engine.detail}",
        "failed": f"Not able to answer: {engine.detail}",
    }[engine.state]
    if engine.state == "ready":
        manifest = engine.pipeline().index.manifest
        words = f"Ready: {manifest.pairs:,} questions and answers indexed"
        if manifest.demonstration:
            share = "all" if manifest.demonstration == manifest.pairs else f"{manifest.demonstration:,}"
            words += f", {share} of them demonstration text, not from NIH"
        words += f". {engine.growing}" if engine.growing else ""
    return f'<p class="mc-engine mc-engine-{engine.state}" role="status">{escape(words)}</p>'


def next_tick(engine: Engine) -> Any:
    """When the page looks again, once the engine is loaded: while the index grows, to say how far it is."""
    return gr.Timer(LOOK_SECONDS, active=True) if engine.growing else gr.Timer(active=False)


def build(engine: Engine, history: History, secret: str, default_mode: str = "base+rag", tokens: int = 192) -> Any:
    """The page. `secret` keeps the browser's stored id readable across restarts."""
    chat = Chat(engine, history)

    def modes() -> list[tuple[str, str]]:
        names = engine.pipeline().modes if engine.loaded else (default_mode,)
        return [(render.MODE_WORDS.get(name, name), name) for name in names]

    known = engine.corpus

    def opened(conversation: object) -> tuple[Any, ...]:
        return (*chat.opened(conversation), state_line(engine), *identified(engine, known))

    def tick() -> tuple[Any, ...]:
        if engine.state == "loading":
            return tuple(gr.skip() for _ in range(5))
        update = gr.update(choices=modes()) if engine.loaded else gr.skip()
        return state_line(engine), update, next_tick(engine), *identified(engine, known)

    def ask(
        conversation: object,
        typed: str,
        mode: str,
        strict: bool,
        max_new_tokens: float,
        temperature: float,
        request: gr.Request,
        event: gr.EventData,
    ) -> Iterator[tuple[Any, ...]]:
        data = event._data if isinstance(event._data, dict) else {}
        pressed = data.get("ask")
        question = pressed if isinstance(pressed, str) else typed or ""
        session = str(request.session_hash)
        if not question.strip():
            yield (*(gr.skip() for _ in range(6)), announce("Type a question first."))
            return
        if chat.stops.busy(session):
            yield (*(gr.skip() for _ in range(6)), announce("An answer is being written. Wait for it, or press Stop."))
            return
        box: Any = gr.skip() if isinstance(pressed, str) else ""
        busy, idle = gr.update(visible=False), gr.update(visible=True)
        begun = False
        for found, earlier, now, item, last in chat.ask(
            session,
            conversation,
            question,
            mode,
            bool(strict),
            int(max_new_tokens),
            float(temperature),
            alone=isinstance(pressed, str),
        ):
            if last:
                yield gr.skip(), gr.skip(), now, gr.skip(), idle, busy, render.announcement(item)
            elif begun:
                yield gr.skip(), gr.skip(), now, gr.skip(), gr.skip(), gr.skip(), gr.skip()
            else:
                begun = True
                yield found, earlier, now, box, busy, idle, announce("Looking for sources.")

    def stop(request: gr.Request) -> None:
        chat.stops.stop(str(request.session_hash))

    def clear(conversation: object, request: gr.Request) -> tuple[str, str, str, str]:
        return (*chat.clear(str(request.session_hash), conversation), announce("The conversation was deleted."))

    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        browser = gr.BrowserState("", storage_key="medcite-conversation", secret=secret)
        timer = gr.Timer(0.7)
        head = gr.HTML(masthead(known), elem_id="mc-masthead", js_on_load=None, apply_default_css=False)
        past = gr.HTML("", elem_id="mc-past", js_on_load=ON_LOAD, apply_default_css=False)
        now = gr.HTML("", elem_id="mc-now", js_on_load=ON_LOAD, apply_default_css=False)
        spoken = gr.HTML(announce(""), js_on_load=None, elem_id="mc-spoken", apply_default_css=False)
        foot = gr.HTML(footer(known), js_on_load=None, elem_id="mc-foot", apply_default_css=False)
        with gr.Column(elem_id="mc-composer"):
            engine_line = gr.HTML(state_line(engine), js_on_load=None, elem_id="mc-engine", apply_default_css=False)
            with gr.Row(elem_id="mc-ask-row"):
                box = gr.Textbox(
                    label="Your question",
                    placeholder="A symptom or a condition",
                    lines=1,
                    max_lines=5,
                    autofocus=True,
                    scale=5,
                    elem_id="mc-box",
                )
                ask_button = gr.Button("Ask", variant="primary", elem_id="mc-ask", scale=0, min_width=96)
                stop_button = gr.Button("Stop", visible=False, elem_id="mc-stop", scale=0, min_width=96)
            with gr.Accordion("Answer settings", open=False, elem_id="mc-settings"):
                with gr.Row():
                    mode = gr.Dropdown(
                        modes(), value=default_mode, label="How to answer", filterable=False, elem_id="mc-mode"
                    )
                    strict = gr.Checkbox(
                        False, label="Strict", info="Leave out sentences that no source supports", elem_id="mc-strict"
                    )
                with gr.Row():
                    max_new_tokens = gr.Slider(
                        16, 512, value=min(tokens, 512), step=16, label="Longest answer, in tokens"
                    )
                    temperature = gr.Slider(
                        0, 1.5, value=0, step=0.1, label="Temperature (0: the same answer each time)"
                    )
                clear_button = gr.Button("Delete this conversation", size="sm", elem_id="mc-clear")

        gr.on(
            [box.submit, ask_button.click, past.click, now.click],
            ask,
            [browser, box, mode, strict, max_new_tokens, temperature],
            [browser, past, now, box, ask_button, stop_button, spoken],
            trigger_mode="multiple",
            concurrency_limit=None,
            **PRIVATE,
        )
        stop_button.click(stop, queue=False, **PRIVATE)
        clear_button.click(clear, [browser], [browser, past, now, spoken], queue=False, **PRIVATE)
        timer.tick(tick, outputs=[engine_line, mode, timer, head, foot], queue=False, **PRIVATE)
        page.load(opened, [browser], [browser, past, now, engine_line, head, foot], queue=False, **PRIVATE)
    return page


def announce(words: str) -> str:
    """A line for screen readers."""
    return f'<p class="mc-sr" role="status">{words}</p>'
