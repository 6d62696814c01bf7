"""How good a ranking is: MAP, MRR, P@1, nDCG@10, the grade on top and success among the first.

No command of its own; `eval/retrieval/` reports with it. Grades are 1 to 4; from 3 on an answer is correct.
A question with no correct answer counts as 0 in every share, as in the published figures of MEDIQA-2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.datasets.judged import CORRECT

MEASURES = ("map", "mrr", "p@1", "ndcg@10", "grade@1", "success@3", "success@5")
RESAMPLES = 2000
"""Of the bootstrap interval of a measure (`bootstrap.py`)."""
DEPTH = 10
"""Answers that nDCG looks at."""


def order(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """Positions of the answers, best score first; equal scores keep the order they were given in."""
    return np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")


def measures(grades: Sequence[int]) -> dict[str, float]:
    """The measures of one question from its answers' grades, best-ranked first: every judged answer, no other.

    nDCG@10 takes 2^(grade - 1) - 1 as an answer's gain, so 0, 1, 3 and 7 for grades 1 to 4 (Burges et al., 2005,
    with grade 1 as "no gain"), over log2(rank + 1); it is 0 where no answer has a gain. Average precision divides by
    the correct answers among those judged. Raises ValueError for a question without an answer.
    """
    if not len(grades):
        raise ValueError("a question without a judged answer has no measures")
    found = np.asarray(grades, dtype=np.int64)
    right = found >= CORRECT
    ranks = np.arange(1, len(found) + 1)
    gains = 2.0 ** (found - 1) - 1
    ideal = _discounted(np.sort(gains)[::-1])
    return {
        "map": float((np.cumsum(right) / ranks)[right].mean()) if right.any() else 0.0,
        "mrr": 1 / float(right.argmax() + 1) if right.any() else 0.0,
        "p@1": float(right[0]),
        "ndcg@10": _discounted(gains) / ideal if ideal else 0.0,
        "grade@1": float(found[0]),
        "success@3": float(right[:3].any()),
        "success@5": float(right[:5].any()),
    }


def _discounted(gains: np.ndarray) -> float:
    top = gains[:DEPTH]
    return float((top / np.log2(np.arange(2, len(top) + 2))).sum())
