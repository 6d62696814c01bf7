"""The shipped citation checker on plain cases, and a local entailment model in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import UserError
from eval.checker import checker
from tests.eval.checker.test_claims import GOUT


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("It is caused by the buildup of uric acid in the body.", True),
        ("Gout is caused by a buildup of uric acid.", True),
        ("Fever", True),
        ("severe pain in the big toe", True),
        ("Symptoms include fever and severe pain in the big toe.", True),
        ("About 4 million people have gout.", False),
        ("Colchicine does cure the disease.", False),
        ("Women are more likely than men to get it.", False),
        ("Gout is a form of Lupus.", False),
        ("Hives", False),
        ("Scurvy is caused by a lack of vitamin C.", False),
    ],
)
def test_the_shipped_checker_on_plain_cases(claim: str, expected: bool) -> None:
    assert checker.SupportChecker.load().supports_all([(GOUT, claim)]) == [expected]


def test_a_batch_says_what_single_questions_say() -> None:
    shipped = checker.SupportChecker.load()
    pairs = [(GOUT, "Fever"), (GOUT, "Hives"), ("", "Fever"), (GOUT, "Fever")]
    assert shipped.supports_all(pairs) == [True, False, False, True]
    assert [shipped.supports_all([pair]) for pair in pairs] == [[True], [False], [False], [True]]
    assert shipped.supports_all([]) == []
    assert shipped.name == "lexical support"


def test_the_shipped_models_scores_and_what_it_was_fitted_on() -> None:
    model = checker.SupportChecker.load().model
    pairs = [(GOUT, "Gout is caused by a buildup of uric acid."), (GOUT, "About 4 million people have gout.")]
    known = [0.9831189890375119, 0.0007098817369973675]
    assert model.probability(checker.measure(pairs)) == pytest.approx(known, abs=1e-9)
    assert model.threshold == 0.7523
    assert {"date", "corpus", "splits", "n", "out of fold"} <= set(model.fitted_on)
    assert model.fitted_on["split"] == "validation"


def tiny_model(folder: Path, labels: list[str], bias: list[float]) -> Path:
    """A random two-layer BERT over a vocabulary of a few words, whose head's bias decides."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "gout", "hurts", "it", "is", "rare", "."]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=32,
        id2label=dict(enumerate(labels)),
        label2id={label: n for n, label in enumerate(labels)},
    )
    torch.manual_seed(0)
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor(bias))
    model.save_pretrained(folder)
    return folder


def test_an_entailment_models_labels_are_read_from_its_config(tmp_path: Path) -> None:
    yes = checker.NliChecker(tiny_model(tmp_path / "yes", ["CONTRADICTION", "ENTAILMENT", "NEUTRAL"], [0, 1, 0]))
    no = checker.NliChecker(tiny_model(tmp_path / "no", ["entailment", "not_entailment"], [0, 1]))
    # Premise and claim are both longer than the model's 32 tokens.
    pairs = [("Gout hurts.", "It hurts."), ("gout is rare. " * 40, "it hurts " * 30), ("", "Gout.")]
    assert yes.supports_all(pairs) == [True, True, True]
    assert no.supports_all(pairs) == [False, False, False]
    assert yes.supports_all([]) == []


def test_one_part_of_a_long_premise_is_enough(tmp_path: Path) -> None:
    import torch

    nli = checker.NliChecker(tiny_model(tmp_path / "m", ["entailment", "neutral"], [0, 0]), batch_size=2)
    tokenizer, _, label, limit = nli._load()
    hurts = tokenizer.convert_tokens_to_ids("hurts")

    class Finds(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, **_: torch.Tensor) -> object:
            entailed = (input_ids == hurts).any(-1).float()
            return type("Out", (), {"logits": torch.stack([entailed, 1 - entailed], -1)})

    nli._loaded = (tokenizer, Finds(), label, limit)
    late = "gout is rare. " * 30 + "gout hurts"
    assert nli.supports_all([("gout is rare. " * 30, "it is"), (late, "it is"), ("hurts", "it")]) == [False, True, True]


def test_a_model_without_an_entailment_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model there"):
        checker.NliChecker(tmp_path / "none").supports_all([("a", "b")])
    with pytest.raises(UserError, match="exactly one must begin"):
        checker.NliChecker(tiny_model(tmp_path / "m", ["label_0", "label_1"], [0, 0])).supports_all([("a", "b")])
