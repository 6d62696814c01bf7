"""Expert summaries: read line by line, quoted from and scored; nothing is scored by a model that saw its question."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest

import configs
from configs.errors import UserError
from eval import experts
from eval.calibration import digest as calibration
from eval.calibration import kinds as learning
from eval.datasets.experts import FILE, Expert, as_sources, leads, read
from index.corpus import QAPair
from rag.attribution.digest import NAMES, Kinds
from tests.fakes import FakeEmbedder

DISEASES = ("mumps", "gout", "measles", "rickets", "scurvy", "tetanus", "malaria", "cholera", "anthrax", "rabies")
EMBEDDER = FakeEmbedder(dimensions=384, max_tokens=256)


def expert(disease: str) -> Expert:
    """Two answers, each with a sentence on treatment, which the experts take, among others."""
    treated = (
        f"Rest treats the pain of {disease} within days.",
        f"Doctors treat {disease} with a tablet each morning.",
    )
    first = f"Many people know {disease} by its old name. {treated[0]} Winter brings more of it than summer does."
    second = f"Old books tell of {disease} in many towns. Nobody counts how often it comes. {treated[1]}"
    return Expert(f"What treats {disease}?", (first, second), " ".join(treated), f"Rest and tablets treat {disease}.")


EXPERTS = [expert(disease) for disease in DISEASES]


def kinds() -> Kinds:
    word = EMBEDDER.encode(["treats", "treat"]).sum(axis=0)
    return Kinds(("information", "treatment"), np.vstack([-word, word]) * 8, np.zeros(2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        {"question": one.question, "answers": one.answers, "extractive": one.extractive, "abstractive": one.abstractive}
        for one in EXPERTS
    ]
    (tmp_path / FILE).write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    return tmp_path


def test_summaries_are_read_and_a_bad_line_is_named(folder: Path) -> None:
    assert read(folder) == EXPERTS
    lines = (folder / FILE).read_text().splitlines()
    for bad in ("{", '{"question": "Q?", "answers": ["A."], "extractive": "A."}', '{"answers": 3}', "[]"):
        (folder / FILE).write_text("\n".join([lines[0], bad]))
        with pytest.raises(UserError, match=f"{FILE}: line 2: .*a line has a question, answers"):
            read(folder)
    (folder / FILE).write_text(json.dumps({"question": "Q?", "answers": [], "extractive": "A.", "abstractive": "B."}))
    with pytest.raises(UserError, match="line 1: an empty text"):
        read(folder)
    (folder / FILE).write_text("\n")
    with pytest.raises(UserError, match="no questions in it"):
        read(folder)
    with pytest.raises(UserError, match="--data takes MEDIQA-2021's folder"):
        read(folder / "absent")


def test_answers_are_cut_as_the_index_cuts_them() -> None:
    long = Expert("What is mumps?", ("One two three four. " * 40, "Five six."), "x", "y")
    sources, pieces = as_sources(long, EMBEDDER, 64)
    assert [one.n for one in sources] == list(range(1, len(sources) + 1))
    assert [piece.opens for piece in pieces] == [True, *[False] * (len(sources) - 2), True]
    assert len(sources) > 3
    assert [one.pair_id for one in sources] == [*["0"] * (len(sources) - 1), "1"]
    assert leads(("One. Two. Three.", "Four."), 2) == "One. Two. Four."


def test_a_sentence_is_taken_by_the_share_of_its_word_pairs() -> None:
    (found,) = calibration.examples(EXPERTS[:1], EMBEDDER, kinds(), 200)
    taken = calibration.taken(EXPERTS[0], found)
    assert [block[0].text.split()[0] for block, share in zip(found.blocks, taken, strict=True) if share == 1] == [
        "Rest",
        "Doctors",
    ]
    assert sorted(taken)[:4] == [0, 0, 0, 0]


def test_what_experts_take_is_learned_from_other_questions() -> None:
    found = calibration.examples(EXPERTS, EMBEDDER, kinds(), 200)
    order = calibration.fit(EXPERTS, found)
    assert dict(zip(NAMES, order.weights, strict=True))["kind_here"] > 0
    unseen = calibration.cross_validate(EXPERTS, found)
    assert set(unseen.per_root) <= set(calibration.PER_ROOT)
    texts = [calibration.excerpt(its, one, 1, max_words=17) for its, one in zip(found, unseen.orders, strict=True)]
    assert texts == [one.extractive for one in EXPERTS]


def test_a_model_does_not_change_with_the_summary_of_its_own_question() -> None:
    """Cross-validation: what experts took for a question decides nothing of how that question is quoted from."""
    found = calibration.examples(EXPERTS, EMBEDDER, kinds(), 200)
    before = calibration.cross_validate(EXPERTS, found)
    first = EXPERTS[0]
    changed = [Expert(first.question, first.answers, first.answers[1], first.abstractive), *EXPERTS[1:]]
    after = calibration.cross_validate(changed, found)
    assert (after.orders[0], after.per_root[0]) == (before.orders[0], before.per_root[0])
    assert after.orders[1] != before.orders[1]


def test_kinds_are_learned_from_the_types_of_answers() -> None:
    def pair(row: int, kind: str, word: str) -> QAPair:
        text = f"The {word} number {row} of this goes on for long. Again the {word} is known since year {row}."
        return QAPair(id=f"{kind}{row}", question="?", answer=text, question_type=kind)

    pairs = [pair(row, "treatment", "medicine") for row in range(60)] + [
        pair(row, "causes", "germ") for row in range(60)
    ]
    pairs += [pair(row, "research", "trial") for row in range(60)]
    pairs += [pair(row, "stages", "step") for row in range(learning.LEAST_ANSWERS - 1)]
    learned = learning.kinds(pairs, EMBEDDER)
    assert learned.names == ("causes", "research", "treatment"), "stages has too few answers"
    chances = learned(EMBEDDER.encode(["The germ", "The medicine"]))
    assert chances[0, 0] > 0.5
    assert chances[1, 2] > 0.5
    assert np.allclose(chances.sum(axis=1), 1)


def test_every_system_is_scored_against_both_summaries() -> None:
    texts = {name: [one.extractive for one in EXPERTS] for name in (experts.LONG, experts.SHORT)}
    texts[experts.FIRST_THREE] = [one.answers[0] for one in EXPERTS]
    found = experts.figures(EXPERTS, texts)
    assert found[experts.LONG]["extractive"]["rouge2"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found[experts.LONG]["abstractive"]["rouge1"]["value"] < 1
    assert found[experts.LONG]["words"] == 16
    difference = found[experts.FIRST_THREE]["long form's ROUGE-2 less this"]
    assert difference["shown"]
    assert difference["value"] == pytest.approx(
        1 - found[experts.FIRST_THREE]["extractive"]["rouge2"]["value"], abs=1e-3
    )


@pytest.mark.weights
def test_the_command_prints_and_writes(
    folder: Path, tmp_path: Path, weights: None, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = ArgumentParser()
    experts.add_arguments(parser)
    out = tmp_path / "out.json"
    args = parser.parse_args(["--data", str(folder), "--profile", "embedded", "--json", str(out)])
    assert experts.main(args) == 0
    said = capsys.readouterr().out
    assert "10 questions" in said
    assert "long form, cross-validated" in said
    written = json.loads(out.read_text())
    assert written["n"] == 10
    assert written["texts"]["first answer"] == [one.answers[0] for one in EXPERTS]


@pytest.mark.medquad
@pytest.mark.weights
def test_on_experts_the_long_form_is_nearer_than_the_first_sentences(medquad: Path, weights: None) -> None:
    """Twelve of its fifty questions, where the set lies beside MedQuAD; all of them by `medcite eval experts`."""
    from index.embedder import embedder_of

    folder = medquad.parent / "mediqa2021"
    if not (folder / FILE).is_file():
        pytest.skip(f"no MEDIQA-2021 at {folder}")
    profile, _ = configs.load("embedded")
    asked = read(folder)[:12]
    texts = experts.quoted(asked, embedder_of(profile.embedder), profile.passages.max_tokens)
    kept = {name: texts[name] for name in (experts.SHORT, experts.LONG, experts.FIRST_THREE)}
    found = experts.figures(asked, kept)
    ours, first = found[experts.LONG]["extractive"]["rouge2"], found[experts.FIRST_THREE]["extractive"]["rouge2"]
    assert ours["value"] > first["value"]
