"""Questions in people's words in an evaluation run: what the report opens with.

    found = asked(run, modes, data)   ->   {"people": {...}, "swaps": {...}, "experts": {...}}

The same measures as `medcite eval people`, `swaps` and `experts`, over the run's pipeline. A part is left out where its
data are not there: the labeled questions are for MedQuAD, the experts' summaries are MEDIQA-2021's.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import files
from configs.modes import Mode
from eval import experts, people, swaps
from eval.datasets.experts import FILE
from eval.datasets.people import page_of
from eval.datasets.people import people as labeled

if TYPE_CHECKING:
    from eval.generation.predict import Run
    from rag.pipeline import Pipeline

SWAPPED = 40
"""Questions whose answers are made again with one thing changed."""
FORMAT = 1
"""Part of the names under which figures are kept. Raise it when the same questions are measured otherwise."""
EXPERTS = "mediqa2021"
"""The folder of the experts' summaries, beside the judged sets."""


def asked(run: Run, modes: Sequence[Mode], data: Path | None) -> dict[str, Any]:
    """Figures by part and mode; `data` holds `mediqa2021/`."""
    found: dict[str, Any] = {}
    reading = [mode for mode in people.MODES if mode in modes]
    known = {page_of(pair.id) for pair in run.pipeline.index.pairs}
    questions = labeled("test")[: run.setup.n]
    if reading and any(page in known for one in questions for page in one.pages):
        below = run.profile.retriever.abstain_below

        labels = [(one.id, one.question, sorted(one.pages), sorted(one.pairs)) for one in questions]
        key = files.digest(f"{FORMAT} {below} {labels}")[:12]

        def figures(mode: Mode) -> Any:
            return run.kept(
                f"people-{mode}-{key}.json",
                lambda pipeline: people.figures(people.measure(pipeline, questions, mode, below)),
            )

        found["people"] = {"n": len(questions), "systems": {mode: figures(mode) for mode in reading}}
        covered = [one.question for one in questions if one.covered]
        drawn = random.Random(0).sample(covered, min(SWAPPED, run.setup.n // 10, len(covered)))

        def changes(mode: Mode) -> Any:
            return run.kept(
                f"swaps-{mode}-{key}.json",
                lambda pipeline: swaps.figures(swaps.measure(swaps.Writer(pipeline, mode, below), drawn)),
            )

        writing = [mode for mode in swaps.MODES if mode in modes]
        if len(drawn) > 1:
            found["swaps"] = {"n": len(drawn), "systems": {mode: changes(mode) for mode in writing}}
    folder = data / EXPERTS if data else None
    if folder and (folder / FILE).is_file():
        found["experts"] = _experts(run, folder, modes)
    return found


def _experts(run: Run, folder: Path, modes: Sequence[Mode]) -> dict[str, Any]:
    """What is quoted and what is written, against the experts' summaries."""
    summaries = experts.read(folder)
    embedder = run.pipeline.retriever.embedder
    texts = experts.quoted(summaries, embedder, run.profile.passages.max_tokens)

    def written(pipeline: Pipeline) -> list[str]:
        return experts.written(summaries, embedder, run.profile, pipeline.generator)

    if "finetuned+rag" in modes:
        texts[experts.WRITTEN] = run.kept(f"experts-finetuned+rag-{files.digest(repr(summaries))[:12]}.json", written)
    return {"n": len(summaries), "systems": experts.figures(summaries, texts)}
