"""The evaluation's text metrics, each an `evaluate.Metric` over a standard library. No command of its own.

They work offline: nothing is fetched (as `evaluate.load` would) and nothing is written to the home folder. Every
metric has `compute(predictions=, references=)`, the corpus's figures, and `per_answer(predictions, references)`, one
value an answer, for intervals. Citation marks `[n]` are taken out first, on both sides. An empty prediction
scores 0; only readability, which an empty text has none of, is NaN for it. Importing this module takes seconds
(evaluate brings datasets and pandas), so import it where it is used.
"""

from __future__ import annotations

import json
import math
import re
import string
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value

from configs.errors import UserError
from eval.metrics.overlap import plain
from index.sentences import spans
from index.weights import resolve

Scores = dict[str, list[float]]

BERT_TOKENS = 512
"""Of a text, what BERTScore reads: the encoders' positions. Not every tokenizer's files say so."""
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Metric(evaluate.Metric):
    """What the metrics share: texts in, the mean of `per_answer` out, NaN left out.

    `compute` raises ValueError for no answers, and for another number of references than of predictions.
    """

    def __init__(self) -> None:
        # evaluate makes a folder for its cache even where it keeps everything in memory.
        with tempfile.TemporaryDirectory() as folder:
            super().__init__(keep_in_memory=True, cache_dir=folder, seed=0)

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            inputs_description="predictions and references: one text an answer",
            features=Features({"predictions": Value("string"), "references": Value("string")}),
        )

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {name: _mean(values) for name, values in self.per_answer(predictions, references).items()}

    def per_answer(self, predictions: Sequence[str], references: Sequence[str]) -> Scores:
        """One value an answer, by name. Raises ValueError where the two differ in number."""
        raise NotImplementedError


class Rouge(Metric):
    """ROUGE-1, -2, -L and -Lsum, F-measures in 0..1 (rouge-score, Porter stemmer; Lin 2004).

    Lsum compares sentence by sentence: rouge-score takes a line for a sentence, so texts are cut into lines.
    """

    NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")

    @cached_property
    def _scorer(self) -> Any:
        from rouge_score.rouge_scorer import RougeScorer

        return RougeScorer(list(self.NAMES), use_stemmer=True)

    def per_answer(self, predictions: Sequence[str], references: Sequence[str]) -> Scores:
        found: Scores = {name: [] for name in self.NAMES}
        for prediction, reference in zip(predictions, references, strict=True):
            scores = self._scorer.score(_lines(reference), _lines(prediction))
            for name in self.NAMES:
                found[name].append(float(scores[name].fmeasure))
        return found


