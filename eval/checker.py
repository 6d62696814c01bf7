"""The citation checker: does a premise (one or several source texts) say what a claim says? And how far to trust it.

    python -m eval.checker --medquad FILE [--fit] [--embeddings] [--nli FOLDER] [--json]

By default a logistic model over the features of `eval/claims.py`; `--nli` takes a local entailment model instead.
The embedding cosine of the claim and the best stretch of the premise is left out of the default: out of fold on
validation (8,607 pairs, each kind counted the same) recall and precision were 0.994 and 0.994 with it and without,
at some 40 ms a pair instead of 1. The checker is strict: it takes nearly every sentence whose words are mostly
synonyms of the source's (`freely reworded`) as unsupported, and the words in another role (`roles exchanged`) as
supported. Fitted on such rewordings too, it accepted 5% of the altered names and of the opposite words instead of 0
and 2: for a judge of health texts the worse mistake.
Pairs with a known label are made from the corpus by rule (`labelled`): validation topics fit the model and its
threshold (`--fit` writes `eval/checker.json`), test topics report precision, recall and each kind of pair.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from configs import entry
from configs.errors import UserError, run
from eval.claims import NAMES, compare
from eval.pairs import HELD_OUT, Labelled, labelled

if TYPE_CHECKING:
    from index.embedder import EmbedderLike

SHIPPED = Path(__file__).with_name("checker.json")
SCHEMA = 1
FOLDS = 5
SENTENCES = 1200
"""Sentences of a split that pairs are made from; each gives up to twelve."""


class Checker(Protocol):
    """What `eval/citations.py` asks of a checker."""

    @property
    def name(self) -> str: ...
    def supports(self, premise: str, claim: str) -> bool: ...
    def supports_all(self, pairs: Sequence[tuple[str, str]]) -> list[bool]: ...


@dataclass(frozen=True)
class Model:
    """A logistic model: supported where the chance reaches the threshold."""

    weights: tuple[float, ...]
    bias: float
    threshold: float

    def chances(self, features: np.ndarray) -> np.ndarray:
        """(n,) in 0..1 for features (n, len(weights))."""
        raw = features @ np.array(self.weights) + self.bias
        return np.asarray(1 / (1 + np.exp(-np.clip(raw, -30, 30))))


class SupportChecker:
    """The fitted checker: lexical, or with an embedder lexical and by the cosine of claim and best stretch."""

    def __init__(self, model: Model, embedder: EmbedderLike | None = None, provenance: dict[str, Any] | None = None):
        self.model = model
        self.provenance = provenance or {}
        self._embedder = embedder
        self._vectors: dict[str, np.ndarray] = {}
        self.name = "lexical support" if embedder is None else "lexical and embedding support"

    @classmethod
    def load(cls, embedder: EmbedderLike | None = None, path: Path = SHIPPED) -> SupportChecker:
        """The fitted checker, with embeddings if an embedder is given.

        Raises UserError where the file is missing, damaged or of other features.
        """
        names = feature_names(embedder is not None)
        try:
            data = json.loads(path.read_text("utf-8"))
            key = _key(embedder is not None)
            found = data["models"].get(key)
            if data["schema"] == SCHEMA and found is None:
                raise UserError(
                    f"{path}: no model of {key} in it; run `python -m eval.checker` with --fit --embeddings"
                )
            if data["schema"] != SCHEMA or tuple(found["weights"]) != names:
                raise UserError(f"{path}: made for other features; run `python -m eval.checker --medquad FILE --fit`")
            model = Model(tuple(map(float, found["weights"].values())), float(found["bias"]), float(found["threshold"]))
            return cls(model, embedder, dict(data["provenance"]))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; run `python -m eval.checker --medquad FILE --fit`") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path}: damaged; run `python -m eval.checker --medquad FILE --fit`") from None

    def supports(self, premise: str, claim: str) -> bool:
        """Whether the premise says what the claim says."""
        return self.supports_all([(premise, claim)])[0]

    def supports_all(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """`supports` for each (premise, claim), in order; texts are read, and embedded, once each."""
        if not pairs:
            return []
        found = measure(pairs, self._embedder, self._vectors)
        return [bool(chance >= self.model.threshold) for chance in self.model.chances(found)]


def feature_names(embeddings: bool) -> tuple[str, ...]:
    """The features in the order of a model's weights."""
    return (*NAMES, "cosine") if embeddings else NAMES


def _key(embeddings: bool) -> str:
    return "lexical and embeddings" if embeddings else "lexical"


