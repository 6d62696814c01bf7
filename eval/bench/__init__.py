"""Benchmarks of speed. `python -m eval bench` runs them; each part is `run(profile, index, n)` of its own module."""
