"""Fits the models that `rag` loads. Nothing imports it."""
