"""Question to cited answer: `python -m rag "question"`."""
