"""One training run: base model, recipe and examples to an adapter, resumable at any moment.

    adapter = train(profile, recipe, examples, run_folder, adapter_folder, provenance)

The run folder holds checkpoints, the recipe and the loss curve (CSV and PNG); the adapter folder is written aside and
renamed when the run is done.
"""

from __future__ import annotations

import datetime
import errno
import json
import math
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import files
from configs.errors import UserError
from configs.recipes import Loss, Recipe
from configs.schema import Profile
from finetune import base, curve
from finetune.store import publish
from index.memory import keep_freed

if TYPE_CHECKING:
    from datasets import DatasetDict

    from rag.generators.template import Template

OPTIMIZERS = {
    "adamw": "adamw_torch",
    "adamw_8bit": "adamw_8bit",
    "paged_adamw": "paged_adamw_32bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
    "adafactor": "adafactor",
}
"""The recipes' names to those of transformers."""
LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")
COMPLETE = "complete"
"""A file in every checkpoint that was written whole; one without it is not resumed from."""
LOG_SECONDS = 15.0


class RecipeFailed(UserError):
    """The recipe cannot be trained here as it is: its loss is not a number, or it takes too much memory."""


def train(
    profile: Profile,
    recipe: Recipe,
    examples: DatasetDict,
    template: Template,
    work: Path,
    out: Path,
    models: Path,
    provenance: dict[str, Any],
    start: Path | None = None,
) -> dict[str, Any]:
    """Train, or resume an interrupted run of the same recipe and examples; return the manifest.

    `work` keeps checkpoints and the loss curve, `out` becomes the adapter's folder, `start` is an adapter whose
    weights the run begins with.
    Raises UserError for a full disk, too little memory, a loss that is not a number, or a run folder of another run.
    """
    import torch
    import transformers
    from accelerate import PartialState

    cuda = torch.cuda.is_available()
    if not cuda:
        keep_freed()
    asked = recipe
    recipe, notes = base.adapted(recipe, cuda)
    for note in notes:
        _say(f"recipe {recipe.name}: {note}")
    transformers.set_seed(recipe.seed)
    with _mended(work):
        _claim(work, asked, {**provenance, "stand_ins": notes, "processes": PartialState().num_processes})
        _forget_peak(cuda)
        model = base.load(profile.generator, recipe, models)
        if start:
            base.begin_with(model, start)
        trainer = _trainer(recipe, model, examples, template, work, cuda)
        begun = time.monotonic()
        checkpoint = last_checkpoint(work)
        if checkpoint:
            _say(f"going on from {checkpoint.name.replace('-', ' ')}")
        if not (checkpoint and _restored(trainer, model, checkpoint)):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if not trainer.is_world_process_zero():
            return {}
        history = trainer.state.log_history
        curve.write(history, work)
        manifest = {
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "base_model": profile.generator.model,
            "gguf_file": profile.generator.gguf_file,
            "profile": profile.name,
            "recipe": asked.model_dump(mode="json"),
            "stand_ins": notes,
            **provenance,
            "trained": _trained(trainer, model, history, time.monotonic() - begun, cuda),
            "machine": _machine(cuda),
            "versions": {name: version(name) for name in LIBRARIES},
        }
        publish(model, template, asked, manifest, work, out)
    return manifest


