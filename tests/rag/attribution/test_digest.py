"""The long form: all that answers is quoted, verbatim, once, in the order of the sources, up to a length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import UserError
from index.corpus import QAPair
from index.linear import Linear
from index.passages import Passage
from rag.answer import Sentence, Source
from rag.attribution.digest import MAX_WORDS, NAMES, Digest, Kinds, candidates, on_topic
from rag.retrieval.hits import Hit
from rag.retrieval.reading import Piece
from tests.fakes import FakeEmbedder

CARE = (
    "Mumps is a disease that a virus causes. Rest and cold packs treat the swelling of mumps. "
    "No medicine treats the virus of mumps itself. Visit the website of the clinic."
)
MORE = (
    "Mumps spreads through the air. Pain medicine treats the fever of mumps. "
    "Rest and cold packs treat the swelling of mumps."
)
ASKED = "what treats mumps"
encode = FakeEmbedder(dimensions=384).encode


def kinds() -> Kinds:
    """Two types, told by the word "treats" or "treat" alone."""
    word = encode(["treats", "treat"]).sum(axis=0)
    return Kinds(("information", "treatment"), np.vstack([-word, word]) * 8, np.zeros(2))


def model(per_root: float = 4.0, **weights: float) -> Digest:
    known = {"alone": 0.2, "kind": 3.0} | weights
    return Digest(kinds(), Linear(NAMES, tuple(known.get(name, 0.0) for name in NAMES), 0.0), per_root)


def chosen(*texts: str, digest: Digest | None = None) -> list[Sentence]:
    sources = [
        Source(n=n, passage_id=f"p{n}", pair_id=f"q{n}", title="Mumps", question="What is mumps?", text=text)
        for n, text in enumerate(texts, 1)
    ]
    pieces = [Piece(text, "", True) for text in texts]
    return (digest or model()).choose([ASKED], sources, pieces, encode)


def test_what_answers_is_quoted_from_every_source_in_order_and_once() -> None:
    found = [(one.text, one.citations) for one in chosen(CARE, MORE)]
    assert found == [
        ("Rest and cold packs treat the swelling of mumps.", (1,)),
        ("No medicine treats the virus of mumps itself.", (1,)),
        ("Pain medicine treats the fever of mumps.", (2,)),
    ]


def test_how_much_is_quoted_grows_with_what_there_is_and_ends() -> None:
    def room(sentences: int, per_root: float) -> float:
        text = " ".join(f"Rest treats sign number {n} of mumps." for n in range(sentences))
        return candidates([ASKED], [Piece(text, "", True)], encode, kinds()).room(per_root)

    assert room(4, 2.0) == pytest.approx(2 * 28**0.5)
    assert room(4, 2.0) < room(9, 2.0)
    assert room(1000, 50.0) == MAX_WORDS


def test_one_sentence_is_quoted_however_long() -> None:
    assert len(chosen("Rest treats mumps " + "and rest again " * 30 + ".", digest=model(0.1))) == 1
    assert chosen("Mumps") == [], "a heading says nothing"
    assert chosen() == []


def test_features_say_what_they_are_named_for() -> None:
    found = candidates([ASKED], [Piece(CARE, "", True), Piece(MORE, "", False)], encode, kinds())
    column = {name: found.values[:, at] for at, name in enumerate(NAMES)}
    said = [line.text.split()[0] for (line,) in found.blocks]
    assert said == ["Mumps", "Rest", "No", "Visit", "Mumps", "Pain"], "what is said again is no candidate again"
    assert column["opening"].tolist() == [1, 1 / 2, 1 / 3, 1 / 4, 0, 0], "the second source does not open its answer"
    assert column["pointer"].tolist() == [0, 0, 0, 1, 0, 0]
    assert column["kind"][5] > column["kind"][4]
    assert column["alone"].mean() == pytest.approx(0, abs=1e-6)
    assert column["alone"].std() == pytest.approx(1, abs=1e-3)
    lone = candidates([ASKED], [Piece(MORE, "", False)], encode, kinds())
    assert [block[0].text for block in lone.blocks[:2]] == [block[0].text for block in found.blocks[4:]]


def test_a_window_does_not_cross_sources() -> None:
    embedder = FakeEmbedder(dimensions=384)
    candidates(
        [ASKED],
        [Piece("Rest treats mumps well.", "", True), Piece("Air carries the virus.", "", True)],
        embedder.encode,
        kinds(),
    )
    assert sorted(embedder.encoded) == sorted([ASKED, "Rest treats mumps well.", "Air carries the virus."])


def test_a_list_is_quoted_whole_with_its_lead_in_or_not_at_all() -> None:
    signs, care = "Signs of mumps\n- Swollen cheeks\n- A fever", "These treat mumps\n- Rest\n- Cold packs"
    page = f"{signs}\n\n{care}\n\nNIH: Institute of Mumps"
    assert [one.text for one in chosen(page, digest=model(1.0))] == ["These treat mumps", "Rest", "Cold packs"]
    assert [one.before for one in chosen(page, digest=model(1.0))] == ["", "\n- ", "\n- "]
    every = [one.text for one in chosen(page, digest=model(99.0))]
    assert every == ["Signs of mumps", "Swollen cheeks", "A fever", "These treat mumps", "Rest", "Cold packs"]


def test_an_embedder_of_another_size_tells_no_kinds() -> None:
    found = candidates([ASKED], [Piece(CARE, "", True)], FakeEmbedder(dimensions=64).encode, kinds())
    assert np.ptp(found.values[:, NAMES.index("kind")]) == 0
    assert np.isfinite(found.values).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(alphabet="ab.?\n- X1", max_size=60), max_size=3))
def test_quotations_are_slices_of_their_sources(texts: list[str]) -> None:
    for one in chosen(*texts):
        assert one.text in texts[one.citations[0] - 1]
        assert one.quoted
        assert one.supported


def hit(pair: str, ordinal: int, page: float) -> Hit:
    passage = Passage(f"{pair}-{ordinal}", 0, ordinal, 0, 1, "x")
    return Hit(0, passage, QAPair(id=pair, question="?", answer="x"), 1.0, 0.5, 0.5, 1.0, page)


def test_pages_less_likely_are_left_out_and_answers_are_in_their_own_order() -> None:
    hits = [hit("a", 2, 0.9), hit("b", 0, 0.5), hit("a", 0, 0.9), hit("c", 0, 0.4), hit("b", 1, 0.5)]
    assert [one.passage.id for one in on_topic(hits)] == ["a-0", "a-2", "b-0", "b-1"]
    assert on_topic([]) == []


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    saved = replace(model(9.5), fitted_on={"questions": 3})
    saved.save(tmp_path / "digest.json")
    loaded = Digest.load(tmp_path / "digest.json")
    assert (loaded.per_root, loaded.fitted_on, loaded.order.weights) == (9.5, {"questions": 3}, saved.order.weights)
    again = replace(loaded, kinds=saved.kinds)
    assert chosen(CARE, MORE, digest=again) == chosen(CARE, MORE, digest=replace(saved, per_root=9.5))


@pytest.mark.parametrize(
    "damage", ["{", "{}", '{"schema": 2, "order": {"bias": 0}}', '{"schema": 2, "order": 3}', "[]"]
)
def test_a_damaged_model_is_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "digest.json"
    with pytest.raises(UserError, match=r"No such file.*calibrate digest"):
        Digest.load(path)
    path.write_text(damage)
    with pytest.raises(UserError, match=r"digest\.json: (damaged|made for other features); run `medcite eval"):
        Digest.load(path)


def test_the_model_that_ships_is_whole() -> None:
    assert 0 < Digest.load().per_root < 20
