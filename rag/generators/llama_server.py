"""llama.cpp's server inside this process: one model, some slots, answers as they are made.

    engine = Engine(Path("model.gguf"), Path("lora.gguf"), context_tokens=2048, slots=4, threads=2)
    for event in engine.complete({"prompt": ids, "n_predict": 64}, adapter=True): ...

Slots that are answered at once share each pass through the model. The package opens a port on the loopback for its
own HTTP interface; it asks for a key that nobody has.
"""

from __future__ import annotations

import atexit
import os
import secrets
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from configs.errors import UserError
from rag.generators import running
from rag.generators.chat import NGRAM

BATCH = 256
"""Tokens of prompts read in one pass: between two passes the answers that are being written go on."""
SILENT = -1
"""No level of llama.cpp's log is this low."""
_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()


class Engine:
    """A loaded model. Thread-safe; `close` ends what runs and frees the memory."""

    def __init__(
        self, model: Path, adapter: Path | None, *, context_tokens: int, slots: int, threads: int, lookup: int = 0
    ) -> None:
        """`context_tokens` are a slot's own; `threads` are cut to the number of cores; `lookup` is how many tokens a
        pass speculates from the prompt (0: none).

        Raises UserError where xllamacpp is missing, and where llama.cpp cannot open a file.
        """
        xllamacpp = _package()
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        if adapter:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        params.n_ctx = slots * context_tokens
        params.n_parallel = slots
        params.fit_params = False  # it would shorten the window where memory is short
        params.n_batch = params.n_ubatch = BATCH
        for cpu in (params.cpuparams, params.cpuparams_batch):
            cpu.n_threads = max(1, min(threads, os.cpu_count() or 1))
            cpu.poll = 0  # for builds without OpenMP; the others: `_package`
        if lookup:
            guess = params.speculative
            guess.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
            guess.ngram_simple.size_n, guess.ngram_simple.size_m = NGRAM, lookup
            params.speculative = guess
        # Prompts put aside in memory are found again by their tokens alone, whichever adapter read them.
        params.cache_ram_mib = 0
        params.cache_idle_slots = False
        params.warmup = False
        params.verbosity = SILENT
        params.ui = params.endpoint_slots = False
        params.n_threads_http = 1
        params.api_keys = [secrets.token_urlsafe(32)]
        self.has_adapter = adapter is not None
        self._running: set[_Run] = set()
        try:
            self._server: Any = xllamacpp.Server(params)
        except (RuntimeError, ValueError) as error:
            files = f"{model} and {adapter}" if adapter else f"{model}"
            raise UserError(
                f"llama.cpp cannot open {files} ({error}); delete what is damaged, and it is made again"
            ) from None
        # A server taken down before its loop has begun waits for it forever: the first answer shows that it has.
        for _ in self.complete({"prompt": [0], "n_predict": 1}, adapter=False):
            pass
        _ENGINES.add(self)

    @property
    def busy(self) -> int:
        """How many answers are being written."""
        return len(self._running)

    def complete(self, request: dict[str, Any], adapter: bool) -> Iterator[dict[str, Any]]:
        """The events of a streamed completion (`/v1/completions`), the last with "usage"; closing it stops the model.

        The model does not wait for the reader. Answers with and without the adapter share no pass: where both are asked
        for, one kind waits until those of the other have ended. Raises UserError for what llama.cpp refuses.
        """
        request = {**request, "stream": True}
        if self.has_adapter:  # always said: a request that says nothing would keep the cache of the other
            request["lora"] = [{"id": 0, "scale": 1.0 if adapter else 0.0}]
        with closing(running.pieces(_Run(self._server, request, self._running))) as events:
            for event in events:
                if "choices" not in event:
                    error = event.get("error") or event
                    raise UserError(f"llama.cpp refused the request: {error.get('message') or error}")
                yield event

    def close(self) -> None:
        """Stop what runs, and give the memory back."""
        running.end(self._running)
        self._server = None


def _package() -> Any:
    """xllamacpp, with threads that sleep while they wait for each other.

    They spin otherwise: beside two busy programs on two cores 293 tokens and 16 new ones took 35 s, so 2.2 s (one run
    each). OpenMP reads the variable once, when it is loaded, and torch's own is taken where it was loaded before.
    """
    os.putenv("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        lacks = "libgomp" in str(error)
        do = (
            "install GCC's OpenMP library (Debian, Ubuntu: apt install libgomp1)"
            if lacks
            else "run: pip install xllamacpp"
        )
        raise UserError(f"generator.backend=llamacpp needs the package xllamacpp ({error}); {do}") from None
    finally:
        os.unsetenv("OMP_WAIT_POLICY")
    return xllamacpp


class _Run(running.Run):
    """One completion. llama.cpp calls back with each event and is told there whether to go on."""

    def __init__(self, server: Any, request: dict[str, Any], beside: set[_Run]) -> None:
        super().__init__("medcite-llamacpp")
        self.server: Any = server
        self.request = request
        self.beside = beside
        beside.add(self)

    def write(self) -> None:
        try:
            self.server.handle_completions(self.request, self._hear)
        finally:
            self.server = None
            self.beside.discard(self)

    def _hear(self, event: dict[str, Any]) -> bool:
        self.given.put(event)
        return self.stopped.is_set()


def _leave() -> None:
    """At the end of the process a model that is still loaded would crash it; runs of others: `running.py`."""
    for engine in list(_ENGINES):
        engine.close()


atexit.register(_leave)
