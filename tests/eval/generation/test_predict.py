"""What decides a prediction, what its reader would have seen of it, and the views made of predictions."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from configs.errors import UserError
from configs.schema import Generator, Profile
from eval import views
from eval.generation.identity import generator_identity, same_splits
from eval.generation.predict import Prediction, chosen
from index.splits import Splits, make
from rag.answer import Answer, Sentence
from tests import fakes
from tests.rag.generators import tiny


def prediction(status: str = "answered", seen: str | None = None, **more: Any) -> Prediction:
    answer = Answer(question="q", mode="finetuned+rag", status=status, sentences=(Sentence(text="It is so."),), **more)
    return Prediction("p", answer, seen or status)  # type: ignore[arg-type]


def test_what_a_reader_sees() -> None:
    assert prediction().text == prediction().without_abstention == "It is so."
    unsure = prediction(seen="abstained")
    assert (unsure.text, unsure.without_abstention, unsure.declined) == ("", "It is so.", False)
    declined = prediction("abstained")
    assert (declined.text, declined.without_abstention, declined.declined) == ("", "", True)
    # The notice stands alone, whatever stands in the answer under it.
    assert prediction("emergency").text == ""


def scored(values: list[float]) -> Any:
    return SimpleNamespace(values={"rougeL": np.array(values), "rouge1": np.array(values)})


def test_what_the_model_declined_is_at_no_coverage_of_the_curve() -> None:
    found = [
        prediction(confidence=0.9),
        prediction("abstained", confidence=0.95),
        prediction(confidence=0.2),
        prediction("abstained", confidence=0.1),
    ]
    curve = views.risk(("finetuned+rag", "withheld"), found, scored([0.8, 0.0, 0.4, 0.0]))
    assert [(point["coverage"], point["risk"]) for point in curve["points"]] == [(0.25, 0.2), (0.5, 0.4)]
    assert curve["area"] == pytest.approx(0.3)
    none = views.risk(("finetuned+rag", "withheld"), found[1:2], scored([0.0]))
    assert none["points"] == []
    assert none["area"] is None


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 20])
def test_no_question_is_an_example_twice(n: int) -> None:
    pair = SimpleNamespace(question="", answer="", source="", url="", focus="")
    pairs = [SimpleNamespace(**{**vars(pair), "question": str(number)}) for number in range(n)]
    run: Any = SimpleNamespace(pairs=pairs, setup=SimpleNamespace(seed=0))
    key = ("finetuned+rag", "indexed")
    found = views.examples(run, {key: [prediction()] * n}, {key: scored([1 / (at + 1) for at in range(n)])})  # type: ignore[dict-item]
    asked = [example["question"] for example in found]
    assert min(n, 3) <= len(asked) == len(set(asked)) <= 9
    assert asked[0] == "0"
    if n > 1:
        assert [example["question"] for example in found if example["why"] == "worst"][-1] == str(n - 1)


def test_whatever_decides_a_draft_is_in_its_identity(tmp_path: Path) -> None:
    model, adapter = tmp_path / "model", tmp_path / "adapter"
    tiny.save(model)
    tiny.save_adapter(model, adapter)

    def identity(**more: Any) -> str:
        section = Generator(**{"model": str(model), "adapter": str(adapter), **more})
        return generator_identity(Profile.model_construct(generator=section), tmp_path)

    first = identity()
    assert identity() == first
    assert identity(adapter="") != first
    assert identity(precision="fp32") != first
    (adapter / "README.md").write_text("a card decides nothing")
    assert identity() == first
    known = {first}
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": config["lora_alpha"] * 2}))
    known.add(identity())
    (adapter / "chat_template.jinja").write_text("{{ messages[0].content }}")
    known.add(identity())
    weights = next(model.glob("*.safetensors"))
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    known.add(identity())
    assert len(known) == 4


def test_moving_code_keeps_drafts_and_a_raised_version_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eval.generation import identity as made_by

    tiny.save(tmp_path / "model")
    profile = Profile.model_construct(generator=Generator(model=str(tmp_path / "model")))
    first = generator_identity(profile, tmp_path)
    # Drafts of the first version were kept under digests of its code: they are found under just these.
    assert json.loads(first)["code"] == list(made_by.FIRST_GENERATION)
    assert "rag" not in first.replace(str(tmp_path), "")
    monkeypatch.setattr(made_by, "GENERATION_VERSION", 2)
    assert json.loads(generator_identity(profile, tmp_path))["code"] == 2


def test_an_adapter_that_began_on_other_splits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune import store

    splits = Splits("topic", 0, "corpus", {"a": "train"}, {"a": 0})
    manifest = {"splits": splits.hash, "split_by": "topic"}
    monkeypatch.setattr(store, "read_manifest", lambda folder: manifest)
    (tmp_path / store.MANIFEST).write_text("{}")
    same_splits(str(tmp_path), splits)
    manifest["continues"] = [{"splits": "f" * 64}]
    with pytest.raises(UserError, match="trained on other splits \\(ffffffffffff\\)"):
        same_splits(str(tmp_path), splits)


def test_the_same_pairs_are_drawn_topic_by_topic() -> None:
    pairs = fakes.corpus(200).pairs
    splits = make(pairs, "digest", by="row")
    rows = chosen(pairs, splits, "test", 10, seed=0)
    assert rows == chosen(pairs, splits, "test", 10, seed=0)
    assert {splits.split_of[pairs[row].id] for row in rows} == {"test"}
    topics = [splits.topic_of[pairs[row].id] for row in rows]
    possible = {splits.topic_of[pairs[row].id] for row in splits.rows(pairs, "test")}
    assert len(set(topics)) == min(10, len(possible))
