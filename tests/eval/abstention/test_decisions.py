"""What the model would decide is read off the right places, and who declines is told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from configs.schema import Answering, Generator
from eval.abstention.decisions import Decision, decide
from rag import prompt
from rag.generators.transformers import TransformersChat
from rag.prompt import ABSTENTION
from tests.rag.generators import tiny
from tests.rag.test_pipeline import make


def test_the_probability_is_that_of_writing_the_abstention_next(tmp_path: Path) -> None:
    tiny.save(tmp_path / "model", spread=0.3)
    chat = TransformersChat.load(Generator(model=str(tmp_path / "model"), precision="fp32"), tmp_path)
    pipeline, _ = make(tmp_path / "index", "")
    pipeline.use(chat)
    (found,) = decide(pipeline, [("own", "What is gout?")], True, lambda step, done, total: None)
    hits = pipeline.retriever.retrieve("What is gout?").hits
    ids = chat.encode(prompt.build("What is gout?", hits, chat.count_tokens, pipeline.profile.prompt).messages, True)
    total, greedy = 0.0, True
    for word in chat.loaded.tokenizer(ABSTENTION, add_special_tokens=False)["input_ids"]:
        with torch.inference_mode():
            row = chat.loaded.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        total, greedy = total + float(row[word]), greedy and int(row.argmax()) == word
        ids = [*ids, word]
    assert found.logp == pytest.approx(total, abs=1e-3)
    assert found.abstains is greedy
    assert found.covered
    assert found.named
    assert 0 < found.confidence < 1


def test_who_declines() -> None:
    settings = Answering(model_abstains_below=0.9)

    def declined(question: str, confidence: float, abstains: bool, named: bool = False) -> bool:
        return Decision("own", question, True, confidence, abstains, -1.0, named).declined(settings, 0.5)

    assert declined("What is gout?", 0.4, False)
    assert not declined("What is gout?", 0.6, False)
    assert declined("What is gout?", 0.6, True)
    assert not declined("What is gout?", 0.9, True)
    assert not declined("What is gout?", 0.6, True, named=True)
    assert declined("What is gout?", 0.4, True, named=True)
    message = "Gout. My father has it. What can he eat?"
    assert not declined(message, 0.6, True)
    assert declined(message, 0.4, True)
