"""Question to ranked passages, and how sure it is that they cover the question."""
