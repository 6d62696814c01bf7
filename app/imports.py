"""Gradio imported in half the time.

At each import Gradio reads the source of its sixty component classes and writes type stubs (`.pyi`) beside them, which
only an editor reads: 1.3 of 3 seconds. Before the package is imported, this puts nothing in the place of that step.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULE, STEP = "gradio.component_meta", "create_or_modify_pyi"


class _Finder(MetaPathFinder):
    """Finds MODULE as Python does, and replaces its STEP once it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_without(module: ModuleType) -> None:
                run(module)
                if hasattr(module, STEP):
                    setattr(module, STEP, lambda *_: None)

            spec.loader.exec_module = run_without  # type: ignore[method-assign]
        return spec


def without_stubs() -> None:
    """Have Gradio write no stubs, if it is not imported yet."""
    if MODULE not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
