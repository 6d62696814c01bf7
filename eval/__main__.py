"""Measure: `python -m eval [run]`, and the other commands of COMMANDS."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from configs import entry
from configs.errors import UserError, run

COMMANDS = {
    "run": ("eval.run", "compare the modes on held-out questions and write a report (the default)"),
    "retrieval": ("eval.retrieval.judged_sets", "is the right answer first? judged sets and the index's own questions"),
    "people": ("eval.people", "questions as people ask them: right page, right answer, declined"),
    "dialogues": ("eval.dialogues", "follow-ups: the right question made of them, nothing taken over wrongly"),
    "swaps": ("eval.swaps", "whether an answer hangs on headings, order or wording"),
    "adapters": ("eval.adapters", "adapters beside one another on people's questions"),
    "experts": ("eval.experts", "what is quoted, against expert summaries of the same answers"),
    "coverage": ("eval.abstention.covered", "shares of covered and uncovered questions that are answered"),
    "attribution": ("eval.attribution", "how well attribution tells what its sources say"),
    "citations": ("eval.checker.trust", "how far the checker of citations can itself be trusted"),
    "calibrate reranker": ("eval.calibration.reranker", "train the re-ranker and the decision whether to answer"),
    "calibrate citations": ("eval.calibration.citations", "fit the checker of citations"),
    "calibrate emergency": ("eval.calibration.emergency", "fit the second look for emergencies"),
    "calibrate kinds": ("eval.calibration.kinds", "learn what kind of thing a sentence speaks of"),
    "calibrate sentences": ("eval.calibration.sentences", "fit what a sentence is worth as an answer"),
    "calibrate digest": ("eval.calibration.digest", "fit the long form of quoting on expert summaries"),
    "compare": ("eval.compare", "what changed between two runs"),
    "bench": ("eval.bench.run", "measure speed"),
}
"""Each command's module, which has `add_arguments(parser)` and `main(args)`, and what it does."""
JUDGED = ("mediqa2019", "liveqa-med")


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """The command that the words begin with, and the rest. No command means `run`."""
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in COMMANDS:
            return name, words[count:]
    if words and not words[0].startswith("-"):
        known = ", ".join(COMMANDS)
        raise UserError(f"unknown command {' '.join(words[:2])!r}; there are: {known}")
    return "run", words


def parser(name: str, environment: dict[str, str]) -> argparse.ArgumentParser:
    """The parser of a command; MEDQUAD of the environment says where the judged sets are."""
    module, what = COMMANDS[name]
    others = ", ".join(COMMANDS)
    result = argparse.ArgumentParser(
        prog=entry.prog("eval" if name == "run" else f"eval {name}"),
        description=what[0].upper() + what[1:] + ".",
        epilog=f"commands: {others}",
    )
    import_module(module).add_arguments(result)
    medquad = environment.get("MEDQUAD")
    if medquad:
        beside = Path(medquad).parent
        found = any((beside / folder).is_dir() for folder in JUDGED)
        result.set_defaults(medquad=Path(medquad), judged=beside if found else None, data=beside)
    return result


def main() -> int:
    """Run one command."""
    name, words = command_of(sys.argv[1:])
    args = parser(name, dict(os.environ)).parse_args(words)
    code: int = import_module(COMMANDS[name][0]).main(args)
    return code


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    run(main)
