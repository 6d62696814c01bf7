"""Benchmarks, each a module with `run(...) -> dict` and a command of its own."""
