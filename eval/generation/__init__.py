"""What each mode answers, generated once and kept."""

from typing import Literal, get_args

Regime = Literal["indexed", "withheld"]
"""Whether the test topics' own passages are in the index."""
REGIMES: tuple[Regime, ...] = get_args(Regime)