class Bleu(Metric):
    """BLEU in 0..100 (sacrebleu's default: 13a tokens, exponential smoothing; Post 2018).

    `compute` gives corpus BLEU; `per_answer` sentence BLEU with effective order, whose mean is another figure.
    """

    @cached_property
    def _scorer(self) -> Any:
        from sacrebleu.metrics import BLEU

        return BLEU()

    @property
    def signature(self) -> str:
        """sacrebleu's signature: what decides the figure, with its version."""
        self._scorer.num_refs = 1
        return str(self._scorer.get_signature())

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"bleu": self.score(self.statistics(predictions, references).sum(0))}

    def per_answer(self, predictions: Sequence[str], references: Sequence[str]) -> Scores:
        from sacrebleu.metrics import BLEU

        sentence = BLEU(effective_order=True)
        rows = self.statistics(predictions, references).tolist()
        return {"bleu": [float(sentence._compute_score_from_stats(row).score) for row in rows]}

    def statistics(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Counts of each answer that BLEU is made of, int64 of shape (n, 10).

        Tokens of prediction and reference, n-grams matched (1 to 4), n-grams in the prediction (1 to 4). Their sums
        over any answers give `score`, so a bootstrap counts n-grams once.
        """
        _same_number(predictions, references)
        if not len(predictions):
            return np.zeros((0, 10), dtype=np.int64)
        texts, wanted = [plain(text) for text in predictions], [plain(text) for text in references]
        return np.array(self._scorer._extract_corpus_statistics(texts, [wanted]), dtype=np.int64)

    def score(self, summed: np.ndarray) -> float:
        """BLEU in 0..100 of summed statistics, shape (10,)."""
        return float(self._scorer._compute_score_from_stats([int(count) for count in summed]).score)


class BertScore(Metric):
    """BERTScore precision, recall and F1 (bert-score; Zhang et al. 2020), not rescaled, without IDF weights.

    Unrelated texts score far above 0: compare only figures of one `hash`. Texts are cut at 512 tokens; where either
    is empty the scores are 0.
    """

    CHUNK = 64
    """Pairs a call: bert-score keeps every token's vector of a call in memory."""

    def __init__(self, model: str, layers: int | None = None, batch_size: int = 16) -> None:
        """`model` is a folder, `package:NAME/folder` or a hub id; `layers` the layer whose vectors are compared.

        With no `layers`, bert-score's own choice for a hub id that it knows, else a folder's last layer. Raises
        UserError for a model that is not there or lacks such a layer; weights are loaded at the first score.
        """
        super().__init__()
        self.model = model
        self.batch_size = batch_size
        self.place = resolve(model)
        self.layers = _layers(model, self.place, layers)

    @property
    def hash(self) -> str:
        """bert-score's hash of model, layer and versions, with the model as it was named, not as a path."""
        from bert_score.utils import get_hash

        return str(get_hash(self.model, self.layers, False, False, False, False))

    @cached_property
    def _scorer(self) -> Any:
        from bert_score import BERTScorer
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            scorer = BERTScorer(model_type=self.place, num_layers=self.layers, batch_size=self.batch_size)
        except (OSError, ValueError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"bertscore_encoder {self.model}: cannot be loaded ({reason})") from None
        scorer._tokenizer.model_max_length = min(BERT_TOKENS, scorer._tokenizer.model_max_length)
        return scorer

    def per_answer(self, predictions: Sequence[str], references: Sequence[str]) -> Scores:
        texts = [(plain(p), plain(r)) for p, r in zip(predictions, references, strict=True)]
        scores = np.zeros((len(texts), 3))
        # Pairs of like length together, so that little of what the encoder reads is padding.
        rows = sorted((i for i, pair in enumerate(texts) if all(pair)), key=lambda i: len(texts[i][0] + texts[i][1]))
        for start in range(0, len(rows), self.CHUNK):
            chunk = rows[start : start + self.CHUNK]
            found = self._scorer.score(
                [texts[i][0] for i in chunk], [texts[i][1] for i in chunk], batch_size=self.batch_size
            )
            scores[chunk] = np.stack([column.float().numpy() for column in found], axis=1)
        names = ("bertscore_precision", "bertscore_recall", "bertscore_f1")
        return {name: scores[:, column].tolist() for column, name in enumerate(names)}


class TokenF1(Metric):
    """SQuAD's token F1 and exact match, in 0..1, after its normalisation (Rajpurkar et al. 2016).

    Lower case, without punctuation and articles. Texts of which nothing is left score 0, unlike SQuAD 2.0, where
    two empty answers match.
    """

    def per_answer(self, predictions: Sequence[str], references: Sequence[str]) -> Scores:
        found: Scores = {"token_f1": [], "exact_match": []}
        for prediction, reference in zip(predictions, references, strict=True):
            given, wanted = _tokens(prediction), _tokens(reference)
            same = sum((Counter(given) & Counter(wanted)).values())
            # 2PR / (P + R) with P = same / given and R = same / wanted.
            found["token_f1"].append(2 * same / (len(given) + len(wanted)) if same else 0.0)
            found["exact_match"].append(float(bool(given) and given == wanted))
        return found


class LengthRatio(Metric):
    """Words of the prediction for each word of the reference; NaN where the reference has none.

    The corpus's figure is the mean of the answers' ratios.
    """

    def per_answer(self, predictions: Sequence[str], references: Sequence[str]) -> Scores:
        ratios = []
        for prediction, reference in zip(predictions, references, strict=True):
            wanted = len(plain(reference).split())
            ratios.append(len(plain(prediction).split()) / wanted if wanted else math.nan)
        return {"length_ratio": ratios}


class Readability(Metric):
    """US school grade that a prediction asks for: Flesch-Kincaid and SMOG (textstat); NaN for a text without words.

    SMOG was made for 30 sentences; of a short answer it is a rough guide. Syllables are counted by hyphenation
    (Pyphen), the same on every machine: textstat's pronouncing dictionary would have to be fetched. On 150 MedQuAD
    answers that reads 1.1 grades (Flesch-Kincaid) and 0.9 grades (SMOG) lower than with the dictionary, with a
    correlation of 0.99: compare answers with one another, not with published grades.
    """

    @cached_property
    def _textstat(self) -> Any:
        from textstat.textstat import textstatistics

        scorer = textstatistics()
        # Only "en" in lower case makes textstat look for (and download) the dictionary; Pyphen knows both spellings.
        scorer.set_lang("EN_US")
        return scorer

    def per_answer(self, predictions: Sequence[str], references: Sequence[str]) -> Scores:
        _same_number(predictions, references)
        found: Scores = {"flesch_kincaid": [], "smog": []}
        for text in map(plain, predictions):
            words = self._textstat.lexicon_count(text) > 0
            found["flesch_kincaid"].append(self._textstat.flesch_kincaid_grade(text) if words else math.nan)
            found["smog"].append(self._textstat.smog_index(text) if words else math.nan)
        return found


def _mean(values: Sequence[float]) -> float:
    counted = [value for value in values if not math.isnan(value)]
    return sum(counted) / len(counted) if counted else math.nan


def _lines(text: str) -> str:
    text = plain(text)
    return "\n".join(text[start:end] for start, end in spans(text))


def _tokens(text: str) -> list[str]:
    return _ARTICLES.sub(" ", plain(text).lower().translate(_PUNCTUATION)).split()


def _same_number(predictions: Sequence[str], references: Sequence[str]) -> None:
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references")


def _layers(model: str, place: str, layers: int | None) -> int:
    """The layer to compare, checked against a folder's config.json."""
    from bert_score.utils import model2layers

    folder = Path(place)
    if not folder.is_dir():
        known = layers or model2layers.get(place)
        if known is None:
            raise UserError(f"bertscore_encoder {model}: no such folder, and no model that bert-score has a layer for")
        return int(known)
    try:
        last = int(json.loads((folder / "config.json").read_text("utf-8"))["num_hidden_layers"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"bertscore_encoder {model}: {folder} holds no encoder's config.json") from None
    if layers is not None and not 1 <= layers <= last:
        raise UserError(f"bertscore_encoder {model}: layer {layers} is asked for, the model has {last}")
    return layers or last
