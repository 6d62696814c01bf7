"""Bootstrap intervals by topic for the evaluation's figures. No command of its own: `python -m eval` uses it.

The interval of a figure is the 95% percentile bootstrap interval (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapter 13): the 2.5th and 97.5th percentile of the figure over `rounds` resamples. What is drawn
with replacement is whole topics, with all their rows (a cluster bootstrap), because answers about one topic share
their source and are right or wrong together: drawing single rows would make the intervals too narrow. As many topics
are drawn as there are. A difference between two ways of answering is taken within each resample, so it is paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from configs.errors import UserError

PERCENTILES = (2.5, 97.5)
Score = Callable[[np.ndarray], float]
"""From summed statistics, shape (k,), to a figure: `eval.metrics.text.Bleu.score`."""


class Figure(NamedTuple):
    """A figure with the ends of its 95% interval, in the figure's own unit; NaN where no row has a value."""

    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves 0 out: for a difference, whether one is shown."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, float | None]:
        """For JSON: 4 decimal places, None for NaN."""
        return {name: None if math.isnan(x) else round(float(x), 4) for name, x in self._asdict().items()}


class Topics:
    """Resamples of the topics of n rows, drawn once, so that all figures of a report share their draws."""

    def __init__(self, topics: Sequence[int], rounds: int = 1000, seed: int = 0) -> None:
        """`topics`: each row's topic. Raises UserError for no rows, ValueError for no rounds."""
        if not len(topics):
            raise UserError("no answers to score: the test questions are none; choose another split or a larger -n")
        if rounds < 1:
            raise ValueError(f"rounds is {rounds}, must be 1 or more")
        self.topics = np.asarray(topics)
        self.rounds = rounds
        self.seed = seed
        named, of_row = np.unique(self.topics, return_inverse=True)
        drawn = np.random.default_rng(seed).multinomial(len(named), np.full(len(named), 1 / len(named)), size=rounds)
        # How often each row is in each resample, (rounds, n); float64, for it is only ever multiplied.
        self.weights = drawn[:, of_row].astype(np.float64)

    def __len__(self) -> int:
        return len(self.topics)

    def subset(self, rows: Sequence[int]) -> Topics:
        """Topics for some rows only, in the order given: their topics are drawn anew, with the same rounds and seed.

        Raises UserError for no rows.
        """
        return Topics(self.topics[np.asarray(rows, dtype=np.intp)].tolist(), self.rounds, self.seed)

    def mean(self, values: npt.ArrayLike) -> Figure:
        """The mean of n values; rows with NaN are left out. Raises ValueError for another number of values."""
        given = self._rows(values)
        return self.ratio(given, np.ones(len(given)))

    def ratio(self, numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Figure:
        """Sum over sum, for shares over sentences or words; a row with NaN in either is left out.

        NaN where the denominators sum to 0; a resample for which they do is left out of the interval. Raises
        ValueError for another number of values than rows.
        """
        above, below = self._rows(numerators), self._rows(denominators)
        kept = ~(np.isnan(above) | np.isnan(below))
        above, below = np.where(kept, above, 0.0), np.where(kept, below, 0.0)
        value = _divide(above.sum(keepdims=True), below.sum(keepdims=True))[0]
        return _figure(value, _divide(self.weights @ above, self.weights @ below))

    def difference(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Figure:
        """The mean of a - b, paired by row; a row with NaN in either is left out."""
        return self.mean(self._rows(a) - self._rows(b))

    def of_sums(self, statistics: npt.ArrayLike, score: Score) -> Figure:
        """A figure of the whole corpus, as BLEU: `score` of the summed statistics; `statistics` is (n, k).

        Raises ValueError for another number of rows.
        """
        rows = self._statistics(statistics)
        return _figure(score(rows.sum(0)), self._scores(rows, score))

    def difference_of_sums(self, a: npt.ArrayLike, b: npt.ArrayLike, score: Score) -> Figure:
        """`score` of a's summed statistics less that of b's, over the same resamples; both are (n, k)."""
        first, second = self._statistics(a), self._statistics(b)
        value = score(first.sum(0)) - score(second.sum(0))
        return _figure(value, self._scores(first, score) - self._scores(second, score))

    def _scores(self, rows: np.ndarray, score: Score) -> np.ndarray:
        return np.array([score(summed) for summed in self.weights @ rows])

    def _rows(self, values: npt.ArrayLike) -> np.ndarray:
        found = np.asarray(values, dtype=np.float64)
        if found.shape != (len(self),):
            raise ValueError(f"values have the shape {found.shape}, the topics have {len(self)} rows")
        return found

    def _statistics(self, values: npt.ArrayLike) -> np.ndarray:
        found = np.asarray(values, dtype=np.float64)
        if found.ndim != 2 or len(found) != len(self):
            raise ValueError(f"statistics have the shape {found.shape}, must be ({len(self)}, k)")
        return found


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def _figure(value: float, resampled: np.ndarray) -> Figure:
    counted = resampled[~np.isnan(resampled)]
    if math.isnan(value) or not len(counted):
        return Figure(float(value), math.nan, math.nan)
    low, high = np.percentile(counted, PERCENTILES)
    return Figure(float(value), float(low), float(high))
