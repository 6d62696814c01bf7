"""The chat as OpenAI's API has it: `POST /v1/chat/completions` and `GET /v1/models`.

    OpenAI(base_url="http://127.0.0.1:7860/v1", api_key="none").chat.completions.create(
        model="medcite", messages=[{"role": "user", "content": "What is gout?"}])

A model is a way of answering (`medcite`: the profile's own). The question is the last message of the user's; those
before are the conversation, so that follow-ups are understood. Every citation is in the text, as `[n]` with the sources
below, and an annotation. A streamed answer is sent once it was checked: what was sent cannot be taken back. Fields that
are not known are passed over, as there.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.api import LOAD_SECONDS, mistakes, snapshots
from app.engine import Busy, Engine, Job, Unavailable, one_line
from configs.errors import UserError
from index.corpus import titled
from rag.answer import WHETHER_OR_NOT, Answer
from rag.conversation import NO_QUESTION

MODEL = "medcite"
"""The model that answers as the profile says."""
PREFIX = "/v1"
PING_SECONDS = 10.0
"""Between two signs of life while an answer is made."""


class Part(BaseModel):
    """A part of a message; only those of type `text` are read."""

    model_config = ConfigDict(extra="ignore")
    type: str = "text"
    text: str = ""


class Message(BaseModel):
    """One turn."""

    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def words(self) -> str:
        """Its text."""
        if isinstance(self.content, str):
            return self.content.strip()
        return "\n".join(part.text for part in self.content or () if part.type == "text").strip()


class StreamOptions(BaseModel):
    """What a stream ends with."""

    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class Completion(BaseModel):
    """A request as OpenAI's reference has it, as far as it decides anything here."""

    model_config = ConfigDict(extra="ignore")
    model: str = MODEL
    messages: list[Message] = Field(min_length=1, max_length=200)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = Field(1, ge=1, le=1)
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None

    @field_validator("messages")
    @classmethod
    def _asked(cls, messages: list[Message]) -> list[Message]:
        if messages[-1].role != "user" or not messages[-1].words:
            raise ValueError("the last message must be the user's question")
        return messages

    @property
    def history(self) -> list[str]:
        """What the user said before."""
        return [one.words for one in self.messages[:-1] if one.role == "user" and one.words]


class Refused(Exception):
    """An error in OpenAI's form."""

    def __init__(self, status: int, message: str, kind: str, code: str | None = None, after: int = 0) -> None:
        super().__init__(message)
        self.status, self.kind, self.code, self.after = status, kind, code, after

    @property
    def body(self) -> dict[str, Any]:
        """As OpenAI's clients read it."""
        return {"error": {"message": str(self), "type": self.kind, "param": None, "code": self.code}}


def refused(error: Exception) -> Refused:
    """What went wrong, in that form."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, RequestValidationError):
        return Refused(400, mistakes(error), "invalid_request_error")
    if isinstance(error, Busy):
        return Refused(429, one_line(error), "rate_limit_error", "busy", error.retry_after)
    if isinstance(error, Unavailable):
        return Refused(503, one_line(error), "server_error", "unavailable")
    status = 400 if type(error) is UserError else 500
    return Refused(status, one_line(error), "invalid_request_error" if status == 400 else "server_error")


def install(app: FastAPI, engine: Engine) -> None:
    """Add the routes under PREFIX."""
    router = APIRouter(prefix=PREFIX)
    created = int(time.time())

    async def models() -> list[str]:
        if not engine.loaded:
            await asyncio.to_thread(engine.pipeline, LOAD_SECONDS)
        return [MODEL, *engine.pipeline().modes]

    def card(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": created, "owned_by": "medcite"}

    @router.get("/models")
    async def listed() -> Any:
        return {"object": "list", "data": [card(name) for name in await models()]}

    @router.get("/models/{name:path}")
    async def one(name: str) -> Any:
        if name not in await models():
            raise Refused(
                404, f"no model {name!r}; GET {PREFIX}/models lists them", "invalid_request_error", "model_not_found"
            )
        return card(name)

    @router.post("/chat/completions")
    async def complete(request: Request, body: Completion) -> Response:
        if body.model not in await models():
            known = ", ".join(await models())
            raise Refused(
                404, f"no model {body.model!r}; there are: {known}", "invalid_request_error", "model_not_found"
            )
        job = engine.submit(
            body.messages[-1].words,
            mode=None if body.model == MODEL else body.model,
            history=body.history or None,
            max_new_tokens=body.max_completion_tokens or body.max_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            seed=body.seed,
        )
        stops = [body.stop] if isinstance(body.stop, str) else list(body.stop or ())
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            events = _events(job, request, head, stops, usage)
            headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)
        answer: Answer | None = None
        try:
            async for answer in snapshots(job, request):  # noqa: B007 - the last one is the answer
                pass
        finally:
            job.abandon()
        if answer is None:
            return JSONResponse({"error": {"message": "stopped"}}, 499)
        text, cut = stopped(content(answer), stops)
        message = {"role": "assistant", "content": text, "refusal": None, "annotations": citations(answer, text)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason(answer, cut)}
        return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": spent(answer)})

    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def nothing(path: str) -> Any:
        raise Refused(404, f"no such address: {PREFIX}/{path}", "invalid_request_error", "not_found")

    app.include_router(router)
    app.add_exception_handler(Refused, said)
    for kind in (RequestValidationError, UserError):
        app.add_exception_handler(kind, _by_address(app.exception_handlers.get(kind)))


def _by_address(other: Any) -> Any:
    """A handler that answers in OpenAI's form under PREFIX, and as `other` does elsewhere."""

    async def handle(request: Request, error: Exception) -> Any:
        if other is None or request.url.path.startswith(f"{PREFIX}/"):
            return await said(request, error)
        return await other(request, error)

    return handle


