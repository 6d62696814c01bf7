"""Trained tokens a second (padding not counted), against a bare PyTorch LoRA loop on the same batches.

The examples are made as the recipe `grounded` says, from the corpus that is indexed. Rounds take turns, so that a busy
machine slows both alike.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.bench.machine import seconds

if TYPE_CHECKING:
    from configs.schema import Profile

ROUNDS = 3


def run(profile: Profile, folder: Path, n: int) -> dict[str, Any]:
    """Tokens a second of either over `n` steps, and their ratio in the same rounds."""
    import torch
    from datasets import Dataset, DatasetDict

    from configs.recipes import load_recipe
    from finetune import base
    from finetune.train import _labeled, _trainer
    from finetune.trainer import Collator, LengthGroupedSampler
    from rag.generators.loading import tokenizer_of
    from rag.generators.template import Template

    models, cuda = folder.parent / "models", torch.cuda.is_available()
    steps = [f"schedule.max_steps={n}", "schedule.checkpoints=1", "schedule.validation=1"]
    recipe, _ = base.adapted(load_recipe("grounded", steps), cuda)
    size = recipe.schedule.batch
    template = Template(tokenizer_of(profile.generator, models))
    columns = Dataset.from_dict(_columns(profile, folder, template, recipe, size * n))
    labeled = _labeled(columns, recipe.loss)
    order = list(LengthGroupedSampler(list(labeled["length"]), size, recipe.seed))
    batches = [[labeled[at] for at in order[start : start + size]] for start in range(0, len(order), size)]
    tokens = sum(columns["length"])
    tokenizer = template.tokenizer
    collate = Collator(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)

    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as scratch:
            model = base.load(profile.generator, recipe, models)
            parts = DatasetDict({"train": columns, "validation": columns.select([0])})
            trainer = _trainer(recipe, model, parts, template, Path(scratch), cuda)
            trainer.args.eval_strategy = trainer.args.save_strategy = "no"
            trainer.args.load_best_model_at_end = False
            ours = seconds(trainer.train)
        plain = base.load(profile.generator, recipe, models).to("cuda" if cuda else "cpu")
        rounds.append((ours, seconds(partial(_bare, plain, batches, collate))))
    return {
        "examples": len(columns),
        "tokens": tokens,
        "precision": str(next(model.parameters()).dtype).removeprefix("torch."),
        "tokens_a_second": round(tokens / statistics.median(ours for ours, _ in rounds), 1),
        "bare_tokens_a_second": round(tokens / statistics.median(bare for _, bare in rounds), 1),
        "ratio_to_bare": round(statistics.median(bare / ours for ours, bare in rounds), 3),
    }


def _bare(model: Any, batches: list[list[dict[str, Any]]], collate: Any) -> None:
    """A plain loop: forward, loss on the learnt tokens' positions alone, backward, AdamW."""
    import torch
    from torch.nn.functional import cross_entropy

    inner = model.get_base_model()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    model.train()
    for rows in batches:
        batch = {name: value.to(model.device) for name, value in collate(rows).items()}
        labels = batch["labels"][:, 1:]
        read = inner.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
        hidden = read.last_hidden_state[:, :-1]
        cross_entropy(inner.lm_head(hidden[labels != -100]).float(), labels[labels != -100]).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def _columns(profile: Profile, folder: Path, template: Any, recipe: Any, count: int) -> dict[str, list[Any]]:
    """Examples of the recipe's kinds from the index's pairs, in its proportions."""
    from finetune import data
    from finetune.corpus import PassagesOfPairs
    from index.splits import make
    from rag.pipeline import Pipeline

    pipeline = Pipeline.open(profile, folder, folder.parent / "models")
    pairs, retriever = pipeline.index.pairs, PassagesOfPairs(pipeline.retriever)
    splits = make(pairs, pipeline.index.manifest.corpus_digest)
    made = data.make(pairs, splits, "train", recipe.data, template, retriever, limit=2 * count)[0][:count]
    return data.as_columns(made) | {"length": [one.tokens for one in made]}
