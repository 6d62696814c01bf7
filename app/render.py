"""`Answer` to HTML. Every text from a person, a model or a corpus is escaped here and nowhere else.

Layout: a turn is the question with the answer on the left and its sources on the right (below it on a
narrow screen). A citation `[n]` links to source n of its own turn; numbers are the ones the reader first saw.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import urlsplit

from app.history import Turn
from index.corpus import repeats
from rag.answer import DEMONSTRATION, WHETHER_OR_NOT, Answer, Sentence, Source, Span
from rag.conversation import NO_QUESTION

MODE_WORDS = {
    "base": "Model alone, from memory",
    "finetuned": "Fine-tuned model alone, from memory",
    "base+rag": "Model reading the sources",
    "finetuned+rag": "Fine-tuned model reading the sources",
    "extractive": "Quotations only, no model",
}
CONFIDENCE_WORDS = {
    "high": "the sources match the question closely",
    "medium": "the sources match the question in part; check them",
    "low": "the sources match the question only loosely; check them with care",
}


def turn(item: Turn, *, live: bool = False, waiting: str = "") -> str:
    """One turn. `live`: still being written; `waiting`: what it waits for, before the first snapshot."""
    answer = item.answer
    parts = [f'<article class="mc-turn" id="{item.key}" data-key="{item.key}" aria-busy="{str(live).lower()}">']
    if answer and answer.status == "emergency":
        parts.append(emergency(answer.notice))
    parts.append('<div class="mc-columns"><div class="mc-main">')
    parts.append(
        f'<h2 class="mc-question"><span class="mc-sr">Question: </span>{escape(shortened(item.question))}</h2>'
    )
    if answer is None:
        words = item.error or waiting or "Looking for sources."
        kind = "mc-error" if item.error else "mc-waiting"
        parts.append(f'<p class="{kind}">{"<strong>No answer.</strong> " if item.error else ""}{escape(words)}</p>')
        if not item.error:
            parts.append('<div class="mc-progress" aria-hidden="true"></div>')
    else:
        parts.append(body(answer, item.key, live))
        if item.error:
            parts.append(f'<p class="mc-error"><strong>Cut short.</strong> {escape(item.error)}</p>')
    parts.append("</div>")
    if answer and answer.sources:
        parts.append(sources(answer, item.key))
    parts.append("</div></article>")
    return "".join(parts)


def body(answer: Answer, key: str, live: bool) -> str:
    """The answer's own column: status, notes, text, times and the standing notice."""
    parts = [status(answer, live)]
    if answer.status == "abstained":
        parts.append(abstention(answer))
    if answer.understood:
        parts.append(understood(answer))
    parts += [f'<p class="mc-note">{escape(note)}</p>' for note in notes(answer)]
    if any(source.demonstration for source in answer.sources) and answer.sentences:
        parts.append(f'<p class="mc-demo">{escape(DEMONSTRATION)}</p>')
    if answer.sentences or answer.draft:
        parts.append(f'<div class="mc-text">{paragraphs(answer, key, live)}</div>')
    elif live:
        parts.append('<div class="mc-progress" aria-hidden="true"></div>')
    if answer.missing_words:
        parts.append(f'<p class="mc-note">{escape(answer.missing_words)}</p>')
    if not live:
        if answer.truncated and not answer.fallback and answer.sentences:
            parts.append(
                '<p class="mc-cut">The answer reached its length limit and ends early. '
                "Raise the limit under Answer settings to read more.</p>"
            )
        parts.append(legend(answer))
        parts.append(f'<p class="mc-times">{escape(times(answer))}</p>')
        parts.append(f'<p class="mc-disclaimer">{escape(answer.disclaimer)}</p>')
    return "".join(parts)


def emergency(notice: str) -> str:
    """The notice that comes before everything else."""
    title = "This may be an emergency"
    return (
        '<div class="mc-emergency" role="alert"><span class="mc-emergency-mark" aria-hidden="true">!</span>'
        f'<div><strong class="mc-emergency-title">{title}</strong>'
        f"<p>{escape(notice.removeprefix(f'{title}. '))}</p></div></div>"
    )


