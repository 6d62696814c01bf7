"""The evaluation's text metrics over the standard libraries: one value an answer; `eval/score.py` sums them up.

They work offline: nothing is fetched and nothing is written to the home folder. Citation marks `[n]` are taken out
first, on both sides. An empty prediction scores 0; only readability, which an empty text has none of, is NaN for it.
Every metric raises ValueError where predictions and references differ in number.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from configs.errors import UserError
from index.sentences import spans
from index.weights import resolve

Scores = dict[str, list[float]]
"""Values by the metric's name, one an answer."""

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
BERT_TOKENS = 512
"""Of a text, what BERTScore reads: the encoders' positions. Not every tokenizer's files say so."""
CHUNK = 64
"""Pairs a call of bert-score, which keeps every token's vector of a call in memory."""
BATCH = 16
"""Pairs that BERTScore's encoder reads at a time."""
_MARK = re.compile(r"\s*\[\d{1,3}\]")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def plain(text: str) -> str:
    """Text without citation marks."""
    return _MARK.sub("", text).strip()


def rouge(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """ROUGE-1, -2, -L and -Lsum, F-measures in 0..1 (rouge-score, Porter stemmer; Lin 2004).

    Lsum compares sentence by sentence: rouge-score takes a line for a sentence, so texts are cut into lines.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    scores = [scorer.score(_lines(r), _lines(p)) for p, r in zip(predictions, references, strict=True)]
    return {name: [float(one[name].fmeasure) for one in scores] for name in ROUGE}


def token_f1(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """SQuAD's token F1 and exact match, in 0..1, after its normalization (Rajpurkar et al. 2016).

    Lower case, without punctuation and articles. Texts of which nothing is left score 0, unlike SQuAD 2.0, where
    two empty answers match.
    """
    found: Scores = {"token_f1": [], "exact_match": []}
    for prediction, reference in zip(predictions, references, strict=True):
        given, wanted = _tokens(prediction), _tokens(reference)
        same = sum((Counter(given) & Counter(wanted)).values())
        # 2PR / (P + R) with P = same / given and R = same / wanted.
        found["token_f1"].append(2 * same / (len(given) + len(wanted)) if same else 0.0)
        found["exact_match"].append(float(bool(given) and given == wanted))
    return found


def readability(predictions: Sequence[str]) -> Scores:
    """US school grade that a prediction asks for: Flesch-Kincaid and SMOG (textstat); NaN for a text without words.

    SMOG was made for 30 sentences; of a short answer it is a rough guide. Syllables are counted by hyphenation
    (Pyphen), the same on every machine: textstat's pronouncing dictionary would have to be fetched. On 150 MedQuAD
    answers that reads 1.1 grades (Flesch-Kincaid) and 0.9 grades (SMOG) lower than with the dictionary, with a
    correlation of 0.99: compare answers with one another, not with published grades.
    """
    from textstat.textstat import textstatistics

    scorer = textstatistics()
    # Only "en" in lower case makes textstat look for (and download) the dictionary; Pyphen knows both spellings.
    scorer.set_lang("EN_US")
    found: Scores = {"flesch_kincaid": [], "smog": []}
    for text in map(plain, predictions):
        words = scorer.lexicon_count(text) > 0
        found["flesch_kincaid"].append(scorer.flesch_kincaid_grade(text) if words else math.nan)
        found["smog"].append(scorer.smog_index(text) if words else math.nan)
    return found


class Bleu:
    """Corpus BLEU in 0..100 (sacrebleu's default: 13a tokens, exponential smoothing; Post 2018).

    `score(statistics(predictions, references).sum(0))` is sacrebleu's `corpus_score`.
    """

    def __init__(self) -> None:
        from sacrebleu.metrics import BLEU

        self._scorer = BLEU()
        self._scorer.num_refs = 1
        self.signature = str(self._scorer.get_signature())
        """What decides the figure, with sacrebleu's version."""

    def statistics(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Counts of each answer that BLEU is made of, int64 of shape (n, 10).

        Tokens of prediction and reference, n-grams matched (1 to 4), n-grams in the prediction (1 to 4). Their sums
        over any answers give `score`, so a bootstrap counts n-grams once.
        """
        if len(predictions) != len(references):
            raise ValueError(f"{len(predictions)} predictions for {len(references)} references")
        ours, wanted = ([plain(text) for text in side] for side in (predictions, references))
        return np.array(self._scorer._extract_corpus_statistics(ours, [wanted]), dtype=np.int64)

    def score(self, summed: np.ndarray) -> float:
        """BLEU in 0..100 of summed statistics, shape (10,)."""
        return float(self._scorer._compute_score_from_stats([int(count) for count in summed]).score)


class BertScore:
    """BERTScore's F1 (bert-score; Zhang et al. 2020), not rescaled, without IDF weights.

    Unrelated texts score far above 0: compare only figures of one `hash`. Texts are cut at 512 tokens; where either
    is empty the score is 0.
    """

    def __init__(self, model: str) -> None:
        """`model` is a folder, `package:NAME/folder` or a hub id.

        Raises UserError for a model that is not there; weights are loaded at the first score.
        """
        self.model = model
        self.place = resolve(model)
        self.layers = _layers(model, self.place)

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
            scorer = BERTScorer(model_type=self.place, num_layers=self.layers, batch_size=BATCH)
        except (OSError, ValueError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"bertscore_encoder {self.model}: cannot be loaded ({reason})") from None
        scorer._tokenizer.model_max_length = min(BERT_TOKENS, scorer._tokenizer.model_max_length)
        return scorer

    def f1(self, predictions: Sequence[str], references: Sequence[str]) -> list[float]:
        """F1 of each answer."""
        texts = [(plain(p), plain(r)) for p, r in zip(predictions, references, strict=True)]
        scores = np.zeros(len(texts))
        # Pairs of like length together, so that little of what the encoder reads is padding.
        rows = sorted((i for i, pair in enumerate(texts) if all(pair)), key=lambda i: len(texts[i][0] + texts[i][1]))
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            ours, wanted = ([texts[i][side] for i in chunk] for side in (0, 1))
            scores[chunk] = self._scorer.score(ours, wanted, batch_size=BATCH)[2].float().numpy()
        return [float(one) for one in scores]


class Metrics:
    """The metrics that are loaded once a run. `encoder` is BERTScore's model, None to leave it out."""

    def __init__(self, encoder: str | None) -> None:
        self.bleu = Bleu()
        self.bert = BertScore(encoder) if encoder else None

    def described(self) -> dict[str, str]:
        """What makes the figures comparable: versions, signatures, hashes."""
        facts = {"rouge": f"rouge-score {version('rouge-score')}, stemmed, F-measure", "bleu": self.bleu.signature}
        return facts | ({"bertscore": self.bert.hash} if self.bert else {})


class Scored:
    """The scores of one mode in one regime: `values`, one an answer by metric; BLEU's `statistics`; `words`.

    `texts` are what is scored; `words` counts theirs and their references', for the length ratio.
    """

    def __init__(self, texts: Sequence[str], references: Sequence[str], metrics: Metrics) -> None:
        self.texts = list(texts)
        values = rouge(texts, references) | token_f1(texts, references) | readability(texts)
        if metrics.bert:
            values["bertscore"] = metrics.bert.f1(texts, references)
        self.values = {name: np.array(found, dtype=float) for name, found in values.items()}
        self.statistics = metrics.bleu.statistics(texts, references)
        self.words = tuple([len(plain(text).split()) for text in side] for side in (texts, references))


def _lines(text: str) -> str:
    text = plain(text)
    return "\n".join(text[start:end] for start, end in spans(text))


def _tokens(text: str) -> list[str]:
    return _ARTICLES.sub(" ", plain(text).lower().translate(_PUNCTUATION)).split()


def _layers(model: str, place: str) -> int:
    """The layer to compare: bert-score's choice for a hub id that it knows, else the last in the folder's config."""
    from bert_score.utils import model2layers

    folder = Path(place)
    if not folder.is_dir():
        if place not in model2layers:
            raise UserError(f"bertscore_encoder {model}: no such folder, and no model that bert-score has a layer for")
        return int(model2layers[place])
    try:
        return int(json.loads((folder / "config.json").read_text("utf-8"))["num_hidden_layers"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"bertscore_encoder {model}: {folder} holds no encoder's config.json") from None
