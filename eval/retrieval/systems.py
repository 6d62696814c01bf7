"""A question's given answers, scored: BM25, a plain embedder, and as this project's retrieval would see them.

No command of its own; `judged_sets.py` compares the systems. An answer is read as the index reads a pair: its title in
the place of the pair's question, its text cut into the index's passages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from index.corpus import QAPair
from index.lexical import Lexical, tokenise
from index.passages import CountTokens, cut, embedding_text
from rag.retrieval.question import parts

if TYPE_CHECKING:
    from configs.schema import Profile
    from eval.datasets.judged import Given, Question

Encode = Callable[[list[str]], np.ndarray]
"""Texts to unit vectors, float32 (n, d)."""

WINDOW = 180
"""Words of a plain window."""
TOP = 3
"""Best passages whose mean is a feature."""
STRENGTH = 3.0
"""Weight of the penalty on the standardised weights, against one for every question: of 0.3, 1, 3 and 10 the first
that gives every feature the sign that its meaning asks for (on the Alexa questions). For the same reason the share of
the question's words in the title is no feature."""
FEATURES = ("title", "passage", "passages", "lexical", "asked", "held")
"""Columns of `Answers.features`."""


def windows(text: str, size: int = WINDOW) -> list[str]:
    """The text in pieces of `size` words, one after the other; at least one piece."""
    words = text.split()
    return [" ".join(words[at : at + size]) for at in range(0, max(len(words), 1), size)]


class Answers:
    """The judged answers of a set of questions, with what every system needs of them.

    Every list has one array (n_answers,) a question, in the order of its answers.
    """

    def __init__(self, questions: Sequence[Question], profile: Profile, count_tokens: CountTokens) -> None:
        self.questions = list(questions)
        self.settings = profile.retriever
        self.parts = [parts(question.text, profile.retriever.parts) for question in self.questions]
        self.passages = [
            [_passages(answer, count_tokens, profile.passages.max_tokens) for answer in question.answers]
            for question in self.questions
        ]

    def texts(self, whole: bool = False) -> list[str]:
        """All that is embedded, once each: questions, parts, titles, passages; for `first` if `whole`, else `plain`."""
        found: list[str] = []
        for question, asked, cuts in zip(self.questions, self.parts, self.passages, strict=True):
            found += [question.text, *asked, *(answer.title for answer in question.answers if answer.title)]
            found += [text for one in cuts for text in one]
            for answer in question.answers:
                found += [_joined(answer)] if whole else windows(answer.text)
        return list(dict.fromkeys(found))

    @property
    def ranks(self) -> list[np.ndarray]:
        """The other system's ranks as scores."""
        return [np.array([-answer.rank for answer in question.answers], float) for question in self.questions]

    @cached_property
    def bm25(self) -> list[np.ndarray]:
        """BM25 over all answers of the set."""
        engine = Lexical.build([answer.text for question in self.questions for answer in question.answers])
        ends = np.cumsum([len(question.answers) for question in self.questions])
        return [
            engine.scores(question.text)[end - len(question.answers) : end]
            for question, end in zip(self.questions, ends, strict=True)
        ]

    @property
    def bm25_within(self) -> list[np.ndarray]:
        """BM25 with each question's own answers as the whole corpus."""
        return [
            Lexical.build([answer.text for answer in question.answers]).scores(question.text)
            for question in self.questions
        ]

    def plain(self, encode: Encode) -> list[np.ndarray]:
        """The cosine of the question and the best window of WINDOW words."""
        return [
            np.array([(encode(windows(answer.text)) @ encode([question.text])[0]).max() for answer in question.answers])
            for question in self.questions
        ]

    def first(self, encode: Encode) -> list[np.ndarray]:
        """The cosine of the question and title + body, as much as the embedder reads of them."""
        return [
            encode([_joined(answer) for answer in question.answers]) @ encode([question.text])[0]
            for question in self.questions
        ]

    def dense(self, encode: Encode) -> list[np.ndarray]:
        """The retriever's own dense score: title and best passage, the better part of a long message."""
        found = []
        for question, asked, cuts in zip(self.questions, self.parts, self.passages, strict=True):
            vectors = encode(asked)
            scores = []
            for answer, texts in zip(question.answers, cuts, strict=True):
                passage = vectors @ encode(texts).T
                title = vectors @ encode([answer.title])[0] if answer.title else passage.max(axis=1)
                both = self.settings.question_weight * title[:, None] + self.settings.passage_weight * passage
                scores.append(both.max())
            found.append(np.array(scores))
        return found

    def features(self, encode: Encode) -> list[np.ndarray]:
        """(n_answers, n_features) a question: what `weights` weighs.

        title, passage: cosines of the title and of the best passage, at the better part of the question;
        passages: mean cosine of the TOP best passages; lexical: BM25 over the best answer's; asked, held: the share of
        the title's words that the question has, and of the question's that the answer has anywhere, words weighed by
        their rarity in the set.
        """
        words = _Words([answer.text for question in self.questions for answer in question.answers])
        found = []
        for question, asked, cuts, lexical in zip(self.questions, self.parts, self.passages, self.bm25, strict=True):
            vectors = encode(asked)
            own = words.of(question.text)
            rows = []
            for answer, texts, score in zip(question.answers, cuts, lexical, strict=True):
                passage = (vectors @ encode(texts).T).max(axis=0)
                title = (vectors @ encode([answer.title])[0]).max() if answer.title else passage.max()
                rows.append(
                    [
                        title,
                        passage.max(),
                        np.sort(passage)[::-1][:TOP].mean(),
                        score / max(float(lexical.max()), 1e-9),
                        words.share(words.of(answer.title), own),
                        words.share(own, words.of(answer.text) | words.of(answer.also)),
                    ]
                )
            found.append(np.array(rows, dtype=np.float64))
        return found