def status(answer: Answer, live: bool) -> str:
    """Status and confidence in words."""
    cited = sum(source.used for source in answer.sources)
    if answer.status == "abstained":
        words = "Not answered"
    elif live and not answer.complete:
        words = f"Writing, with {plural(len(answer.sources), 'source')}" if answer.sources else "Writing"
    elif not answer.complete:
        words = "Stopped before the end"
    elif not answer.sentences:
        words = "Only the emergency notice: nothing is answered under it"
    elif not answer.sources:
        words = "Answered from memory, without sources"
    elif not cited:
        words = "Answered, but no source supports it"
    else:
        words = f"Answered from {cited} of {plural(len(answer.sources), 'source')}"
    parts = [f'<span class="mc-state mc-state-{answer.status}">{escape(words)}</span>']
    if answer.sources and answer.status == "answered":
        level = answer.confidence_words
        why = CONFIDENCE_WORDS.get(level, "")
        parts.append(f'<span class="mc-confidence mc-confidence-{escape(level)}">Confidence: {escape(level)}')
        parts.append(f'<span class="mc-why">, {escape(why)}</span></span>' if why else "</span>")
    return f'<p class="mc-status">{"".join(parts)}</p>'


def abstention(answer: Answer) -> str:
    """What is said instead of an answer, with the nearest topics as buttons that ask."""
    if answer.notice == NO_QUESTION:
        return f'<div class="mc-abstention"><p>{escape(answer.notice)}</p></div>'
    parts = [
        '<div class="mc-abstention">',
        f"<p><strong>{escape(answer.notice or 'The sources do not cover this question.')}</strong></p>",
        "<p>Nothing was written, because it could not have been checked. ",
        "Try other words, or ask a health professional. ",
        f"{escape(WHETHER_OR_NOT)}</p>",
    ]
    if answer.nearest:
        parts.append('<p class="mc-nearest-title">Nearest topics:</p><ul class="mc-nearest">')
        asks = answer.nearest_questions
        if len(asks) != len(answer.nearest):  # kept by an earlier version, which had the titles alone
            asks = tuple(topic if topic.rstrip().endswith("?") else f"What is {topic}?" for topic in answer.nearest)
        parts += [f"<li>{ask_button(*both)}</li>" for both in zip(asks, answer.nearest, strict=True)]
        parts.append("</ul>")
    return "".join([*parts, "</div>"])


def ask_button(question: str, label: str | None = None) -> str:
    """A button that asks `question`."""
    return f'<button type="button" class="mc-ask" data-ask="{escape(question)}">{escape(label or question)}</button>'


def understood(answer: Answer) -> str:
    """How a follow-up was understood, and two ways out: to change that, and to ask what was typed by itself."""
    edit = f'<button type="button" class="mc-edit" data-edit="{escape(answer.understood)}">Change it</button>'
    alone = f'<button type="button" class="mc-edit" data-ask="{escape(answer.question)}">Ask it as typed</button>'
    return f'<p class="mc-understood">Understood as: <strong>{escape(answer.understood)}</strong> {edit} {alone}</p>'


def notes(answer: Answer) -> list[str]:
    """What the reader should know before the text."""
    result = [f"Searched for: {answer.searched}"] if answer.searched else []
    result += [answer.growing] if answer.growing else []
    if answer.status == "abstained":
        return result
    if answer.sentences and not answer.sources and answer.status == "answered":
        result.append(
            "The model wrote this from memory and read no source. None of it can be checked here; "
            "choose a way of answering that reads the sources to have citations."
        )
    if answer.fallback:
        result.append(
            "The model wrote no answer that its sources support, so the sources are quoted instead. "
            "They may not answer your question."
        )
    return result


def paragraphs(answer: Answer, key: str, live: bool) -> str:
    """The sentences, in the paragraphs and lists that their `before` asks for, then the draft."""
    blocks: list[tuple[str, list[str]]] = []
    titles = {source.n: source.title for source in answer.sources}
    from_memory = not answer.sources
    for item in answer.sentences:
        kind = block_kind(item.before, blocks[-1][0] if blocks else "")
        html = sentence(item, key, titles, explain=not from_memory)
        if kind == "same" and blocks:
            blocks[-1][1].append(html)
        else:
            blocks.append(("p" if kind == "same" else kind, [html]))
    if answer.draft and (live or not answer.complete):
        caret = '<span class="mc-caret" aria-hidden="true"></span>' if live else ""
        draft = f'<span class="mc-draft">{escape(answer.draft.strip())}</span>{caret}'
        if blocks:
            blocks[-1][1].append(draft)
        else:
            blocks.append(("p", [draft]))
    parts: list[str] = []
    inside = False
    for kind, items in blocks:
        if (kind == "li") != inside:
            parts.append("</ul>" if inside else "<ul>")
            inside = not inside
        parts.append(f"<{kind}>{' '.join(items)}</{kind}>")
    return "".join([*parts, "</ul>" if inside else ""])


