"""Figures of texts, rankings and citations, with their intervals."""