def _trainer(recipe: Recipe, model: Any, examples: DatasetDict, template: Template, work: Path, cuda: bool) -> Any:
    from accelerate import PartialState
    from transformers import EarlyStoppingCallback
    from trl import SFTConfig

    from finetune.trainer import Collator, CompletionTrainer, PackingCollator

    schedule, optimizer = recipe.schedule, recipe.optimizer
    rows = {name: _labeled(examples[name], recipe.loss) for name in ("train", "validation")}
    a_step = schedule.batch * schedule.accumulation * PartialState().num_processes
    steps = schedule.max_steps or max(1, round(schedule.epochs * len(rows["train"]) / a_step))
    every = max(1, steps // schedule.checkpoints)
    half = recipe.weights.precision == "fp16"
    arguments = SFTConfig(
        output_dir=str(work / "checkpoints"),
        per_device_train_batch_size=schedule.batch,
        per_device_eval_batch_size=schedule.batch,
        gradient_accumulation_steps=schedule.accumulation,
        num_train_epochs=schedule.epochs,
        max_steps=schedule.max_steps or -1,
        optim=OPTIMIZERS[optimizer.name],
        learning_rate=optimizer.learning_rate,
        lr_scheduler_type=optimizer.schedule,
        warmup_steps=optimizer.warmup_steps or optimizer.warmup_ratio,
        weight_decay=optimizer.weight_decay,
        max_grad_norm=optimizer.max_grad_norm,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_objective",
        greater_is_better=False,
        logging_steps=1,
        seed=recipe.seed,
        data_seed=recipe.seed,
        gradient_checkpointing=schedule.gradient_checkpointing,
        bf16=False,  # the base is loaded in its precision, adapters stay fp32: autocast would only copy
        fp16=cuda and half,
        max_length=None,
        loss_type="nll",
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        report_to="none",
        disable_tqdm=True,
        use_cpu=not cuda,
        log_level="error",
        logging_nan_inf_filter=False,  # it would show a loss that is not a number as 0
        restore_callback_states_from_checkpoint=True,
    )
    if arguments.n_gpu > 1:
        _say(f"one of {arguments.n_gpu} GPUs is used; for all: accelerate launch --num_processes {arguments.n_gpu} ...")
        arguments._n_gpu = 1
    tokenizer = template.tokenizer
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    trainer = CompletionTrainer(
        model=model,
        args=arguments,
        data_collator=PackingCollator() if schedule.packing else Collator(pad),
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        processing_class=tokenizer,
    )
    trainer.pop_callback(_printer())
    trainer.add_callback(_watcher(work, trainer))
    if schedule.patience:
        trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=schedule.patience))
    return trainer


def _labeled(rows: Any, loss: Loss) -> Any:
    """Rows as the trainer takes them: `input_ids`, `labels` (the prompt's tokens ignored), `length` and `kind`.

    Where the recipe weighs the decision, also `weights`, one a token.
    """
    from finetune.trainer import IGNORED

    def label(row: dict[str, Any]) -> dict[str, Any]:
        prompt, completion = row["prompt_ids"], row["completion_ids"]
        found = {"input_ids": prompt + completion, "labels": [IGNORED] * len(prompt) + completion}
        if loss.decision > 1:
            first = loss.decision_tokens if row["kind"] != "closed" else 0
            weights = [loss.decision if at < first else 1.0 for at in range(len(completion))]
            found["weights"] = [0.0] * len(prompt) + weights
        return found

    kept = {"kind", "length"}
    return rows.map(label, remove_columns=[name for name in rows.column_names if name not in kept])


def last_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint that was written whole; those that were not are removed."""
    found: list[tuple[int, Path]] = []
    for folder in (work / "checkpoints").glob("checkpoint-*"):
        if (folder / COMPLETE).exists():
            found.append((int(folder.name.rpartition("-")[2]), folder))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return max(found)[1] if found else None


def _restored(trainer: Any, model: Any, checkpoint: Path) -> bool:
    """Whether the run had ended by then; if so its best weights and its history are taken, and no step is added."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers.trainer_callback import TrainerState

    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    control = state.stateful_callbacks.get("TrainerControl", {})
    stopped = isinstance(control, dict) and control.get("args", {}).get("should_training_stop")
    if state.global_step < state.max_steps and not stopped:
        return False
    best = checkpoint.with_name(Path(state.best_model_checkpoint or checkpoint).name)
    set_peft_model_state_dict(model, load_file(str(best / "adapter_model.safetensors")))
    trainer.state = state
    return True


def _claim(work: Path, recipe: Recipe, provenance: dict[str, Any]) -> None:
    """Write what this run is into its folder, or refuse a folder that another run, or other hardware, began."""
    decisive = ("examples", "splits", "stand_ins", "processes", "continues")
    identity = {"recipe": recipe.model_dump(mode="json"), **{name: provenance.get(name) for name in decisive}}
    path = work / "run.json"
    work.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if json.loads(path.read_text("utf-8")) != identity:
            raise UserError(
                f"{work}: a run of another recipe, other examples or other hardware; delete it or give another --name"
            )
        return
    files.write_json(path, identity)


def _printer() -> Any:
    from transformers import PrinterCallback

    return PrinterCallback


