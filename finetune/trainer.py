"""TRL's trainer at the hardware's speed: the loss of completion tokens only, and nothing computed for the others.

TRL's own loss builds log-probabilities and their entropy over the vocabulary; here the head runs on the positions
whose next token is a completion's, which are a quarter of a grounded example. Batches are of like length, in an order
that the seed and the epoch decide alone, so that a resumed run and one on several devices see the same batches.
"""

from __future__ import annotations

import math
import random
import types
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler
from transformers.modeling_outputs import CausalLMOutput
from trl import SFTTrainer

IGNORED = -100
"""Label of a token that is not learnt, as in transformers."""
BUCKET = 32
"""Batches whose examples are sorted by length together: enough to leave little padding, few enough to stay mixed."""


def learn_completions(model: Any) -> None:
    """Give a causal language model a `learn` argument: labels of shape (rows, positions), `IGNORED` where not learnt.

    `forward(..., learn=labels)` returns the summed cross-entropy of the next tokens as `loss`, and no logits; with
    `weights`, of the labels' shape, each token's counts so many times (`plain_loss` is then the sum without them).
    Without it the model's own forward runs. Works under PEFT and DDP, which pass arguments through.
    """
    plain = model.forward

    def forward(
        self: Any, *args: Any, learn: torch.Tensor | None = None, weights: torch.Tensor | None = None, **kwargs: Any
    ) -> Any:
        if learn is None:
            return plain(*args, **kwargs)
        kwargs.pop("return_dict", None)
        hidden = self.model(*args, **kwargs, use_cache=False).last_hidden_state
        kept = learn[:, 1:] != IGNORED
        logits = self.lm_head(hidden[:, :-1][kept]).float()
        losses = cross_entropy(logits, learn[:, 1:][kept], reduction="none")
        if weights is None:
            return CausalLMOutput(loss=losses.sum())
        weighted = CausalLMOutput(loss=(losses * weights[:, 1:][kept]).sum())
        weighted["plain_loss"] = losses.sum().detach()
        return weighted

    model.forward = types.MethodType(forward, model)


