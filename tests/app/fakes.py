"""A pipeline of fixed answers: every status the page must show, streamed a word at a time.

python -m tests.app.fakes --port 7861     serves the page on it
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from configs.errors import UserError, run
from index import identity
from index.corpus import QAPair
from index.identity import Part
from index.passages import Passage
from rag.answer import Answer, Sentence, Source, Span, Timings
from rag.retrieval.hits import Hit, Retrieval

ASTHMA = (
    "Asthma is a disease that inflames and narrows the airways. Its symptoms come and go. "
    "They are wheezing, coughing that is worse at night, a tight chest and shortness of breath. "
    "Cold air, smoke and pollen can set them off."
)
TRIGGERS = "Common triggers are dust mites, pollen, smoke and exercise. Keeping a diary shows which ones matter."


def source(n: int, **changes: Any) -> Source:
    """One source, on asthma unless told otherwise."""
    base = {
        "n": n,
        "passage_id": f"p{n}",
        "pair_id": f"q{n}",
        "title": "Asthma",
        "question": "What are the symptoms of asthma?",
        "text": ASTHMA,
        "institute": "National Heart, Lung, and Blood Institute (NHLBI)",
        "url": "https://www.nhlbi.nih.gov/health/asthma",
        "score": 1.0 / n,
    }
    return Source(**{**base, **changes})


def span(text: str, part: str) -> Span:
    """Where `part` stands in `text`."""
    start = text.index(part)
    return Span(start=start, end=start + len(part))


QUOTED = "They are wheezing, coughing that is worse at night, a tight chest and shortness of breath."
SOURCES = (
    source(1),
    source(
        2,
        title="Exercise and asthma",
        text=TRIGGERS,
        url="https://medlineplus.gov/asthma.html",
        institute="MedlinePlus Health Topics (NLM)",
        question="What sets off asthma?",
    ),
    source(
        3,
        title="Asthma triggers",
        text=TRIGGERS,
        url="https://www.nhlbi.nih.gov/health/asthma/causes",
        question="What causes asthma?",
    ),
)
ANSWERED = Answer(
    question="What are the symptoms of asthma?",
    status="answered",
    mode="base+rag",
    sentences=(
        Sentence(text=QUOTED, citations=(1,), support=1.0, supported=True, quoted=True),
        Sentence(
            text="Smoke, pollen and exercise are among the things that set them off.",
            citations=(3, 1),
            support=0.8,
            supported=True,
            before="\n\n",
        ),
        Sentence(
            text="About 40% of people outgrow it.",
            support=0.2,
            supported=False,
            before=" ",
            note="the number 40% is in no source",
        ),
    ),
    sources=(
        SOURCES[0].model_copy(update={"used": True, "highlights": (span(ASTHMA, QUOTED),)}),
        SOURCES[1],
        SOURCES[2].model_copy(
            update={
                "used": True,
                "highlights": (span(TRIGGERS, "Common triggers are dust mites, pollen, smoke and exercise."),),
            }
        ),
    ),
    confidence=0.86,
    model="SmolLM2-135M-Instruct",
    timings=Timings(retrieve_ms=12, first_token_ms=430, total_ms=2150, prompt_tokens=420, new_tokens=58),
)
ABSTAINED = Answer(
    question="What is the capital of France?",
    status="abstained",
    mode="base+rag",
    notice="The sources do not cover this question.",
    nearest=("Asthma", "Gout", "High blood pressure"),
    confidence=0.1,
    timings=Timings(retrieve_ms=9, total_ms=10),
)
EMERGENCY = Answer(
    question="I took a whole bottle of pills",
    status="emergency",
    mode="base+rag",
    notice="Call your local emergency number now (911 in the United States, 112 in Europe), or a poison centre. "
    "Do not wait for symptoms.",
    confidence=0.3,
    timings=Timings(total_ms=3),
)
DEMO = ANSWERED.model_copy(
    update={
        "sources": tuple(
            item.model_copy(update={"demonstration": True, "url": "", "institute": ""}) for item in ANSWERED.sources
        )
    }
)
MEMORY = ANSWERED.model_copy(
    update={
        "mode": "base",
        "sources": (),
        "confidence": 0.0,
        "sentences": (Sentence(text="Asthma is a disease of the lungs.", note="written from memory"),),
    }
)


def hostile() -> Answer:
    """An answer whose every text is an attack on the page."""
    bad = '<script>window.pwned=1</script><img src=x onerror="window.pwned=1">'
    return ANSWERED.model_copy(
        update={
            "question": bad,
            "notice": bad,
            "nearest": ('" onclick="window.pwned=1', bad),
            "sentences": (
                Sentence(text=bad, citations=(1,), supported=True, support=1, quoted=True),
                Sentence(text=bad, note=bad, before=" "),
            ),
            "sources": (
                source(
                    1,
                    title=bad,
                    text=bad,
                    question=bad,
                    institute=bad,
                    url="javascript:window.pwned=1",
                    used=True,
                    urls=("data:text/html,x", 'https://ok.example/"><script>'),
                    highlights=(Span(start=3, end=9999),),
                ),
            ),
            "model": bad,
        }
    )


class FakePipeline:
    """Answers by a word in the question. `opened` and `closed` count streams, so that a stop can be checked."""

    def __init__(self, delay: float = 0.0, demo: bool = False, corpus: tuple[Part, ...] = ()) -> None:
        self.delay = delay
        self.demo = demo
        self.modes = ("base+rag", "extractive", "base")
        parts = corpus or (identity.part("starter" if demo else "medquad", "", 42),)
        self.index = SimpleNamespace(manifest=SimpleNamespace(pairs=42, demonstration=42 if demo else 0, parts=parts))
        self.retriever = self
        self.kept = False
        self.growing = ""
        self.opened = self.closed = self.running = self.most = 0
        self.options: dict[str, Any] = {}

    @property
    def profile(self) -> Any:
        """Another one after each question, so that every question streams, unless answers are to be `kept`."""
        return SimpleNamespace(asked=0 if self.kept else self.opened)

    def warm(self) -> None:
        """Nothing to warm."""

    def renew(self) -> None:
        """Nothing newer."""

    def retrieve(self, question: str, k: int | None = None) -> Retrieval:
        """One hit."""
        pair = QAPair(
            "q1",
            "What are the symptoms of asthma?",
            ASTHMA,
            focus="Asthma",
            source="NHLBI",
            url="https://www.nhlbi.nih.gov/health/asthma",
        )
        passage = Passage("p1", 0, 0, 0, len(ASTHMA), ASTHMA)
        return Retrieval((Hit(0, passage, pair, 0.9, 0.9, 0.8, 7.0),)[: k or 1], 0.9, ("Asthma",))

    def stream(self, input: str, **options: Any) -> Iterator[Answer]:
        """Snapshots of the answer that the question names."""
        self.opened += 1
        self.running += 1
        self.most = max(self.most, self.running)
        self.options = options
        before = options.get("history") or []
        understood = f"{before[-1]} ({input})" if before and input.startswith("and ") else ""
        try:
            for answer in self._snapshots(input):
                yield answer.model_copy(update={"understood": understood}) if understood else answer
        finally:
            self.running -= 1
            self.closed += 1

    def _snapshots(self, question: str) -> Iterator[Answer]:
        text = question.lower()
        if "explode" in text:
            raise RuntimeError("out of memory")
        if "mistake" in text:
            raise UserError("the mode is not available")
        if "capital" in text:
            yield ABSTAINED.model_copy(update={"question": question})
            return
        if "pills" in text:
            yield EMERGENCY.model_copy(update={"question": question, "complete": False})
            time.sleep(self.delay)
            yield EMERGENCY.model_copy(update={"question": question})
            return
        final = hostile() if "hostile" in text else MEMORY if "memory" in text else DEMO if self.demo else ANSWERED
        final = final.model_copy(update={"question": question})
        unused = tuple(item.model_copy(update={"used": False, "highlights": ()}) for item in final.sources)
        started = final.model_copy(update={"complete": False, "sentences": (), "sources": unused})
        yield started
        for count, item in enumerate(final.sentences):
            words = item.text.split()
            for n in range(1, len(words) + 1):
                time.sleep(self.delay)
                yield started.model_copy(update={"sentences": final.sentences[:count], "draft": " ".join(words[:n])})
        yield final


def ended(pipeline: FakePipeline, seconds: float = 2.0) -> None:
    """Wait until no stream of the pipeline is open."""
    ends = time.monotonic() + seconds
    while pipeline.running and time.monotonic() < ends:
        time.sleep(0.002)
    assert pipeline.running == 0


def main() -> None:
    """Serve the page on the stand-in."""
    from app import server
    from app.engine import Engine
    from app.history import History

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--history", type=Path)
    args = parser.parse_args()
    engine = Engine(lambda: FakePipeline(0.06))
    engine.start()
    sock = server.bind("127.0.0.1", args.port)
    app = server.create(engine, History(args.history), "a" * 24)
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    server.serve(app, sock)


if __name__ == "__main__":
    run(main)
