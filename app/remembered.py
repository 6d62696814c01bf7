"""Answers that were given before, for a question that is asked again in the same way."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from rag.answer import Answer

MOST = 256
"""Answers that are kept in memory, the last ones asked for; some 10 kB each."""


class Remembered:
    """Whole answers by all that decides them. Only what is the same each time is kept: nothing drawn by chance, and
    nothing of an index that still grows."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def key(self, pipeline: Any, question: str, options: Mapping[str, Any]) -> str:
        """What decides an answer: question, options, profile and index; empty where it is not to be kept."""
        profile = pipeline.profile
        temperature = options.get("temperature")
        if temperature is None:
            temperature = getattr(getattr(profile, "generator", None), "temperature", 0)
        if temperature or pipeline.growing:
            return ""
        settings = profile.model_dump(mode="json") if hasattr(profile, "model_dump") else repr(profile)
        manifest = pipeline.index.manifest
        index = [getattr(manifest, name, "") for name in ("corpus_digest", "config_hash")]
        return json.dumps([" ".join(question.split()), options, settings, index], sort_keys=True, default=str)

    def get(self, key: str) -> Answer | None:
        """The answer that was kept under a key, without its times."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: str, answer: Answer) -> None:
        """Keep a whole answer; the one that was not asked for longest goes."""
        if key and answer.complete:
            self._answers[key] = answer.model_copy(update={"timings": answer.timings.model_copy(update=_NO_TIME)})
            self._answers.move_to_end(key)
            while len(self._answers) > MOST:
                self._answers.popitem(last=False)


_NO_TIME = dict.fromkeys(("retrieve_ms", "first_token_ms", "total_ms"), 0.0)