def measure(
    pairs: Sequence[tuple[str, str]], embedder: EmbedderLike | None = None, cache: dict[str, np.ndarray] | None = None
) -> np.ndarray:
    """Features (n, len(feature_names)) of the pairs; `cache` keeps the vectors by text for the next call."""
    compared = [compare(premise, claim) for premise, claim in pairs]
    lexical = np.array([item.features for item in compared]).reshape(len(pairs), len(NAMES))
    if embedder is None:
        return lexical
    vectors = {} if cache is None else cache
    texts = [text for item, (_, claim) in zip(compared, pairs, strict=True) for text in (claim, item.stretch)]
    fresh = [text for text in dict.fromkeys(texts) if text not in vectors]
    vectors.update(zip(fresh, embedder.encode(fresh), strict=True))
    cosines = [
        float(vectors[claim] @ vectors[item.stretch]) if item.stretch else 0.0
        for item, (_, claim) in zip(compared, pairs, strict=True)
    ]
    return np.hstack([lexical, np.array(cosines)[:, None]])


class NliChecker:
    """The same interface over a local entailment model (a transformers sequence classifier), loaded when first asked.

    A premise too long for the model is cut into overlapping parts; one part that entails the claim is enough.
    """

    def __init__(self, folder: str | Path, batch_size: int = 16, max_tokens: int = 512) -> None:
        self.folder = Path(folder)
        self.name = f"NLI model {self.folder.name}"
        self._batch_size = batch_size
        self._max_tokens = max_tokens
        self._loaded: tuple[Any, Any, int, int] | None = None

    def supports(self, premise: str, claim: str) -> bool:
        """Whether entailment is the model's likeliest label."""
        return self.supports_all([(premise, claim)])[0]

    def supports_all(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """`supports` for each (premise, claim), in order. Raises UserError where the model cannot be had."""
        if not pairs:
            return []
        import torch

        tokenizer, model, label, limit = self._load()
        read = tokenizer(
            [premise for premise, _ in pairs],
            [_shortened(tokenizer, claim, limit // 2) for _, claim in pairs],
            truncation="only_first",
            max_length=limit,
            stride=limit // 4,
            return_overflowing_tokens=True,
        )
        rows = read.pop("overflow_to_sample_mapping")
        result = [False] * len(pairs)
        order = sorted(range(len(rows)), key=lambda n: -len(read["input_ids"][n]))
        for begin in range(0, len(order), self._batch_size):
            batch = order[begin : begin + self._batch_size]
            padded = tokenizer.pad(
                {key: [values[n] for n in batch] for key, values in read.items()}, return_tensors="pt"
            )
            with torch.inference_mode():
                likeliest = model(**padded).logits.argmax(-1).tolist()
            for n, found in zip(batch, likeliest, strict=True):
                result[rows[n]] = result[rows[n]] or found == label
        return result

    def _load(self) -> tuple[Any, Any, int, int]:
        """Tokenizer, model, the number of its entailment label, and the most tokens that it reads."""
        if self._loaded is None:
            from transformers import AutoModelForSequenceClassification, AutoTokenizer

            if not (self.folder / "config.json").is_file():
                raise UserError(f"{self.folder}: no model there; give the folder of a local entailment model")
            try:
                tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
                model = AutoModelForSequenceClassification.from_pretrained(self.folder, local_files_only=True)
            except (OSError, ValueError) as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise UserError(f"{self.folder}: cannot be loaded as an entailment model ({reason})") from None
            labels = {int(n): str(text).lower() for n, text in model.config.id2label.items()}
            entails = [n for n, text in labels.items() if text.startswith(("entail", "support"))]
            if len(entails) != 1:
                raise UserError(
                    f"{self.folder}: its labels are {', '.join(labels.values())}; exactly one must begin with `entail`"
                )
            limit = min(self._max_tokens, tokenizer.model_max_length)
            limit = min(limit, getattr(model.config, "max_position_embeddings", None) or limit)
            self._loaded = (tokenizer, model.eval(), entails[0], limit)
        return self._loaded


def _shortened(tokenizer: Any, text: str, limit: int) -> str:
    """The text's beginning of at most so many tokens: a claim may not crowd out its premise."""
    read = tokenizer(text, add_special_tokens=False, truncation=True, max_length=limit)
    return text if len(read["input_ids"]) < limit else str(tokenizer.decode(read["input_ids"]))


# -- fitting and reporting ----------------------------------------------------------------------------------------


def fit(features: np.ndarray, made: Sequence[Labelled], seed: int = 0) -> tuple[Model, dict[str, Any]]:
    """An L2-regularised logistic regression (scikit-learn, C = 1 on standardised features), its threshold, and what
    it does with the pairs it was fitted on, each judged by a model that did not see its page (`figures`).

    Supported and unsupported pairs weigh the same in all, and so does each kind among its own. The threshold is
    where the share of supported pairs refused equals that of unsupported ones accepted (equal error), by the
    chances of five models, each without a fifth of the pages. Raises ValueError unless both labels occur.
    """
    from sklearn.model_selection import GroupKFold

    labels = np.array([item.supported for item in made])
    if labels.all() or not labels.any():
        raise ValueError("both supported and unsupported pairs are needed")
    weight = _weights(made)
    chances = np.zeros(len(made))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    for known, unseen in folds.split(features, labels, [item.page for item in made]):
        weights, bias = _regression(features[known], labels[known], weight[known])
        chances[unseen] = Model(weights, bias, 0.5).chances(features[unseen])
    weights, bias = _regression(features, labels, weight)
    threshold = equal_error(chances, labels, weight)
    return Model(weights, bias, threshold), figures([bool(chance >= threshold) for chance in chances], made)


def _weights(made: Sequence[Labelled]) -> np.ndarray:
    """Each kind of pair counts the same within its label, each label the same in all; the mean is 1."""
    keys = [(item.supported, item.kind) for item in made]
    count = {key: keys.count(key) for key in set(keys)}
    kinds = {label: sum(key[0] == label for key in count) for label in (True, False)}
    return np.array([len(made) / (2 * kinds[key[0]] * count[key]) for key in keys])


def _regression(features: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> tuple[tuple[float, ...], float]:
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-6)
    model = LogisticRegression(C=1.0, max_iter=1000).fit((features - mean) / scale, labels, sample_weight=weight)
    weights = model.coef_[0] / scale
    return tuple(float(w) for w in weights), float(model.intercept_[0] - (weights * mean).sum())


def equal_error(chances: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> float:
    """The threshold at which weighted shares of supported pairs refused and unsupported ones accepted are nearest."""
    order = np.argsort(chances)
    values, good, weight = chances[order], labels[order], weight[order]
    refused = np.concatenate([[0.0], np.cumsum(weight * good)]) / (weight * good).sum()
    accepted = 1 - np.concatenate([[0.0], np.cumsum(weight * ~good)]) / (weight * ~good).sum()
    at = int(np.argmin(np.abs(refused - accepted)))
    low, high = values[max(at - 1, 0)], values[min(at, len(values) - 1)]
    return round(float(low + high) / 2, 4)


def report(checker: Checker, made: Sequence[Labelled]) -> dict[str, Any]:
    """What the checker makes of labelled pairs (`figures`), and `plain`: the same without the kinds of HELD_OUT."""
    said = checker.supports_all([(item.premise, item.claim) for item in made])
    known = [n for n, item in enumerate(made) if item.kind not in HELD_OUT]
    plain = figures([said[n] for n in known], [made[n] for n in known])
    result = {"name": checker.name, "n": len(made), **figures(said, made)}
    return result | {"plain": {"n": len(known), "precision": plain["precision"], "recall": plain["recall"]}}


def figures(said: Sequence[bool], made: Sequence[Labelled]) -> dict[str, Any]:
    """Precision and recall of calling pairs supported, in 0..1 (None where nothing is), and shares by kind."""
    rows = list(zip(said, made, _weights(made).tolist(), strict=True))

    def shares(weigh: bool) -> tuple[float | None, float | None]:
        right = sum(w if weigh else 1.0 for yes, item, w in rows if yes and item.supported)
        called = sum(w if weigh else 1.0 for yes, _, w in rows if yes)
        true = sum(w if weigh else 1.0 for _, item, w in rows if item.supported)
        return (round(right / called, 4) if called else None, round(right / true, 4) if true else None)

    kinds: dict[str, dict[str, Any]] = {}
    for yes, item in zip(said, made, strict=True):
        row = kinds.setdefault(item.kind, {"n": 0, "label": "supported" if item.supported else "not", "supported": 0})
        row["n"] += 1
        row["supported"] += yes
    for row in kinds.values():
        row["supported"] = round(row["supported"] / row["n"], 4)
    (precision, recall), weighted = shares(False), shares(True)
    return {
        "precision": precision,
        "recall": recall,
        "weighted": {"precision": weighted[0], "recall": weighted[1]},
        "kinds": kinds,
    }


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(
        prog="python -m eval.checker", description="Fit the citation checker, or report how far it can be trusted."
    )
    result.add_argument("--medquad", type=Path, required=True, help="MedQuAD's zip or folder")
    result.add_argument("--fit", action="store_true", help="fit on validation topics and write the model first")
    result.add_argument("--out", type=Path, default=SHIPPED, help="the model's file (default: eval/checker.json)")
    result.add_argument(
        "--embeddings", action="store_true", help="report (and fit) the checker with the profile's embedder"
    )
    result.add_argument("--nli", type=Path, metavar="FOLDER", help="report a local entailment model instead")
    result.add_argument("-n", type=int, default=SENTENCES, help=f"sentences of each split (default: {SENTENCES})")
    result.add_argument("--json", action="store_true", help="print JSON instead of a table")
    entry.add_arguments(result)
    return result


def fit_and_save(
    path: Path,
    features: np.ndarray,
    known: Sequence[Labelled],
    facts: dict[str, Any],
    embedder: EmbedderLike | None = None,
) -> None:
    """Fit the lexical model, and with an embedder (then the last feature is the cosine) the other, and write them."""
    fitted = {False: fit(features[:, : len(NAMES)], known)}
    facts = {**facts, "n": len(known), "not fitted on": list(HELD_OUT)}
    facts["threshold"] = "equal error, out of fold, each kind the same"
    if embedder is not None:
        fitted[True] = fit(features, known)
        facts["embedder"] = embedder.fingerprint
    facts["out of fold"] = {_key(flag): shown for flag, (_, shown) in fitted.items()}
    save(path, {flag: model for flag, (model, _) in fitted.items()}, facts)


def save(path: Path, models: dict[bool, Model], provenance: dict[str, Any]) -> None:
    """Write the models, by whether they take embeddings, whole or not at all."""
    data = {
        "schema": SCHEMA,
        "models": {
            _key(embeddings): {
                "weights": dict(zip(feature_names(embeddings), model.weights, strict=True)),
                "bias": model.bias,
                "threshold": model.threshold,
            }
            for embeddings, model in models.items()
        },
        "provenance": {"date": date.today().isoformat(), **provenance},
    }
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    aside.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
    os.replace(aside, path)


def table(result: dict[str, Any]) -> str:
    """A report as a Markdown table, each kind with the share called supported."""
    lines = [
        f"{result['name']}, {result['n']} pairs of {result['split']} topics: {_both(result)}; "
        f"each kind counted the same: {_both(result['weighted'])}; "
        f"without {', '.join(HELD_OUT)} (never fitted on): {_both(result['plain'])}",
        "",
        "| pair | label | n | called supported |",
        "|---|---|---|---|",
    ]
    rows = sorted(result["kinds"].items(), key=lambda item: item[1]["label"], reverse=True)
    lines += [f"| {kind} | {row['label']} | {row['n']} | {row['supported']:.3f} |" for kind, row in rows]
    return "\n".join(lines)


def _both(found: dict[str, Any]) -> str:
    shown = ("none" if found[key] is None else f"{found[key]:.3f}" for key in ("precision", "recall"))
    return "precision {}, recall {}".format(*shown)


def main(argv: Sequence[str] | None = None) -> int:
    """Fit if asked to, then report on test topics."""
    args = parser().parse_args(argv)
    profile = entry.load_for(args)
    from finetune import splits
    from index.embedder import Embedder
    from index.sources import load_corpus

    corpus = load_corpus([str(args.medquad)], profile.cleaning)
    split = splits.make(corpus.pairs, corpus.digest)
    embedder = Embedder(profile.embedder) if args.embeddings else None
    if args.fit:
        made = labelled(corpus.pairs, split.rows(corpus.pairs, "validation"), args.n)
        known = [item for item in made if item.kind not in HELD_OUT]
        features = measure([(item.premise, item.claim) for item in known], embedder)
        facts = {"corpus": corpus.digest, "splits": split.hash, "split": "validation", "sentences": args.n}
        fit_and_save(args.out, features, known, facts, embedder)
    shipped = SupportChecker.load(embedder if args.embeddings else None, args.out)
    checker: Checker = NliChecker(args.nli) if args.nli else shipped
    unseen = labelled(corpus.pairs, split.rows(corpus.pairs, "test"), args.n)
    result = {"split": "test", "splits": split.hash, "corpus": corpus.digest, **report(checker, unseen)}
    if checker is shipped:
        result["threshold"] = shipped.model.threshold
    print(json.dumps(result, indent=1) if args.json else table(result))
    return 0


if __name__ == "__main__":
    run(main)
