"""Generators: one file a backend, which `base.py` finds by the profile's `generator.backend`."""
