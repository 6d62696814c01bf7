"""A question's given answers, scored: BM25, a plain embedder, and as this project's retrieval would see them.

No command of its own; `judged_sets.py` compares the systems. An answer is read as the index reads a pair: its title in
the place of the pair's question, its text cut into the index's passages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from configs.schema import Profile
from eval.datasets.judged import Given, Question
from eval.retrieval.deployed import deployed
from index.cache import encode
from index.corpus import QAPair
from index.embedder import EmbedderLike
from index.lexical import Lexical
from index.passages import cut, embedding_text
from index.progress import shown
from rag.retrieval.question import parts

WINDOW = 180
"""Words of a plain window."""


def windows(text: str, size: int = WINDOW) -> list[str]:
    """The text in pieces of `size` words, one after the other; at least one piece."""
    words = text.split()
    return [" ".join(words[at : at + size]) for at in range(0, max(len(words), 1), size)]


@dataclass
class Answers:
    """The judged answers of a set of questions, and their scores.

    Every system is one array (n_answers,) a question, in the order of its answers. All texts are embedded at once, at
    the first score that needs them. `whole`: the plain embedder reads title and body, as much as it takes of them, and
    no windows. `cache` is the folder of vectors (`index/cache.py`).
    """

    name: str
    questions: Sequence[Question]
    profile: Profile
    embedder: EmbedderLike
    cache: Path | None = None
    whole: bool = False

    @cached_property
    def parts(self) -> list[list[str]]:
        """Each question's parts, as the retriever takes a long message apart."""
        return [parts(question.text, self.profile.retriever.parts) for question in self.questions]

    @cached_property
    def passages(self) -> list[list[list[str]]]:
        """Each answer's passages, as the index would embed them."""
        return [[self._passages(answer) for answer in question.answers] for question in self.questions]

    def systems(self) -> dict[str, list[np.ndarray]]:
        """Scores by the system's name; another system is one more entry."""
        return {
            "BM25": self.bm25(),
            "BM25, one question's answers": self.bm25_within(),
            "MiniLM on question + answer" if self.whole else "MiniLM, best window": self.plain(),
            "dense": self.dense(),
            "deployed": deployed(self.name, self.questions, self.profile, self.embedder, self.cache),
        }

    def ranks(self) -> list[np.ndarray]:
        """The ranks that the file gives, as scores: CHiQA's."""
        return [np.array([-answer.rank for answer in question.answers], float) for question in self.questions]

    def bm25(self) -> list[np.ndarray]:
        """BM25 over all answers of the set."""
        engine = Lexical.build([answer.text for question in self.questions for answer in question.answers])
        ends = np.cumsum([len(question.answers) for question in self.questions])
        return [
            engine.scores(question.text)[end - len(question.answers) : end]
            for question, end in zip(self.questions, ends, strict=True)
        ]

    def bm25_within(self) -> list[np.ndarray]:
        """BM25 with each question's own answers as the whole corpus."""
        return [
            Lexical.build([answer.text for answer in question.answers]).scores(question.text)
            for question in self.questions
        ]

    def plain(self) -> list[np.ndarray]:
        """The cosine of the question and the best piece of the answer."""
        found = []
        for question in self.questions:
            asked = self._encode([question.text])[0]
            found.append(np.array([(self._encode(self._pieces(one)) @ asked).max() for one in question.answers]))
        return found

    def dense(self) -> list[np.ndarray]:
        """The retriever's own dense score: title and best passage, the better part of a long message."""
        found, settings = [], self.profile.retriever
        for question, asked, cuts in zip(self.questions, self.parts, self.passages, strict=True):
            vectors = self._encode(asked)
            scores = []
            for answer, texts in zip(question.answers, cuts, strict=True):
                passage = vectors @ self._encode(texts).T
                title = vectors @ self._encode([answer.title])[0] if answer.title else passage.max(axis=1)
                both = settings.question_weight * title[:, None] + settings.passage_weight * passage
                scores.append(both.max())
            found.append(np.array(scores))
        return found

    def _pieces(self, answer: Given) -> list[str]:
        return [f"{answer.title} {answer.body}".strip()] if self.whole else windows(answer.text)

    def _passages(self, answer: Given) -> list[str]:
        pair = QAPair(answer.id, answer.title, answer.body)
        pieces = cut(0, pair, self.embedder.count_tokens, self.profile.passages.max_tokens)
        return [embedding_text(answer.title, piece) for piece in pieces] or [answer.title]

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 (n, d), of texts of this set."""
        rows, vectors = self._embedded
        return np.asarray(vectors[[rows[text] for text in texts]])

    @cached_property
    def _embedded(self) -> tuple[dict[str, int], np.ndarray]:
        """Questions, parts, titles, passages and pieces, once each: their rows, and vectors (n, d)."""
        found: list[str] = []
        for question, asked, cuts in zip(self.questions, self.parts, self.passages, strict=True):
            found += [question.text, *asked, *(answer.title for answer in question.answers if answer.title)]
            found += [text for one in cuts for text in one]
            found += [piece for answer in question.answers for piece in self._pieces(answer)]
        texts = list(dict.fromkeys(found))
        done = 0
        with shown() as say:

            def progress(count: int) -> None:
                nonlocal done
                done += count
                say(self.name, done, len(texts))

            vectors = encode(texts, self.embedder, self.cache, progress)
        return {text: row for row, text in enumerate(texts)}, vectors