class Collator:
    """Examples to a batch, padded on the right; padding is known by the mask, never by its token.

    TinyLlama's padding token is its end token: masked by its id, the model would never learn to stop.
    """

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask` and `labels`, each int64 of shape (rows, longest); `weights` where given."""
        longest = max(len(row["input_ids"]) for row in rows)
        batch: dict[str, list[list[Any]]] = {"input_ids": [], "attention_mask": [], "labels": []}
        if "weights" in rows[0]:
            batch["weights"] = [list(row["weights"]) + [0.0] * (longest - len(row["weights"])) for row in rows]
        for row in rows:
            ids, room = list(row["input_ids"]), longest - len(row["input_ids"])
            batch["input_ids"].append(ids + [self.pad] * room)
            batch["attention_mask"].append([1] * len(ids) + [0] * room)
            batch["labels"].append(list(row["labels"]) + [IGNORED] * room)
        return {name: torch.tensor(values) for name, values in batch.items()}


class PackingCollator:
    """Examples one after the other in a single row; each sees only itself.

    Positions begin anew with each example, and no attention mask is given: transformers then makes a
    block-diagonal one from the positions (a test checks that packed examples do not see each other).
    """

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """`input_ids`, `position_ids` and `labels`, each int64 of shape (1, sum of lengths); `weights` where given."""
        ids: list[int] = []
        positions: list[int] = []
        labels: list[int] = []
        for row in rows:
            ids += row["input_ids"]
            positions += range(len(row["input_ids"]))
            labels += [IGNORED, *row["labels"][1:]]  # nothing before it predicts an example's first token
        batch = {
            "input_ids": torch.tensor([ids]),
            "position_ids": torch.tensor([positions]),
            "labels": torch.tensor([labels]),
        }
        if "weights" in rows[0]:
            batch["weights"] = torch.tensor([[weight for row in rows for weight in row["weights"]]])
        return batch


class LengthGroupedSampler(Sampler[int]):
    """Row numbers in an order in which neighbours, `batch` at a time, are about as long."""

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths = list(lengths)
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer; the order is a function of seed and epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        dice = random.Random(f"{self.seed} {self.epoch}")
        rows = list(range(len(self.lengths)))
        dice.shuffle(rows)
        size = self.batch * BUCKET
        batches: list[list[int]] = []
        for start in range(0, len(rows), size):
            bucket = sorted(rows[start : start + size], key=lambda row: -self.lengths[row])
            batches += [bucket[at : at + self.batch] for at in range(0, len(bucket), self.batch)]
        # A short batch in the middle would shift all that follow.
        last = [batches.pop()] if batches and len(batches[-1]) < self.batch else []
        dice.shuffle(batches)
        for chosen in batches + last:
            yield from chosen


class CompletionTrainer(SFTTrainer):
    """`SFTTrainer` over rows of `input_ids` and `labels`; `seen` counts trained tokens, padding not among them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        learn_completions(self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model)
        self.model_accepts_loss_kwargs: bool = True  # the loss below is divided by the tokens of the whole step
        for parameter in self.model.parameters():
            if parameter.requires_grad:  # over a quantized base TRL makes them bf16, which rounds small steps away
                parameter.data = parameter.data.float()
        self.seen = 0

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return LengthGroupedSampler(list(rows["length"]), self.args.per_device_train_batch_size, self.args.seed)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Summed cross-entropy, weighted where the rows say so, by the number of the step's completion tokens.

        The step is every accumulated batch on every device.
        """
        labels = inputs["labels"]
        given = {name: value for name, value in inputs.items() if name != "labels"}
        outputs = model(**given, learn=labels)
        count = (labels[:, 1:] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        loss = outputs.loss / torch.as_tensor(count).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP averages over devices
        if model.training:
            mask = inputs.get("attention_mask")
            own = int(labels.numel() if mask is None else mask.sum())
            self.seen += own * self.accelerator.num_processes  # the others' batches are about as long
        return (loss, outputs) if return_outputs else loss

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Cross-entropy and perplexity a completion token of the validation rows, and the loss of each kind of example.

        `objective` is the loss that is trained: the weights in it. The best checkpoint is chosen by it.
        """
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        self.model.eval()
        losses: dict[str, tuple[float, float, float]] = {}
        for kind in sorted(set(rows["kind"])):
            chosen = [at for at, found in enumerate(rows["kind"]) if found == kind]
            losses[kind] = self._summed(rows.select(sorted(chosen, key=lambda at: rows["length"][at])))
        tokens = max(1.0, sum(count for _, count, _ in losses.values()))
        total = sum(loss for loss, _, _ in losses.values()) / tokens
        metrics = {f"{metric_key_prefix}_loss": total, f"{metric_key_prefix}_perplexity": math.exp(min(total, 50))}
        metrics |= {f"{metric_key_prefix}_{kind}": loss / max(1.0, count) for kind, (loss, count, _) in losses.items()}
        metrics[f"{metric_key_prefix}_objective"] = sum(weighted for _, _, weighted in losses.values()) / tokens
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _summed(self, rows: Any) -> tuple[float, float, float]:
        """Summed loss, completion tokens, and the loss with its weights, over `rows`, on every process."""
        total = torch.zeros(3, dtype=torch.float64, device=self.args.device)
        first, step, size = (
            self.accelerator.process_index,
            self.accelerator.num_processes,
            self.args.per_device_eval_batch_size,
        )
        mine = list(range(first, len(rows), step))  # accelerate's own shards repeat rows to come out even
        for at in range(0, len(mine), size):
            inputs = self._prepare_inputs(self.data_collator([rows[row] for row in mine[at : at + size]]))
            labels = inputs.pop("labels")
            with torch.no_grad(), self.compute_loss_context_manager():
                found = self.model(**inputs, learn=labels)
            count = (labels[:, 1:] != IGNORED).sum()
            plain = found.get("plain_loss", found.loss)
            total += torch.stack([plain.double(), count.double(), found.loss.double()])
        summed = self.accelerator.reduce(total, "sum")
        return float(summed[0]), float(summed[1]), float(summed[2])
