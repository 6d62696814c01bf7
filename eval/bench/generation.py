"""How fast a cited answer is written, against plain greedy `generate` on the same prompts in the same run.

    python -m eval bench generation -n 24

All write exactly TOKENS tokens (the end of text is held off), in turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry, errors

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from configs.schema import Profile
    from rag.generators.transformers import TransformersChat

TOKENS = 128
CHECKED = 6
"""Prompts on which speculative decoding is compared with decoding a token at a time on the same weights."""


def prompts(profile: Profile, folder: Path, n: int, seed: int = 0) -> list[list[BaseMessage]]:
    """Grounded prompts for `n` of the index's own questions that retrieval covers, as the pipeline makes them."""
    from rag import prompt
    from rag.pipeline import Pipeline

    pipeline = Pipeline.open(profile, folder, _models())
    rows = random.Random(seed).sample(range(len(pipeline.index.pairs)), min(len(pipeline.index.pairs), 4 * n))
    found: list[list[BaseMessage]] = []
    for row in rows:
        if len(found) == n:
            break
        question = pipeline.index.pairs[row].question
        retrieval = pipeline.retriever.retrieve(question)
        if retrieval.confidence >= profile.retriever.abstain_below:
            built = prompt.build(question, retrieval.hits, pipeline.generator.count_tokens, profile.prompt)
            found.append(built.messages)
    return found


def run(profile: Profile, messages: Sequence[list[BaseMessage]], n: int) -> dict[str, Any]:
    """Times to the first token and to TOKENS of them, both ways, their ratio, and how often the tokens agree.

    Plain is transformers' own loop over the profile's weights in precision "auto", without int8 copies; the first
    token's time is the generator's alone. `natural` is ours where the model may end when it likes.
    """
    from eval.metrics.shares import milliseconds
    from rag.generators.transformers import TransformersChat

    chat = TransformersChat.load(profile.generator, _models())
    plain = TransformersChat.load(profile.generator.model_copy(update={"precision": "auto"}), _models())
    chosen = list(messages)[:n]
    if not chosen:
        raise errors.UserError("generation: the index covers none of its own questions; run `make index`")
    _ours(chat, chosen[0], 4)
    _plain(plain, chosen[0], 4)
    ours, natural, reference, same = [], [], [], []
    for number, one in enumerate(chosen):
        reference.append(_plain(plain, one, TOKENS))
        ours.append(_ours(chat, one, TOKENS))
        natural.append(_ours(chat, one, TOKENS, forced=False))
        if number < CHECKED:
            same.append(_ours(chat, one, TOKENS, speculate=False)["ids"] == ours[-1]["ids"])
        print(f"  {number + 1} of {len(chosen)}", file=sys.stderr, flush=True)
    total = [sum(item["whole"] for item in way) for way in (reference, ours)]
    return {
        "prompts": len(chosen),
        "prompt_tokens_mean": round(statistics.fmean(len(chat.encode(one)) for one in chosen)),
        "new_tokens": TOKENS,
        "precision": profile.generator.precision,
        "plain_precision": str(plain.loaded.model.dtype).removeprefix("torch."),
        "first_token": milliseconds([item["first"] for item in ours]),
        "whole": milliseconds([item["whole"] for item in ours]),
        "plain_first_token": milliseconds([item["first"] for item in reference]),
        "plain_whole": milliseconds([item["whole"] for item in reference]),
        "times_faster_than_plain": round(total[0] / total[1], 2),
        "tokens_a_second": round(TOKENS * len(chosen) / total[1], 1),
        "tokens_a_step": round(TOKENS * len(chosen) / sum(item["steps"] + 1 for item in ours), 2),
        "draft_tokens_accepted": _share(ours),
        "same_tokens_without_drafting": round(sum(same) / len(same), 3),
        "same_tokens_as_plain": round(
            sum(a["ids"] == b["ids"] for a, b in zip(reference, ours, strict=True)) / len(chosen), 3
        ),
        "natural": {
            "whole": milliseconds([item["whole"] for item in natural]),
            "new_tokens_mean": round(statistics.fmean(len(item["ids"]) for item in natural)),
            "draft_tokens_accepted": _share(natural),
        },
    }


def _share(runs: Sequence[dict[str, Any]]) -> float:
    return round(sum(item["accepted"] for item in runs) / max(1, sum(item["drafted"] for item in runs)), 3)


def _ours(
    chat: TransformersChat, messages: list[BaseMessage], tokens: int, forced: bool = True, speculate: bool = True
) -> dict[str, Any]:
    from rag.generators.decoding import Counts, Sampling

    begun = time.perf_counter()
    first, made, counts = 0.0, [], Counts()
    ids = chat.encode(messages)
    for step in chat.loaded.decoder.run(
        ids,
        prefix=chat.loaded.template(True).head(messages, ids),
        limit=tokens,
        stops=chat.loaded.stops,
        sampling=Sampling(min_new_tokens=tokens if forced else 0),
        adapter=True,
        counts=counts,
        lookup=None if speculate else 0,
    ):
        first = first or time.perf_counter() - begun
        made += step
    return {"ids": made, "first": first, "whole": time.perf_counter() - begun} | vars(counts)


def _plain(chat: TransformersChat, messages: list[BaseMessage], tokens: int) -> dict[str, Any]:
    """transformers' own greedy loop; a stopping criterion that never stops notes when the first token came."""
    import torch

    loaded = chat.loaded
    begun = time.perf_counter()
    times: list[float] = []

    def note(ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        times.append(time.perf_counter() - begun)
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

    ids = torch.tensor([chat.encode(messages)], device=loaded.model.device)
    made = loaded.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        eos_token_id=sorted(loaded.stops),
        pad_token_id=min(loaded.stops),
        stopping_criteria=[note],
    )
    whole = time.perf_counter() - begun
    return {"ids": made[0, ids.shape[1] :].tolist(), "first": times[0], "whole": whole}


def _models() -> Path:
    return entry.data_folder() / "models"


def main() -> None:
    """Run this part alone."""
    import argparse
    import json

    parser = argparse.ArgumentParser(prog="python -m eval.bench.generation")
    parser.add_argument("-n", type=int, default=24, help="questions (default: 24)")
    entry.add_arguments(parser)
    args = parser.parse_args()
    profile = entry.load_for(args, adapter=True)
    print(json.dumps(run(profile, prompts(profile, entry.index_folder(), args.n), args.n), indent=2))


if __name__ == "__main__":
    errors.run(main)
