"""The cluster bootstrap: 95% intervals of the evaluation's figures. No command of its own: `python -m eval` uses it.

    ClusterBootstrap(clusters).mean(values)     # -> Figure(value, low, high); clusters: the topic of each row

Whole clusters are drawn with replacement, with all their rows, as many as there are: answers on one topic share their
source and are right or wrong together, so drawing single rows would make the intervals too narrow. The interval is the
2.5th to the 97.5th percentile of the figure over the resamples (Efron and Tibshirani, An Introduction to the Bootstrap,
1993, chapter 13). A difference is taken within each resample, so it is paired. Where every row is a cluster of its own
this is the ordinary bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from configs.errors import UserError

Score = Callable[[np.ndarray], float]
"""From summed statistics, shape (k,), to a figure: `eval.metrics.text.Bleu.score`."""


class Figure(NamedTuple):
    """A figure with the ends of its 95% interval, in the figure's own unit; NaN where no row has a value."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """For JSON: 4 decimal places, None for NaN."""
        return {name: None if math.isnan(x) else round(float(x), 4) for name, x in self._asdict().items()}

    def as_difference(self) -> dict[str, Any]:
        """`as_dict`, and whether a difference is shown: whether the interval leaves 0 out, before it is rounded."""
        return {**self.as_dict(), "shown": self.low > 0 or self.high < 0}


class ClusterBootstrap:
    """Resamples of n rows by cluster, drawn once, so that all figures of a report share their draws.

    Its methods raise ValueError for another number of values than rows.
    """

    def __init__(self, clusters: Sequence[int], resamples: int = 1000) -> None:
        """`clusters`: each row's cluster. Raises UserError for no rows."""
        if not len(clusters):
            raise UserError("no answers to score: the test questions are none; choose another split or a larger -n")
        self.clusters = np.asarray(clusters)
        self.resamples = resamples
        named, of_row = np.unique(self.clusters, return_inverse=True)
        dice = np.random.default_rng(0)
        drawn = dice.multinomial(len(named), np.full(len(named), 1 / len(named)), size=resamples)
        # How often each row is in each resample, (resamples, n); float64, for it is only ever multiplied.
        self.weights = drawn[:, of_row].astype(np.float64)

    def subset(self, rows: Sequence[int]) -> ClusterBootstrap:
        """Some rows only, in the order given: their clusters are drawn anew. Raises UserError for no rows."""
        return ClusterBootstrap(self.clusters[list(rows)].tolist(), self.resamples)

    def mean(self, values: npt.ArrayLike) -> Figure:
        """The mean of n values; rows with NaN are left out."""
        return self.ratio(values, np.ones(len(self.clusters)))

    def means(self, rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
        """`mean` of every measure, for JSON, from one mapping a row."""
        return {name: self.mean([row[name] for row in rows]).as_dict() for name in rows[0]}

    def ratio(self, numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Figure:
        """Sum over sum, for shares over sentences or words; a row with NaN in either is left out.

        NaN where the denominators sum to 0; a resample for which they do is left out of the interval.
        """
        above, below = self._checked(numerators, 1), self._checked(denominators, 1)
        left_out = np.isnan(above) | np.isnan(below)
        above[left_out] = below[left_out] = 0
        over, under = (np.append(one.sum(), self.weights @ one) for one in (above, below))
        return _figure(np.divide(over, under, out=np.full_like(over, np.nan), where=under != 0))

    def difference(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Figure:
        """The mean of a - b, paired by row; a row with NaN in either is left out."""
        return self.mean(self._checked(a, 1) - self._checked(b, 1))

    def of_sums(self, statistics: npt.ArrayLike, score: Score) -> Figure:
        """A figure of the whole corpus, as BLEU: `score` of the summed statistics (n, k)."""
        return _figure(self._scores(statistics, score))

    def difference_of_sums(self, a: npt.ArrayLike, b: npt.ArrayLike, score: Score) -> Figure:
        """`score` of a's summed statistics less that of b's, over the same resamples; both are (n, k)."""
        return _figure(self._scores(a, score) - self._scores(b, score))

    def _scores(self, statistics: npt.ArrayLike, score: Score) -> np.ndarray:
        rows = self._checked(statistics, 2)
        return np.array([score(summed) for summed in (rows.sum(0), *(self.weights @ rows))])

    def _checked(self, values: npt.ArrayLike, dimensions: int) -> np.ndarray:
        found = np.array(values, dtype=np.float64)
        if found.ndim != dimensions or len(found) != len(self.clusters):
            wanted = (len(self.clusters), "k")[:dimensions]
            raise ValueError(f"values have the shape {found.shape}, must be {wanted}")
        return found


def _figure(values: np.ndarray) -> Figure:
    """From a figure's value, and behind it those of the resamples."""
    value, resampled = float(values[0]), values[1:]
    counted = resampled[~np.isnan(resampled)]
    low, high = np.percentile(counted, (2.5, 97.5)) if len(counted) and not math.isnan(value) else (math.nan, math.nan)
    return Figure(value, float(low), float(high))