def fit(features: Sequence[np.ndarray], grades: Sequence[Sequence[int]], strength: float = STRENGTH) -> np.ndarray:
    """Weights (n_features,) that put better graded answers of a question before worse ones.

    L2-regularised logistic regression on the differences of all such pairs (RankNet with a linear scorer: Burges et
    al., 2005), every question counting the same; features are standardised for the penalty. Newton's method.
    Raises ValueError where no question has two different grades.
    """
    differences, weight = [], []
    for rows, given in zip(features, grades, strict=True):
        grade = np.asarray(given)
        better, worse = np.nonzero(grade[:, None] > grade[None, :])
        if len(better):
            differences.append(rows[better] - rows[worse])
            weight.append(np.full(len(better), 1 / len(better)))
    if not differences:
        raise ValueError("no question has answers of two different grades")
    x, w = np.vstack(differences), np.concatenate(weight)
    scale = np.maximum(x.std(0), 1e-6)
    z = x / scale
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(np.clip(z @ beta, -30, 30)))
        gradient = -z.T @ (w * p) + strength * beta
        hessian = (z * (w * p * (1 - p))[:, None]).T @ z + strength * np.eye(len(beta))
        step = np.linalg.solve(hessian, gradient)
        beta -= step
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(beta / scale)


def folds(count: int, of: int = 5) -> list[np.ndarray]:
    """`of` runs of neighbouring questions, as row numbers: the questions on one topic stand together in the files."""
    return [rows for rows in np.array_split(np.arange(count), of) if len(rows)]


def held_out(features: Sequence[np.ndarray], grades: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Scores of every question by weights fitted on the other folds' questions."""
    found: list[np.ndarray] = [np.empty(0)] * len(features)
    for fold in folds(len(features)):
        rest = sorted(set(range(len(features))) - set(fold.tolist()))
        weights = fit([features[row] for row in rest], [grades[row] for row in rest])
        for row in fold:
            found[row] = features[row] @ weights
    return found


def _joined(answer: Given) -> str:
    return f"{answer.title} {answer.body}".strip()


def _passages(answer: Given, count_tokens: CountTokens, max_tokens: int) -> list[str]:
    """An answer's passages as the index would embed them."""
    pair = QAPair(answer.id, answer.title, answer.body)
    pieces = cut(0, pair, count_tokens, max_tokens)
    return [embedding_text(answer.title, piece) for piece in pieces] or [answer.title]


class _Words:
    """Stemmed words and their rarity among some texts, as a share of what an unknown word would weigh."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._known: dict[str, frozenset[str]] = {}
        self._size = len(texts)
        self._frequency: Counter[str] = Counter()
        for text, words in zip(texts, tokenise(texts), strict=True):
            self._known[text] = frozenset(words)
            self._frequency.update(self._known[text])

    def of(self, text: str) -> frozenset[str]:
        """The text's distinct words."""
        if text not in self._known:
            self._known[text] = frozenset(tokenise([text])[0])
        return self._known[text]

    def share(self, words: frozenset[str], among: frozenset[str]) -> float:
        """The share of the words' weight that is `among` others; 0 for no words."""
        total = sum(map(self.weight, words))
        return sum(map(self.weight, words & among)) / total if total else 0.0

    def weight(self, word: str) -> float:
        """A word's rarity in 0..1; the formula is that of bm25s' default (Lucene's) inverse document frequency."""
        seen = self._frequency[word]
        return float(np.log1p((self._size - seen + 0.5) / (seen + 0.5)) / np.log1p((self._size + 0.5) / 0.5))
