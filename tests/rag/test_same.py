"""The same question gives the same answer in every process: nothing may follow the order of a set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import tempfile
from pathlib import Path
from configs import load
from configs.schema import Answering, IndexSettings, Passages
from index.build import build
from index.corpus import QAPair
from rag.answer import Source
from rag.attribution.attribute import attribute
from rag.pipeline import Pipeline
from rag.retrieval.hybrid import HybridRetriever
from tests import fakes

texts = [
    "Gout is a common, painful form of arthritis caused by high levels of uric acid crystals in a swollen joint.",
    "Rheumatoid arthritis is a rare, chronic disease in which the immune system attacks the lining of the joints.",
    "Low doses of allopurinol decrease uric acid; before meals is better than after, and early treatment is safe.",
]
pairs = [QAPair(f"q{n}", f"What is said of joints, part {n}?", t, focus=f"Joint {n}") for n, t in enumerate(texts)]
pairs += [fakes.pair(row) for row in range(40)]
profile, _ = load("embedded", ["retriever.abstain_below=0", "answering.mode=extractive"])
embedder = fakes.FakeEmbedder(dimensions=64, max_tokens=64)
folder = Path(tempfile.mkdtemp())
index = build(fakes.corpus(pairs), folder, Passages(max_tokens=64), embedder, IndexSettings())
pipeline = Pipeline(profile, index, HybridRetriever.create(index, embedder, profile.retriever), folder)
for question in ("What causes painful arthritis of a swollen joint, uric acid or the immune system?",
                 "Is early treatment with high doses after meals safe for a common chronic disease of the joints?"):
    found = pipeline.retriever.retrieve(question)
    print(repr(found.confidence), [(hit.row, repr(hit.score)) for hit in found.hits])
    print([s.text for s in pipeline.invoke(question).sentences])
sources = [
    Source(n=n, passage_id=str(n), pair_id=str(n), title="", question="", text=t) for n, t in enumerate(texts, 1)
]
for draft in ("Gout is a rare, painless arthritis from low levels of uric acid crystals in the joint after meals.",
              "High doses of allopurinol increase uric acid; late treatment is unsafe for the immune system of joints.",
              "Arthritis is caused by uric acid crystals, and the immune system attacks the lining of swollen joints."):
    for one in attribute(draft, sources, Answering()):
        print(one.text, one.citations, repr(one.support), one.note)
"""


def test_hash_seeds_change_nothing() -> None:
    said = set()
    for seed in ("0", "1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1, "\n---\n".join(said)
    assert "the source says" in said.pop()
