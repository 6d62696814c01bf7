"""Question to cited answer: `python -m rag "question"`.

`pipeline.py` is the whole path: `emergency/` looks for an emergency, `retrieval/` ranks passages and says how sure it
is, `prompt.py` and `generators/` have the draft written, `attribution/` decides what each sentence cites, and
`answer.py` is what comes out.
"""
