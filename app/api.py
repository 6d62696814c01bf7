"""The HTTP API beside the page: ask, ask with a stream, search, health.

    curl -s localhost:7860/api/ask -H 'content-type: application/json' -d '{"question": "What is gout?"}'

The body of an answer is `rag.answer.Answer`. Mistakes in a request give 422 with one line in `detail`; where too many
questions wait already, it is 429 with `Retry-After` in seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent, format_sse_event
from pydantic import BaseModel, ConfigDict, Field

from app.engine import MAX_QUESTION_BYTES, Busy, Engine, Failed, Job, Unavailable, check, one_line
from configs.errors import UserError
from configs.modes import Length, Mode
from index import identity
from index.identity import Part
from rag.answer import Answer

STREAM = "/ask/stream"
LOAD_SECONDS = 60.0
"""How long a request waits for the model to be loaded."""

LOOK_SECONDS = 1.0
"""How often a request that waits looks whether its asker is still there."""


class Ask(BaseModel):
    """A question and what may be decided about its answer; what is left out is the profile's."""

    model_config = ConfigDict(extra="forbid")
    question: str
    history: list[Annotated[str, Field(max_length=MAX_QUESTION_BYTES)]] | None = Field(
        None, max_length=50, description="the questions asked before, oldest first"
    )
    mode: Mode | None = None
    strict: bool | None = None
    length: Length | None = None
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
    doses_left_out: int = Field(0, description="sentences with doses that `text` does not show")
    repairs: tuple[str, ...] = Field((), description="what differs in `text` from the page as it was published")


class SearchResult(BaseModel):
    """Passages, best first, and the chance that they cover the question."""

    question: str
    confidence: float
    nearest: tuple[str, ...]
    hits: list[Found]
    growing: str = Field("", description="one line on an index of which not all passages have vectors yet")


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
    """`state` is loading, ready, stuck (the generator writes nothing) or failed; the last two come with status 503."""

    state: str
    detail: str
    modes: list[str]
    corpus: Corpus
    answering: bool = False
    waiting: int = Field(0, description="questions that wait for their turn")
    growing: str = Field("", description="how far an index is that is still growing, in one line")


def install(app: FastAPI, engine: Engine) -> None:
    """Add the routes under /api and the one-line form of errors."""
    router = APIRouter(prefix="/api")

    async def asked(body: Ask) -> AsyncIterator[Job]:
        """The question in the engine's line for as long as the request lasts; `_mistake` answers what is wrong."""
        job = engine.submit(**body.model_dump())
        try:
            yield job
        finally:
            # The request is over, however it ended. Nothing is awaited here: that, too, could be cancelled.
            job.abandon()

    @router.post("/ask", response_model=Answer)
    async def ask(request: Request, job: Any = Depends(asked)) -> Any:  # noqa: B008 - how FastAPI is told
        last: Answer | None = None
        async for last in snapshots(job, request):  # noqa: B007 - the last one is the answer
            pass
        # None: the asker has gone, and nobody reads this.
        return last if last is not None else JSONResponse({"detail": "stopped"}, 499)

    @router.post(STREAM, response_class=EventSourceResponse)
    async def stream(request: Request, job: Any = Depends(asked)) -> AsyncIterator[ServerSentEvent]:  # noqa: B008
        # The status is on its way already, so what goes wrong from here on is an event.
        try:
            async for snapshot in snapshots(job, request):
                yield ServerSentEvent(data=snapshot, event="answer")
        except UserError as error:
            yield ServerSentEvent(data={"detail": one_line(error)}, event="error")

    @router.get("/search")
    def search(
        q: Annotated[str, Query(description="the question")],
        k: Annotated[int, Query(ge=1, le=50)] = 5,
    ) -> SearchResult:
        from rag.retrieval.names import Said
        from rag.sources import source

        text = check(q)
        pipeline = engine.pipeline(LOAD_SECONDS)
        pipeline.renew()
        found = pipeline.retriever.retrieve(text, k)
        said = Said.of(text)
        sources = [source(n, hit, said) for n, hit in enumerate(found.hits, 1)]
        hits = [Found(**item.model_dump(include=set(Found.model_fields))) for item in sources]
        return SearchResult(
            question=text,
            confidence=found.confidence,
            nearest=found.nearest,
            hits=hits,
            growing=pipeline.growing,
        )

    @router.get("/health")
    def health(response: Response) -> Health:
        state = engine.state
        modes = list(engine.pipeline().modes) if engine.loaded else []
        response.status_code = 503 if state in ("failed", "stuck") else 200
        return Health(
            state=state,
            detail=engine.detail,
            modes=modes,
            corpus=described(engine.corpus),
            answering=engine.answering,
            waiting=engine.waiting,
            growing=engine.growing,
        )

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


async def snapshots(job: Job, request: Request) -> AsyncIterator[Answer]:
    """The answer's snapshots, the newest whenever there is one; ends when the asker goes away."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the server, and its loop, have ended
            loop.call_soon_threadsafe(changed.set)

    job.wake = wake
    while not job.done:
        snapshot = job.take()
        if snapshot is not None:
            yield snapshot
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), LOOK_SECONDS)
        changed.clear()
        if await request.is_disconnected():
            return


def mistakes(error: RequestValidationError) -> str:
    """What is wrong with a request, in one line."""
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"] if part not in ("body", "query"))
        lines.append(f"{where}: {item['msg']}" if where else str(item["msg"]))
    return " ".join("; ".join(lines).split())[:500]


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"detail": mistakes(error)}, 422)


async def _mistake(request: Request, error: Exception) -> Response:
    detail = {"detail": one_line(error)}
    if request.url.path.endswith(STREAM) and not isinstance(error, Busy):
        # Who reads events is told by one, whether the question was wrong or its answer went wrong.
        event = format_sse_event(data_str=json.dumps(detail), event="error")
        return EventSourceResponse(iter([event]), headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
    status = 503 if isinstance(error, Unavailable) else 500 if isinstance(error, Failed) else 422
    headers = None
    if isinstance(error, Busy):
        status, headers = 429, {"Retry-After": str(error.retry_after)}
    return JSONResponse(detail, status, headers)
