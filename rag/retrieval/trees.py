"""Gradient-boosted trees over named values as they are shipped: numbers, read without the library that fits them.

model = Trees.from_json(json.loads(text))
model.logit({"page": 3.1, "line": 0.62, ...})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEAF = -1


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a tree: left where `names[feature]` is at most `threshold`; a leaf's feature is LEAF."""

    feature: int
    threshold: float
    left: int
    right: int
    value: float


@dataclass(frozen=True)
class Trees:
    """A sum of regression trees (Friedman, 2001, Annals of Statistics 29): a logit. The root is a tree's first node."""

    names: tuple[str, ...]
    base: float
    trees: tuple[tuple[Node, ...], ...]

    def logit(self, values: Mapping[str, float]) -> float:
        """The logit of these values; others than `names` are ignored. Raises KeyError for one that is missing."""
        found = [values[name] for name in self.names]
        total = self.base
        for nodes in self.trees:
            node = nodes[0]
            while node.feature != LEAF:
                node = nodes[node.left if found[node.feature] <= node.threshold else node.right]
            total += node.value
        return total

    def to_json(self) -> dict[str, Any]:
        """Its numbers to six significant digits, as lists."""
        trees = [[[one.feature, _short(one.threshold), one.left, one.right, _short(one.value)] for one in tree]
                 for tree in self.trees]  # fmt: skip
        return {"names": self.names, "base": _short(self.base), "trees": trees}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trees:
        """What `to_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        names = tuple(data["names"])
        trees = tuple(tuple(Node(*node) for node in tree) for tree in data["trees"])
        for tree in trees:
            for at, node in enumerate(tree):
                # Children come behind their parent, so every walk ends.
                inner = node.feature != LEAF
                if inner and not (0 <= node.feature < len(names) and at < min(node.left, node.right)):
                    raise ValueError("not a tree")
                if inner and max(node.left, node.right) >= len(tree):
                    raise ValueError("not a tree")
        if not all(trees):
            raise ValueError("an empty tree")
        return cls(names, float(data["base"]), trees)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