def block_kind(before: str, last: str) -> str:
    """What begins at a sentence with this layout before it: li, p, or same (it goes on in its block)."""
    if re.search(r"(^|\n)\s*([-*•]|\d+[.)])\s*$", before):
        return "li"
    if not last:
        return "p"
    if before.count("\n") >= 2 or ("\n" in before and last == "li"):
        return "p"
    return "same"


def sentence(item: Sentence, key: str, titles: dict[int, str], *, explain: bool = True) -> str:
    """A sentence with its marks. Quotation marks mean the source's own words."""
    marks = "".join(citation(n, key, titles.get(n, "")) for n in item.citations)
    text = escape(item.text.strip())
    if item.supported and item.quoted:
        return f'<span class="mc-quote">“{text}”</span>{marks}'
    if item.supported:
        return f'<span class="mc-own">{text}</span>{marks}'
    if not explain:
        return f'<span class="mc-unsupported">{text}</span>'
    why = f": {escape(item.note)}" if item.note else ""
    return (
        f'<span class="mc-unsupported">{text}</span>{marks} '
        f'<span class="mc-flag"><span aria-hidden="true">⚠ </span>Not supported by the sources{why}</span>'
    )


def citation(n: int, key: str, title: str) -> str:
    """The link `[n]` to source n of the same turn."""
    label = f"[{n}] {title}".strip()
    return f' <a class="mc-cite" href="#{key}-s{n}" title="{escape(title)}" aria-label="{escape(label)}">[{n}]</a>'


def sources(answer: Answer, key: str) -> str:
    """The panel: cited sources first, then those that were found and not used; numbers as first seen."""
    cited = [source for source in answer.sources if source.used]
    other = [source for source in answer.sources if not source.used]
    parts = ['<section class="mc-sources" aria-label="Sources">']
    for title, group, name in (("Cited", cited, "cited"), ("Also found, not cited", other, "other")):
        if not group:
            continue
        if answer.status == "emergency":
            title = "Pages on this, to read once help is on its way"
        elif not answer.complete and name == "other" and not cited:
            title = "Found"
        parts.append(f'<h3>{title}</h3><ul class="mc-{name}">')
        parts += [source_item(item, key, opened=bool(cited) and item is cited[0]) for item in group]
        parts.append("</ul>")
    return "".join([*parts, "</section>"])


def source_item(source: Source, key: str, *, opened: bool = False) -> str:
    """One source: number, title and institute; the passage with its supporting parts marked; the page's link."""
    anchor = f"{key}-s{source.n}"
    if not source.text:
        title = f'<p class="mc-title">{escape(source.title)}</p>'
        return f'<li class="mc-source" id="{anchor}">{title}{"".join(links(source))}</li>'
    institute = f'<span class="mc-institute">{escape(source.institute)}</span>' if source.institute else ""
    demo = f'<span class="mc-demo mc-demo-small">{escape(DEMONSTRATION)}</span>' if source.demonstration else ""
    parts = [
        f'<li class="mc-source" id="{anchor}"><details data-id="{anchor}"{" data-first" if opened else ""}>',
        f'<summary><span class="mc-n">[{source.n}]</span><span class="mc-head">',
        f'<span class="mc-title">{escape(source.title)}</span>{institute}{demo}</span></summary>',
        "" if repeats(source.title, source.question) else f'<p class="mc-page-question">{escape(source.question)}</p>',
        f'<blockquote class="mc-passage">{highlighted(source.text, source.highlights)}</blockquote>',
        f'<p class="mc-left-out">{escape(left_out(source))}</p>' if source.doses_left_out else "",
        repaired(source),
        "</details>",
        "".join(links(source)),
    ]
    return "".join([*parts, "</li>"])


