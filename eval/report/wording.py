"""The report's sentences on its own figures. Each is computed: none holds a claim that the figures could contradict."""

from __future__ import annotations

from typing import Any

from eval.report.figures import difference, interval, number, row_of, sees_sources, turned

NOT_ADVICE = (
    "Information, not medical advice. Text that a system wrote is shown to demonstrate that system's output; it may be "
    "wrong and is not advice. For decisions about health ask a professional."
)
OUTPUT = "A system's output, shown as a demonstration: not advice, and it may be wrong."
LEAKS = (
    "Split by row: topics leak. The same topics, and some of the very questions, are in training and test, so the "
    "figures of fine-tuned modes say how well text was remembered. They stand here only for comparison with "
    "published numbers."
)
SCORED = (
    "An abstention is scored as an empty answer, 0 in every overlap metric, whether abstaining was right or not: read "
    "these figures with the column Answered, the share of questions to which there was any text."
)


OWN = (
    "These questions are the index's own: each stands over an answer in the corpus, and with the source indexed its "
    "very answer can be found by its very words; one whose page comes first by them is never declined. They tell what "
    "is done with the right passage, not how people are answered."
)


def asked(results: dict[str, Any]) -> str:
    """How many questions of people there are and whose they are."""
    return (
        f"{results['people']['n']} questions as people type them, labeled with the pages that answer them: none is the "
        "index's own, and what was fitted or chosen was on others. 95% intervals by question (Wilson)."
    )


def made(results: dict[str, Any]) -> str:
    """When and from what the report was made, in a few words."""
    return f"medcite evaluation, {results['created'][:10]}, commit {str(results.get('commit') or 'unknown')[:12]}"


def sentence(text: str) -> str:
    """A note as a sentence of its own: a capital first, one full stop last."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def about(found: dict[str, Any], *keys: str) -> str:
    """What a table of retrieval says of its rows and intervals; results that were made earlier may not say it."""
    said = [sentence(str(found[key])) for key in keys if found.get(key)]
    if found.get("intervals_by"):
        said.append(f"95% intervals by {found['intervals_by']}.")
    return " ".join(said)


def lead(results: dict[str, Any]) -> str:
    """The report in a sentence: what retrieval and fine-tuning each changed in ROUGE-L."""

    def effect(what: str, a: str, b: str, regime: str = "indexed") -> str:
        found = difference(results, a, b, "rougeL", regime)
        if found is None:
            return f"{what} was not measured"
        if not found["shown"]:
            return f"no difference shown for {what} in ROUGE-L ({_signed(found)})"
        size = turned(found) if found["value"] < 0 else found
        return (
            f"{what} {'lowered' if found['value'] < 0 else 'raised'} ROUGE-L by {number(size['value'])} "
            f"(95% interval {interval(size)})"
        )

    parts = [
        f"With the source indexed, {effect('retrieval', 'finetuned+rag', 'finetuned')}",
        effect("fine-tuning with sources", "finetuned+rag", "base+rag"),
        effect("fine-tuning without sources", "finetuned", "base"),
        f"with the source withheld, {effect('retrieval', 'finetuned+rag', 'finetuned', 'withheld')}"
        f"{_declined(results, 'finetuned+rag', 'withheld')}",
    ]
    return "; ".join(parts) + "."


def _declined(results: dict[str, Any], mode: str, regime: str) -> str:
    row = row_of(results, mode, regime)
    share = ((row or {}).get("figures") or {}).get("abstained_share")
    if not share or not share.get("value"):
        return ""
    return f", where {mode} abstained on {share['value']:.0%} of the questions and an abstention scores 0"


def _signed(found: dict[str, Any]) -> str:
    return f"{number(found['value'], signed=True)}, 95% interval {interval(found, signed=True)}"


def against_quoting(results: dict[str, Any]) -> str:
    """How `finetuned+rag` stands to quoting the best passages without a generator."""
    parts = []
    for regime in ("indexed", "withheld"):
        if found := difference(results, "finetuned+rag", "extractive", "rougeL", regime):
            way = "no difference shown" if not found["shown"] else "higher" if found["value"] > 0 else "lower"
            parts.append(f"{way} with the source {regime} ({_signed(found)})")
    if not parts:
        return "finetuned+rag was not compared with extractive."
    return f"ROUGE-L of finetuned+rag against extractive, which quotes the best passages: {'; '.join(parts)}."


def setting(results: dict[str, Any]) -> str:
    """The questions, the split, the model and the data in a line."""
    asked, corpus = results["questions"], results["corpus"]
    return (
        f"{asked['n']:,} questions on {asked['topics']:,} topics of the {asked['split']} split"
        f"{_split(results)}; model {results['model']}, profile {results['profile']}, "
        f"{'with' if results.get('adapter') else 'without'} an adapter; data {corpus['name']}, "
        f"{corpus['pairs']:,} pairs."
    )


def _split(results: dict[str, Any]) -> str:
    by, adapter = results["splits"]["by"], results.get("adapter")
    if adapter and "recipe" not in adapter:
        said = f"split by {by}; what the adapter was trained on is not known"
    elif by == "topic":
        said = "split by topic: none of these topics was trained on"
    else:
        said = "split by row: topics leak" if by == "row" else f"split by {by}"
    caveat = results["splits"].get("caveat")
    return f" ({said}; {caveat})" if caveat else f" ({said})"


def blind(results: dict[str, Any]) -> str:
    """Which modes see no sources, and that their rows therefore repeat."""
    names = [mode for mode in results.get("modes") or [] if not sees_sources(results, mode)]
    if not names:
        return ""
    return (
        f"{' and '.join(names)} {'see' if len(names) > 1 else 'sees'} no sources: "
        f"the same row{'s stand' if len(names) > 1 else ' stands'} in both regimes. "
    )


def abstentions(results: dict[str, Any]) -> str:
    """How often each mode with sources abstained in each regime."""
    said: dict[str, list[str]] = {}
    for row in results.get("table") or []:
        found = (row.get("figures") or {}).get("abstained_share")
        if row.get("sources", True) and found and found.get("value") is not None:
            share = f"{number(found['value'])} of the questions with the source {row['regime']}"
            said.setdefault(row["mode"], []).append(share)
    parts = [f"{mode} abstained on {' and '.join(shares)}" for mode, shares in said.items()]
    return f"{'; '.join(parts)}." if parts else ""


def likelihoods(results: dict[str, Any]) -> str:
    """Of how many tokens of how many references the perplexities are."""
    found = [(row.get("figures") or {}).get("perplexity") or {} for row in results.get("table") or []]
    said = {f"the first {one['of_tokens']} tokens of {one['n']:,} references" for one in found if "of_tokens" in one}
    return f" Perplexity is of {' or '.join(sorted(said))}, given the mode's own prompt." if said else ""
