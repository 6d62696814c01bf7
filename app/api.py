"""The HTTP API beside the page: ask, ask with a stream, search, health.

    curl -s localhost:7860/api/ask -H 'content-type: application/json' -d '{"question": "What is gout?"}'

The body of an answer is `rag.answer.Answer`. Mistakes in a request give 422 with one line in `detail`.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from app.engine import Engine, Failed, Unavailable, check, one_line
from configs.errors import UserError
from configs.schema import Mode
from index import identity
from index.identity import Part
from rag.answer import Answer

LOAD_SECONDS = 60.0
"""How long a request waits for the model to be loaded."""


class Ask(BaseModel):
    """A question and what may be decided about its answer; what is left out is the profile's."""

    model_config = ConfigDict(extra="forbid")
    question: str
    mode: Mode | None = None
    strict: bool | None = None
    max_new_tokens: int | None = Field(None, ge=1, le=4096)
    temperature: float | None = Field(None, ge=0, le=2)


class Found(BaseModel):
    """One passage that a search found."""

    n: int
    title: str
    question: str
    text: str
    institute: str
    url: str
    score: float
    demonstration: bool


class SearchResult(BaseModel):
    """Passages, best first, and the chance that they cover the question."""

    question: str
    confidence: float
    nearest: tuple[str, ...]
    hits: list[Found]


class CorpusPart(BaseModel):
    """One source of the corpus; `pairs` is null where the index does not say, `license` empty if not known."""

    name: str
    kind: str = Field(description="medquad, starter or own")
    pairs: int | None
    attribution: str
    license: str


class Corpus(BaseModel):
    """What the answers are made from; all of it is empty while that is not known."""

    description: str = Field(description="what the program does, naming where its answers come from")
    attribution: str
    sources: list[CorpusPart]


class Health(BaseModel):
    """`state` is loading, ready or failed."""

    state: str
    detail: str
    modes: list[str]
    corpus: Corpus


def install(app: FastAPI, engine: Engine) -> None:
    """Add the routes under /api and the one-line form of errors."""
    router = APIRouter(prefix="/api")

    @router.post("/ask", response_model=Answer)
    async def ask(body: Ask, request: Request) -> Any:
        last: Answer | None = None
        async for last in _snapshots(engine, body, request):  # noqa: B007 - the last one is the answer
            pass
        # None: the asker has gone, and nobody reads this.
        return last if last is not None else JSONResponse({"detail": "stopped"}, 499)

    @router.post("/ask/stream", response_class=EventSourceResponse)
    async def stream(body: Ask, request: Request) -> AsyncIterator[ServerSentEvent]:
        # A mistake known before the first byte is sent as an event too: the status is already on its way.
        try:
            async for snapshot in _snapshots(engine, body, request):
                yield ServerSentEvent(data=snapshot, event="answer")
        except UserError as error:
            yield ServerSentEvent(data={"detail": one_line(error)}, event="error")

    @router.get("/search")
    def search(
        q: Annotated[str, Query(description="the question")],
        k: Annotated[int, Query(ge=1, le=50)] = 5,
    ) -> SearchResult:
        text = check(q)
        found = engine.pipeline(LOAD_SECONDS).retriever.retrieve(text, k)
        hits = [
            Found(
                n=n,
                title=hit.pair.title,
                question=hit.pair.question,
                text=hit.passage.text,
                institute=hit.pair.institute,
                url=hit.pair.url,
                score=hit.score,
                demonstration=hit.pair.demonstration,
            )
            for n, hit in enumerate(found.hits, 1)
        ]
        return SearchResult(question=text, confidence=found.confidence, nearest=found.nearest, hits=hits)

    @router.get("/health")
    def health() -> Health:
        modes = list(engine.pipeline().modes) if engine.state == "ready" else []
        return Health(state=engine.state, detail=engine.detail, modes=modes, corpus=described(engine.corpus))

    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def nothing(path: str) -> JSONResponse:
        return JSONResponse({"detail": f"no such address: /api/{path}"}, 404)

    app.include_router(router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(UserError, _mistake)


def described(parts: Sequence[Part]) -> Corpus:
    """A corpus's parts as the API gives them."""
    return Corpus(
        description=identity.purpose(parts),
        attribution=identity.attribution(parts),
        sources=[CorpusPart(**asdict(part)) for part in parts],
    )


async def _snapshots(engine: Engine, body: Ask, request: Request) -> AsyncIterator[Answer]:
    """The answer's snapshots; ends, and ends the generation, when the asker goes away."""
    stop = threading.Event()
    options = body.model_dump(exclude={"question"})
    steps = engine.ask(body.question, stop, **options)
    try:
        while (step := await run_in_threadpool(next, steps, None)) is not None:
            if isinstance(step, Answer):
                yield step
            if await request.is_disconnected():
                return
    finally:
        stop.set()
        await run_in_threadpool(steps.close)  # type: ignore[attr-defined]


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"] if part not in ("body", "query"))
        lines.append(f"{where}: {item['msg']}" if where else str(item["msg"]))
    return JSONResponse({"detail": " ".join("; ".join(lines).split())[:500]}, 422)


async def _mistake(request: Request, error: Exception) -> JSONResponse:
    status = 503 if isinstance(error, Unavailable) else 500 if isinstance(error, Failed) else 422
    return JSONResponse({"detail": one_line(error)}, status)