def _watcher(work: Path, trainer: Any) -> Any:
    """A callback that shows progress, keeps the curve, marks whole checkpoints, and stops at a NaN loss."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        def __init__(self) -> None:
            self.last = self.begun = time.monotonic()
            self.first_step = 0
            self.seen = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begun, self.first_step = time.monotonic(), state.global_step
            past = [row["tokens"] for row in state.log_history if "tokens" in row]
            trainer.seen = past[-1] if past else 0
            self.seen = trainer.seen

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            loss = logs.get("loss", logs.get("eval_loss"))
            if loss is not None and not math.isfinite(loss):
                raise RecipeFailed(
                    f"the loss at step {state.global_step} is not a number; lower optimizer.learning_rate "
                    f"(the checkpoints in {work} are kept)"
                )
            if "loss" in logs and state.log_history:
                state.log_history[-1]["tokens"] = trainer.seen
            now = time.monotonic()
            if not state.is_world_process_zero or loss is None:
                return
            if "eval_loss" in logs:
                shown = ", ".join(f"{k[5:]} {v:.3f}" for k, v in logs.items() if k.startswith("eval_"))
                _say(f"step {state.global_step}: validation {shown}")
            elif now - self.last >= LOG_SECONDS or state.global_step in (1, state.max_steps):
                self.last = now
                done = state.global_step - self.first_step
                rate = (trainer.seen - self.seen) / max(now - self.begun, 1e-9)
                left = (state.max_steps - state.global_step) * (now - self.begun) / max(done, 1)
                _say(
                    f"step {state.global_step:,} of {state.max_steps:,}: loss {loss:.3f}, "
                    f"{rate:,.0f} tokens/s, {left / 60:.0f} min left"
                )

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                (folder / COMPLETE).write_text("", "utf-8")
                curve.write(state.log_history, work)

    return Watcher()


@contextmanager
def _mended(work: Path) -> Iterator[None]:
    """A lack of disk or memory becomes one line; the checkpoints stay."""
    import torch
    from safetensors import SafetensorError

    kept = f"the checkpoints in {work} are kept: run the same command again to resume"
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise RecipeFailed(f"out of memory; lower schedule.batch (and raise schedule.accumulation); {kept}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"the disk is full; free some space; {kept}") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"{error.filename or work}: {error.strerror}; {kept}") from None
        raise
    except (RuntimeError, SafetensorError) as error:
        text = str(error)
        if "can't allocate memory" in text:
            raise RecipeFailed(f"out of memory; lower schedule.batch; {kept}") from None
        if any(mark in text for mark in ("No space left", "os error 28", "file write failed", "PytorchStreamWriter")):
            raise UserError(f"the disk is full; free some space; {kept}") from None
        raise


def _trained(trainer: Any, model: Any, history: list[dict[str, Any]], seconds: float, cuda: bool) -> dict[str, Any]:
    import torch

    losses = [row for row in history if "eval_loss" in row]
    best = min(losses, key=lambda row: row.get("eval_objective", row["eval_loss"])) if losses else {}
    found = {name.removeprefix("eval_"): value for name, value in best.items() if name.startswith("eval_")}
    tokens = max((row["tokens"] for row in history if "tokens" in row), default=0)
    memory = torch.cuda.max_memory_allocated() if cuda else _peak_bytes()
    return {
        "steps": trainer.state.global_step,
        "epochs": round(float(trainer.state.epoch or 0), 3),
        "examples": len(trainer.train_dataset),
        "tokens": tokens,
        "seconds_since_resume": round(seconds, 1),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "best_step": best.get("step"),
        "validation": found,
        "peak_memory_gb": round(memory / 2**30, 2),
    }


def _forget_peak(cuda: bool) -> None:
    """Begin the peak of memory anew, so that a run's own is told."""
    import torch

    if cuda:
        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM


def _peak_bytes() -> int:
    """The most memory that was resident since `_forget_peak`, else since the process began."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _machine(cuda: bool) -> dict[str, Any]:
    import torch
    from accelerate import PartialState

    facts: dict[str, Any] = {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0))}
    facts["processes"] = PartialState().num_processes
    return facts | ({"gpu": torch.cuda.get_device_name()} if cuda else {})


def _say(line: str) -> None:
    """A line on stderr, once however many processes train."""
    from accelerate import PartialState

    if PartialState().is_local_main_process:
        print(line, file=sys.stderr, flush=True)
