"""One web server: the chat at `/` with its other pages, the APIs under `/api` and `/v1`, and what all are kept from.

Nothing is fetched from elsewhere: the content security policy forbids it even if a page tried.
"""

from __future__ import annotations

import socket
import warnings
from pathlib import Path
from typing import Any

from configs.errors import UserError

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio's page starts from inline scripts and compiles its HTML templates in the browser.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
CLOSED = (
    "/gradio_api/upload",
    "/gradio_api/proxy=",
    "/gradio_api/file",
    "/gradio_api/deep_link",
    "/gradio_api/call",
    "/gradio_api/api",
    "/gradio_api/info",
    "/gradio_api/openapi",
    "/gradio_api/component_server",
    "/gradio_api/mcp",
    "/monitoring",
    "/login",
    "/logout",
)
"""Doors that Gradio opens by itself and the page does not use."""

MAX_BODY = 1_048_576
"""Bytes of a request: ten times the longest question, in JSON."""


class Gate:
    """ASGI middleware: closed paths, a limit on what is read, and headers on what is sent."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Handle one connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"].startswith(CLOSED):
            await refuse(send, 404, "no such address")
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            await refuse(send, 413, "the request is too large")
            return
        read = 0

        async def limited() -> Any:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            return {"type": "http.disconnect"} if read > MAX_BODY else message

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                # A page may bring a policy of its own; the report's is stricter than the chat's.
                named = {name.lower() for name, _ in given}
                message = {**message, "headers": [*given, *(pair for pair in HEADERS if pair[0] not in named)]}
            await send(message)

        await self.app(scope, limited, with_headers)


async def refuse(send: Any, status: int, words: str) -> None:
    """Answer with one line of JSON."""
    body = b'{"detail": "%s"}' % words.encode()
    headers = [(b"content-type", b"application/json"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises UserError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        if error.errno == 98 or "in use" in str(error):
            raise UserError(
                f"port {port} on {host} is in use; stop the other program or choose another: --port {port + 1}"
            ) from None
        raise UserError(f"cannot listen on {host} port {port}: {error.strerror or error}; check --host") from None
    return sock


def create(
    engine: Any, history: Any, secret: str, *, local: bool = True, latest: Path | None = None, **page: Any
) -> Any:
    """The ASGI application. `local`: answer only to names of this machine, so that no web page can reach it.

    `latest` is the folder with this machine's newest evaluation report; `page` goes to `chat.build`.
    """
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from app import api, chat, compare, metrics, openai, report

    # The interactive documentation pages would load scripts from elsewhere.
    app = FastAPI(title="medcite", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    api.install(app, engine)
    openai.install(app, engine)
    metrics.install(app, engine)
    report.install(app, latest)
    blocks = chat.build(engine, history, secret, **page)
    compare.add(blocks, engine)
    blocks.queue(default_concurrency_limit=None, max_size=64, api_open=False)
    with warnings.catch_warnings():
        # Gradio says that several pages are not rendered on the server, which `page_options` asks for anyway.
        warnings.filterwarnings("ignore", message="SSR mode is not supported with multi-page apps")
        app = gr.mount_gradio_app(app, blocks, path="/", **chat.page_options(engine.corpus))
    app.add_middleware(Gate)
    if local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "::1", "[::1]"])
    return app


def serve(app: Any, sock: socket.socket) -> None:
    """Serve until interrupted."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none")
    uvicorn.Server(config).run(sockets=[sock])
