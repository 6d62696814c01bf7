"""How the program is, for those that watch it: `/healthz`, `/readyz`, and `/metrics` in Prometheus' text format.

curl -s localhost:7860/metrics
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.engine import Engine
from rag.answer import Answer

SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 60, 120)
"""Upper ends of the histograms' buckets."""


class Metrics:
    """Counts of an engine's answers, in a registry of its own."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        labels = ("mode", "status")
        self.answers = Counter("medcite_answers", "Answers that were finished.", labels, registry=self.registry)
        self.failed = Counter("medcite_failures", "Questions whose answer broke off.", registry=self.registry)
        self.seconds = Histogram(
            "medcite_answer_seconds", "From a question's turn to its whole answer.", ("mode",),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.first = Histogram(
            "medcite_first_token_seconds", "From a question's turn to its first words.", ("mode",),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.tokens = Counter("medcite_tokens", "Tokens by kind.", ("kind",), registry=self.registry)
        Gauge("medcite_waiting", "Questions that wait for their turn.", registry=self.registry).set_function(
            lambda: engine.waiting
        )
        Gauge("medcite_ready", "1 while questions are answered.", registry=self.registry).set_function(
            lambda: float(engine.state == "ready")
        )
        engine.answered = self.note

    def note(self, answer: Answer | None) -> None:
        """Count a question that is done; None where no whole answer came of it."""
        if answer is None:
            self.failed.inc()
            return
        self.answers.labels(answer.mode, answer.status).inc()
        self.seconds.labels(answer.mode).observe(answer.timings.total_ms / 1000)
        if answer.timings.first_token_ms:
            self.first.labels(answer.mode).observe(answer.timings.first_token_ms / 1000)
        self.tokens.labels("prompt").inc(answer.timings.prompt_tokens)
        self.tokens.labels("completion").inc(answer.timings.new_tokens)


def install(app: FastAPI, engine: Engine) -> None:
    """Add the three addresses."""
    metrics = Metrics(engine)

    @app.get("/healthz", include_in_schema=False)
    def alive() -> Any:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    def ready() -> Any:
        state = engine.state
        return JSONResponse({"status": state, "detail": engine.detail}, 200 if state == "ready" else 503)

    @app.get("/metrics", include_in_schema=False)
    def counted() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