async def said(request: Request, error: Exception) -> JSONResponse:
    """An error as a response in OpenAI's form."""
    found = refused(error)
    return JSONResponse(found.body, found.status, {"Retry-After": str(found.after)} if found.after else None)


async def _events(
    job: Job, request: Request, head: dict[str, Any], stops: Sequence[str], usage: bool
) -> AsyncIterator[str]:
    """Chunks of the answer, a sentence at a time once it was checked; signs of life before."""

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        whole = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(whole)}\n\n"

    yield chunk({"role": "assistant", "content": ""})
    answer: Answer | None = None
    last = time.monotonic()
    try:
        async for answer in snapshots(job, request):  # noqa: B007 - the last one is the answer
            if time.monotonic() - last > PING_SECONDS:
                last = time.monotonic()
                yield ": the answer is being made\n\n"
    except UserError as error:
        yield f"data: {json.dumps(refused(error).body)}\n\n"
        return
    finally:
        job.abandon()
    if answer is None:
        return
    text, cut = stopped(content(answer), stops)
    for piece in re.findall(r"\S+\s*|\s+", text):
        yield chunk({"content": piece})
    yield chunk({"annotations": citations(answer, text)}, reason(answer, cut))
    if usage:
        last_one = {**head, "object": "chat.completion.chunk", "choices": [], "usage": spent(answer)}
        yield f"data: {json.dumps(last_one)}\n\n"
    yield "data: [DONE]\n\n"


def content(answer: Answer) -> str:
    """The answer as text: how it was understood, the answer with `[n]`, its sources, and the standing notice."""
    parts = [f"Understood as: {answer.understood}"] if answer.understood else []
    parts.append(answer.text)
    used = [one for one in answer.sources if one.used]
    if used:
        lines = [f"[{one.n}] {titled(one.title, one.question)} {one.institute} {one.url}" for one in used]
        parts.append("Sources:\n" + "\n".join(" ".join(line.split()) for line in lines))
    elif answer.status == "emergency" and answer.sources:
        parts.append("\n".join(f"{one.title} {one.url}".strip() for one in answer.sources))
    if answer.nearest:
        parts.append(f"Nearest topics: {'; '.join(answer.nearest)}")
    if answer.status == "abstained" and answer.notice != NO_QUESTION:
        parts.append(WHETHER_OR_NOT)
    return "\n\n".join([*parts, answer.disclaimer])


def citations(answer: Answer, text: str) -> list[dict[str, Any]]:
    """Each `[n]` of the answer's body as a citation of its source's address; `start_index:end_index` are characters."""
    pages = {one.n: one for one in answer.sources if one.used}
    body = text.partition("\n\nSources:\n")[0]
    found = []
    for mark in re.finditer(r"\[(\d+)\]", body):
        page = pages.get(int(mark.group(1)))
        if page is not None:
            cited = {"url": page.url, "title": page.title, "start_index": mark.start(), "end_index": mark.end()}
            found.append({"type": "url_citation", "url_citation": cited})
    return found


def stopped(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string, and whether there was one."""
    places = [at for one in stops if one and (at := text.find(one)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def reason(answer: Answer, cut: bool) -> str:
    """Why the text ends."""
    return "length" if answer.truncated and not cut else "stop"


def spent(answer: Answer) -> dict[str, int]:
    """Tokens that the model read and wrote; 0 where no model was asked."""
    read, written = answer.timings.prompt_tokens, answer.timings.new_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
