"""What kind of thing a sentence speaks of, and how that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.errors import UserError
from rag.retrieval import kinds
from rag.retrieval.kinds import Kinds, fits


def model() -> Kinds:
    return Kinds(("outlook", "treatment"), np.array([[9.0, 0.0], [0.0, 9.0]]), np.zeros(2), {"held out": 0.5})


def test_a_sentence_fits_the_aspects_whose_types_it_has() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = fits(("outlook",), model(), vectors)
    assert found[0] > 0.9
    assert found[0] > found[1]
    both = fits(("outlook", "treatment"), model(), vectors)
    assert both.min() > 0.9


def test_an_embedder_of_another_size_tells_nothing() -> None:
    assert np.ptp(fits(("outlook",), model(), np.eye(3))) == 0


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "kinds.json"
    with pytest.raises(UserError, match=r"No such file.*calibrate kinds"):
        Kinds.load(path)
    model().save(path)
    loaded = Kinds.load(path)
    assert (loaded.names, loaded.fitted_on) == (("outlook", "treatment"), {"held out": 0.5})
    assert np.array_equal(loaded.weights, model().weights)
    path.write_text("[]")
    with pytest.raises(UserError, match=r"damaged; run `medcite eval"):
        Kinds.load(path)


def test_the_model_that_ships_is_whole() -> None:
    shipped = kinds.shipped()
    assert shipped.weights.shape == (len(shipped.names), 384)
    assert {"treatment", "symptoms", "outlook", "causes"} <= set(shipped.names)


@pytest.mark.weights
def test_sentences_are_told_apart(weights: None) -> None:
    from configs import load
    from index.embedder import Embedder

    said = ["Most children die before the age of three.", "Doctors treat it with antibiotics and rest."]
    vectors = np.asarray(Embedder(load("embedded")[0].embedder).encode(said))
    outlook, treatment = fits(("outlook",), kinds.shipped(), vectors), fits(("treatment",), kinds.shipped(), vectors)
    assert outlook[0] > outlook[1]
    assert treatment[1] > treatment[0]
