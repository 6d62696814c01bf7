"""Gradio is imported whole, and writes no stubs meanwhile."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import app, sys, inspect
import gradio as gr
from gradio import component_meta
assert component_meta.create_or_modify_pyi.__module__ == "app.imports", component_meta.create_or_modify_pyi.__module__
assert not any(type(one).__module__ == "app.imports" for one in sys.meta_path)
with gr.Blocks() as blocks:
    box = gr.Textbox()
    box.submit(lambda text: text, box, box)
print(len(blocks.fns))
"""


def test_gradio_works_and_writes_no_stubs() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1"]
