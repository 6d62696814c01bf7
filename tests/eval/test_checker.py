"""The citation checker: its features by hand-worked cases, its fit, the labelled pairs, and an entailment model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from configs.errors import UserError
from eval.calibration import citations as fitting
from eval.checker import checker, trust
from eval.checker.claims import NAMES, compare
from eval.checker.pairs import FALSE_KINDS, HELD_OUT, TRUE_KINDS, Labelled, labelled
from index.corpus import QAPair
from tests.fakes import FakeEmbedder

GOUT = (
    "Gout\nWhat is Gout?\nGout is a form of arthritis. It is caused by the buildup of uric acid in the body. "
    "About 3 million people have gout. Men are more likely than women to get it. "
    "Colchicine does not cure the disease.\nSymptoms include:\n- fever\n- severe pain in the big toe"
)


def measured(claim: str, premise: str = GOUT) -> dict[str, float]:
    return dict(zip(NAMES, compare(premise, claim).features.tolist(), strict=True))


def test_a_sentence_of_the_premise_differs_in_nothing() -> None:
    found = measured("Men are more likely than women to get it.")
    assert [found[name] for name in NAMES[:4]] == [1, 1, 1, 1]
    assert not any(found[name] for name in NAMES[4:])
    assert compare(GOUT, "Men are more likely than women to get it.").stretch.startswith("Men are")


@pytest.mark.parametrize(
    ("claim", "feature"),
    [
        ("About 4 million people have gout.", "missing_numbers"),
        ("Colchicine does cure the disease.", "negation"),
        ("It is not caused by the buildup of uric acid in the body.", "negation"),
        ("Men are less likely than women to get it.", "opposite"),
        ("Women are more likely than men to get it.", "opposite"),
        ("Gout is a form of Osteoporosis.", "missing_rare"),
        ("Gout is a form of Lupus.", "missing_names"),
    ],
)
def test_an_altered_fact_shows_in_its_feature(claim: str, feature: str) -> None:
    assert measured(claim)[feature] >= 1


def test_a_number_from_elsewhere_in_the_premise_is_far() -> None:
    premise = "It begins at 30 years in most of those who have it. Later the joints swell. Half of 50 men recover."
    found = measured("It begins at 50 years in most of those who have it.", premise)
    assert (found["missing_numbers"], found["far_numbers"]) == (0, 1)


def test_what_surrounds_the_claim_is_no_difference() -> None:
    premise = "It grows slowly in adults, never in children, and it is not a cancer."
    assert measured("It grows slowly in adults.", premise)["negation"] == 0
    assert measured("It does not grow slowly in adults.", premise)["negation"] == 1
    assert measured("It grows slowly in adults and in children.", premise)["negation"] == 1


def test_two_sentences_far_apart_are_both_found() -> None:
    premise = "Asthma narrows the airways. " + "Nothing is said here. " * 20 + "Rest heals a sprained ankle."
    found = measured("Asthma narrows the airways, and rest heals a sprained ankle.", premise)
    assert (found["stretch"], found["missing"]) == (1, 0)


@pytest.mark.parametrize("claim", ["", "...", "It is."])
def test_a_claim_or_premise_without_content_does_no_harm(claim: str) -> None:
    assert np.isfinite(compare(GOUT, claim).features).all()
    assert compare("", "Gout hurts.").features[0] == 0


# -- the shipped model --------------------------------------------------------------------------------------------


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
    assert checker.SupportChecker.load().supports(GOUT, claim) is expected


def test_a_batch_says_what_single_questions_say() -> None:
    shipped = checker.SupportChecker.load()
    pairs = [(GOUT, "Fever"), (GOUT, "Hives"), ("", "Fever"), (GOUT, "Fever")]
    assert shipped.supports_all(pairs) == [shipped.supports(*pair) for pair in pairs] == [True, False, False, True]
    assert shipped.supports_all([]) == []
    assert shipped.name == "lexical support"


def test_what_the_shipped_model_was_fitted_on_is_written_down() -> None:
    data = json.loads(checker.SHIPPED.read_text("utf-8"))
    assert set(data["models"]) == {"lexical", "lexical and embeddings"}
    assert {"date", "corpus", "splits", "split", "n", "out of fold"} <= set(data["provenance"])
    assert data["provenance"]["split"] == "validation"


def test_with_an_embedder_each_text_is_embedded_once() -> None:
    embedder = FakeEmbedder()
    model = checker.Model((*(0.0 for _ in NAMES), 10.0), -5.0, 0.5)
    cosine = checker.SupportChecker(model, embedder)
    assert cosine.supports_all([(GOUT, "Gout is a form of arthritis."), (GOUT, "Wash your hands.")]) == [True, False]
    before = len(embedder.encoded)
    cosine.supports(GOUT, "Wash your hands.")
    assert len(embedder.encoded) == before == len(set(embedder.encoded))
    assert cosine.name == "lexical and embedding support"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("{", "damaged"),
        ('{"schema": 1, "models": []}', "damaged"),
        ('{"schema": 1, "models": {}}', "no model of lexical in it"),
        (
            '{"schema": 1, "models": {"lexical": {"weights": {"x": 1}, "bias": 0, "threshold": 1}}, "provenance": {}}',
            "made for other features",
        ),
    ],
)
def test_a_bad_model_file_is_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "checker.json"
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(UserError, match=message):
        checker.SupportChecker.load(path=path)


# -- fitting and reporting ----------------------------------------------------------------------------------------


def test_equal_error_by_hand() -> None:
    chances = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.9])
    labels = np.array([False, False, True, False, True, True])
    # Between 0.3 and 0.6 a third of the supported is refused and a third of the others accepted.
    assert fitting.equal_error(chances, labels, np.ones(6)) == pytest.approx(0.45)
    apart = np.array([False, False, False, True, True, True])
    assert fitting.equal_error(chances, apart, np.ones(6)) == pytest.approx(0.45)


def made_up(n: int) -> tuple[np.ndarray, list[Labelled]]:
    dice = np.random.default_rng(0)
    made = [Labelled("a" if k % 2 else "b", "", "", k % 2 == 1, f"p{k // 4}") for k in range(n)]
    features = dice.normal(0, 1, (n, len(NAMES)))
    features[:, 0] = [dice.normal(1.5 if item.supported else -1.5, 1) for item in made]
    return features, made


def test_the_fit_finds_the_feature_that_tells_and_survives_the_disk(tmp_path: Path) -> None:
    features, made = made_up(400)
    model, shown = fitting.fit(features, made)
    assert model.weights[0] > 5 * max(abs(weight) for weight in model.weights[1:])
    # Two normal curves three deviations apart, cut in the middle: 93% of each on its side.
    assert shown["precision"] == pytest.approx(0.933, abs=0.03)
    assert shown["recall"] == pytest.approx(0.933, abs=0.03)
    path = tmp_path / "checker.json"
    checker.save(path, {False: model}, {"n": 400})
    assert checker.SupportChecker.load(path=path).model == model
    assert [item.name for item in tmp_path.iterdir()] == ["checker.json"]


def test_one_label_alone_cannot_be_fitted() -> None:
    features, made = made_up(20)
    with pytest.raises(ValueError, match="both"):
        fitting.fit(features[::2], made[::2])


def test_figures_by_hand() -> None:
    made = [Labelled("own", "", "", True, "p")] * 4 + [Labelled("reworded", "", "", True, "p")]
    made += [Labelled("number", "", "", False, "p")] * 2
    found = trust.figures([True, True, True, False, False, True, False], made)
    assert (found["precision"], found["recall"]) == (0.75, 0.6)
    # Each kind the same: recall is the mean of 3/4 and 0; of the false ones half are called supported.
    assert found["weighted"]["recall"] == 0.375
    assert found["weighted"]["precision"] == pytest.approx(0.375 / (0.375 + 0.5), abs=1e-4)
    assert found["kinds"]["own"] == {"n": 4, "label": "supported", "supported": 0.75}
    nothing = trust.figures([False] * 7, made)
    assert (nothing["precision"], nothing["recall"]) == (None, 0.0)


def test_the_report_shows_what_was_never_fitted_on_apart() -> None:
    made = [Labelled("own passage", GOUT, "Gout is a form of arthritis.", True, "p")]
    made.append(Labelled("freely reworded", GOUT, "Uricemia underlies podagra.", True, "p"))
    found = trust.report(checker.SupportChecker.load(), made)
    assert (found["precision"], found["recall"], found["n"]) == (1.0, 0.5, 2)
    assert found["plain"] == {"n": 1, "precision": 1.0, "recall": 1.0}
    shown = trust.table({"split": "test", **found})
    assert "| freely reworded | supported | 1 | 0.000 |" in shown
    assert "recall 0.500" in shown


# -- labelled pairs -----------------------------------------------------------------------------------------------


def page(name: str, number: int) -> QAPair:
    answer = (
        f"{name} usually affects {number} in 1,000 adults before the age of {number + 40}. "
        f"If the kidneys fail, {name} can damage the nerves of the hands and feet. "
        f"{name} causes a painful swelling of the left knee. "
        f"The treatment of {name} reduces severe symptoms, such as pain (which wakes people), and helps children.\n"
        f"- {name} rash\n- high fever of the {name} kind\n"
    )
    more = " ".join(f"Paragraph {k} of the page on {name} tells of sign number {k * 7 + number}." for k in range(30))
    return QAPair(id=name, question=f"What is {name}?", answer=answer + more, focus=name)


def test_pairs_have_the_label_that_their_kind_means() -> None:
    names = ["Asthma", "Gout", "Scurvy", "Rickets", "Measles", "Mumps", "Eczema", "Glaucoma", "Migraine", "Anemia"]
    pages = [page(name, k + 2) for k, name in enumerate(names)]
    twin = QAPair(
        id="Gout 2", question="Who gets Gout?", answer="Men over 40 get it more often than others. " * 5, focus="Gout"
    )
    made = labelled([*pages, twin], range(len(pages) + 1), 11)
    assert made == labelled([*pages, twin], range(len(pages) + 1), 11)
    kinds = {item.kind for item in made}
    assert {"own passage", "two sources", "one of its two sources", "other topic", "number altered"} <= kinds
    by_kind = {item.kind: item.supported for item in made}
    assert all(by_kind[item.kind] == item.supported for item in made)
    assert not any(by_kind.get(kind) for kind in FALSE_KINDS.values())
    assert all(by_kind.get(kind, True) for kind in (*TRUE_KINDS.values(), "two sources", "list item"))
    for item in made:
        if item.kind == "own passage":
            assert item.claim in item.premise
        if not item.supported:
            assert item.claim not in item.premise
    assert by_kind["same topic, other page"] is False


def test_changes_of_order_and_words_by_hand() -> None:
    from eval.checker import pairs

    assert pairs._reordered("If the kidneys fail, it harms the nerves of the feet.") == (
        "It harms the nerves of the feet if the kidneys fail."
    )
    assert pairs._voice_changed("Uric acid causes painful gout.") == "Painful gout can be caused by uric acid."
    assert pairs._exchanged("Uric acid causes painful gout.") == "Painful gout causes uric acid."
    assert pairs._exchanged("It is known that uric acid causes gout.") is None
    assert pairs._freely_reworded("The treatment reduces severe pain.") == "The therapy reduces serious pain."
    assert pairs._freely_reworded("The treatment works.") is None
    assert set(HELD_OUT) == {"freely reworded", "voice changed", "roles exchanged", "clauses reordered"}


# -- an entailment model ------------------------------------------------------------------------------------------


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
        checker.NliChecker(tmp_path / "none").supports("a", "b")
    with pytest.raises(UserError, match="exactly one must begin"):
        checker.NliChecker(tiny_model(tmp_path / "m", ["label_0", "label_1"], [0, 0])).supports("a", "b")
