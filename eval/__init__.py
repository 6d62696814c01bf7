"""Measurements: how good the answers are, and how fast."""
