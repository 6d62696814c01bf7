"""People's doors: the Gradio chat and the HTTP API: `python -m app`."""

from app import imports

imports.without_stubs()
