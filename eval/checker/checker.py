"""The citation checker: does a premise (one or several source texts) say what a claim says?

    SupportChecker.load().supports_all([(premise, claim), ...])

By default a logistic model over the features of `eval/checker/claims.py`;
`NliChecker` takes a local entailment model instead.
The embedding cosine of the claim and the best stretch of the premise is left out of the default: out of fold on
validation (8,607 pairs, each kind counted the same) recall and precision were 0.994 and 0.994 with it and without,
at some 40 ms a pair instead of 1. The checker is strict: it takes nearly every sentence whose words are mostly
synonyms of the source's (`freely reworded`) as unsupported, and the words in another role (`roles exchanged`) as
supported. Fitted on such rewordings too, it accepted 5% of the altered names and of the opposite words instead of 0
and 2: for a judge of health texts the worse mistake.
`python -m eval citations` says how far it can be trusted, `python -m eval calibrate citations` fits it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from configs import files
from configs.errors import UserError
from eval.checker.claims import NAMES, compare

if TYPE_CHECKING:
    from index.embedder import EmbedderLike

SHIPPED = Path(__file__).with_name("checker.json")
SCHEMA = 1
SENTENCES = 1200
"""Sentences of a split that pairs are made from; each gives up to twelve."""


class Checker(Protocol):
    """What `eval/metrics/citations.py` asks of a checker."""

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
            key = key_of(embedder is not None)
            found = data["models"].get(key)
            if data["schema"] == SCHEMA and found is None:
                raise UserError(
                    f"{path}: no model of {key} in it; fit it: `python -m eval calibrate citations --embeddings`"
                )
            if data["schema"] != SCHEMA or tuple(found["weights"]) != names:
                raise UserError(f"{path}: made for other features; fit it: `python -m eval calibrate citations`")
            model = Model(tuple(map(float, found["weights"].values())), float(found["bias"]), float(found["threshold"]))
            return cls(model, embedder, dict(data["provenance"]))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; fit it: `python -m eval calibrate citations`") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path}: damaged; fit it: `python -m eval calibrate citations`") from None

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


def key_of(embeddings: bool) -> str:
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


def save(path: Path, models: dict[bool, Model], provenance: dict[str, Any]) -> None:
    """Write the models, by whether they take embeddings, whole or not at all."""
    data = {
        "schema": SCHEMA,
        "models": {
            key_of(embeddings): {
                "weights": dict(zip(feature_names(embeddings), model.weights, strict=True)),
                "bias": model.bias,
                "threshold": model.threshold,
            }
            for embeddings, model in models.items()
        },
        "provenance": {"date": date.today().isoformat(), **provenance},
    }
    with files.said(path):
        files.write_json(path, data)
