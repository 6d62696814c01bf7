"""The citation checker: does a premise (one or several source texts) say what a claim says?

    SupportChecker.load().supports_all([(premise, claim), ...])

By default a logistic model over the features of `eval/checker/claims.py`; `NliChecker` takes a local entailment model
instead. The default has no embedding: out of fold on validation (8,607 pairs, each kind counted the same) the cosine
of claim and best stretch left recall and precision at 0.994 and 0.994, at some 40 ms a pair instead of 1. It is
strict: it takes nearly every sentence whose words are mostly synonyms of the source's (`freely reworded`) as
unsupported, and words in another role (`roles exchanged`) as supported. Fitted on such rewordings too, it accepted 5%
of the altered names and of the opposite words instead of 0 and 2: for a judge of health texts the worse mistake.
`python -m eval citations` says how far it can be trusted, `python -m eval calibrate citations` fits it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from configs.errors import UserError
from eval.checker.claims import NAMES, compare
from index.linear import Linear

SHIPPED = Path(__file__).with_name("checker.json")


class Checker(Protocol):
    """What `eval/metrics/citations.py` asks of a checker."""

    @property
    def name(self) -> str: ...
    def supports_all(self, pairs: Sequence[tuple[str, str]]) -> list[bool]: ...


class SupportChecker:
    """The fitted checker: supported where the model's probability reaches its threshold."""

    name = "lexical support"

    def __init__(self, model: Linear) -> None:
        self.model = model

    @classmethod
    def load(cls, path: Path = SHIPPED) -> SupportChecker:
        """The fitted checker. Raises UserError as `Linear.load` does."""
        return cls(Linear.load(path, "citations", NAMES))

    def supports_all(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether the premise says what the claim says, for each (premise, claim)."""
        return [bool(chance >= self.model.threshold) for chance in self.model.probability(measure(pairs))]


def measure(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Features (n, len(NAMES)) of (premise, claim) pairs."""
    return np.array([compare(premise, claim) for premise, claim in pairs]).reshape(len(pairs), len(NAMES))


class NliChecker:
    """The same by a local entailment model (a transformers sequence classifier), loaded when first asked.

    A premise too long for the model is cut into overlapping parts; one part that entails the claim is enough.
    """

    def __init__(self, folder: str | Path, batch_size: int = 16, max_tokens: int = 512) -> None:
        self.folder = Path(folder)
        self.name = f"NLI model {self.folder.name}"
        self._batch_size = batch_size
        self._max_tokens = max_tokens
        self._loaded: tuple[Any, Any, int, int] | None = None

    def supports_all(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether entailment is the likeliest label of each (premise, claim). Raises UserError without a model."""
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
