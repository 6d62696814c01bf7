"""Generators: one small file a backend, each a langchain-core chat model."""
