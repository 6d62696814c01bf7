"""Fits the models that `rag` loads. Nothing imports it but `eval/experts.py`, which cross-validates one of them."""