def repaired(source: Source) -> str:
    """What of a passage differs from the page as it was published, folded away."""
    if not source.repairs:
        return ""
    rows = "".join(f"<li>{escape(one.replace(' > ', ' → '))}</li>" for one in source.repairs)
    return f'<details class="mc-repairs"><summary>Put right in this text</summary><ul>{rows}</ul></details>'


def left_out(source: Source) -> str:
    """Why sentences of a passage are missing."""
    held = "A sentence that holds a dose is" if source.doses_left_out == 1 else "Sentences that hold doses are"
    return f"{held} left out here, because the question does not name this page. The page itself has the whole text."


def links(source: Source) -> Iterable[str]:
    """Links to the page, only where its address is http or https."""
    seen: set[str] = set()
    for url in (source.url, *source.urls):
        address = safe_url(url)
        if not address or address in seen or len(seen) == 2:
            continue
        seen.add(address)
        host = urlsplit(address).hostname or ""
        label = f"Read the page at {host}" if len(seen) == 1 else f"also at {host}"
        yield (
            f'<a class="mc-link" href="{escape(address)}" target="_blank" rel="noopener noreferrer">{escape(label)}'
            f'<span class="mc-sr"> about {escape(source.title)}, opens in a new tab</span></a> '
        )


def safe_url(url: str) -> str:
    """`url` if it is a plain http or https address, else an empty string."""
    if not url or re.search(r"[\s\x00-\x1f\x7f<>\"'`\\]", url):
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and host and not parts.username else ""


def highlighted(text: str, spans: Sequence[Span]) -> str:
    """`text`, escaped, with its spans in `<mark>`; spans may overlap or pass the end."""
    merged: list[list[int]] = []
    for start, end in sorted((max(0, span.start), min(len(text), span.end)) for span in spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    parts, position = [], 0
    for start, end in merged:
        parts.append(f"{escape(text[position:start])}<mark>{escape(text[start:end])}</mark>")
        position = end
    return "".join([*parts, escape(text[position:])])


def legend(answer: Answer) -> str:
    """How to read the marks, of those that this answer has."""
    parts = []
    if any(item.supported and item.quoted for item in answer.sentences):
        parts.append("“In quotation marks”: the source's own words.")
    if any(item.supported and not item.quoted for item in answer.sentences):
        parts.append("Without quotation marks: the model's words, which the numbered source supports.")
    if answer.sources and any(not item.supported for item in answer.sentences):
        parts.append("Wavy line and ⚠: the model's words, which no source supports.")
    return f'<p class="mc-legend">{escape(" ".join(parts))}</p>' if parts else ""


def times(answer: Answer) -> str:
    """Response times and how the answer was made."""
    parts = []
    if answer.timings.first_token_ms:
        parts.append(f"First words after {seconds(answer.timings.first_token_ms)}")
    if answer.timings.total_ms:
        total = seconds(answer.timings.total_ms)
        parts.append(f"whole answer after {total}" if parts else f"Done in {total}")
    if answer.status == "answered" and answer.complete:
        parts.append(MODE_WORDS.get(answer.mode, answer.mode).lower())
    if answer.model:
        name = answer.model.rstrip("/").rpartition("/")[2] or answer.model
        parts.append(f"model {name.removeprefix('package:')}" + (" with adapter" if answer.adapter else ""))
    line = " · ".join(parts)
    return line[:1].upper() + line[1:]


def announcement(item: Turn) -> str:
    """One line for screen readers once a turn is done."""
    answer = item.answer
    if answer is None:
        words = item.error
    elif answer.status == "abstained":
        words = f"Not answered. {answer.notice}"
    elif not answer.complete:
        words = "Stopped."
    else:
        cited = sum(source.used for source in answer.sources)
        words = f"Answer ready: {plural(len(answer.sentences), 'sentence')}, {plural(cited, 'cited source')}."
    return f'<p class="mc-sr" role="status">{escape(words)}</p>'


def seconds(ms: float) -> str:
    """Milliseconds as seconds in words a reader takes in at a glance."""
    return f"{ms / 1000:.1f} s" if ms >= 100 else "under 0.1 s"


def plural(n: int, word: str) -> str:
    """`1 source`, `2 sources`."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def shortened(text: str, limit: int = 600) -> str:
    """A question as a heading: its beginning, where it is very long."""
    return text if len(text) <= limit else f"{text[:limit].rstrip()} … ({len(text):,} characters)"
