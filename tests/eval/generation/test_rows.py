"""Many prompts at once, a row each: the tokens are those of transformers' own greedy `generate`, one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eval.generation import rows as rows_module
from eval.generation.rows import BatchDecoder
from tests.rag.generators import tiny

STOPS = frozenset({2})
LIMIT = 40


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model that soon goes round in circles, so that guesses hold, and one that does not."""
    from rag.generators.loading import load

    folder = tmp_path_factory.mktemp("rows")
    return {
        "circles": load(tiny.save(folder / "circles", spread=0.05), folder)[0],
        "wanders": load(tiny.save(folder / "wanders", spread=0.6), folder)[0],
    }


def prompts() -> list[list[int]]:
    """Of 5 to 60 tokens, the first four the same."""
    random = torch.Generator().manual_seed(3)
    return [
        [7, 8, 9, 10, *torch.randint(3, 300, (size,), generator=random).tolist()]
        for size in (1, 56, 9, 30, 2, 17, 44, 5, 23)
    ]


def alone(model: Any, ids: list[int], limit: int = LIMIT) -> list[int]:
    with torch.inference_mode():
        given = torch.tensor([ids])
        made = model.generate(
            given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=limit,
            eos_token_id=sorted(STOPS), pad_token_id=2,
        )  # fmt: skip
    found: list[int] = made[0, len(ids) :].tolist()
    return found


def memory(rows: int, asked: list[list[int]]) -> int:
    """Bytes of so many rows: 2 tensors, 2 layers, 2 heads of 16 floats of 4 bytes."""
    return rows * (max(map(len, asked)) + LIMIT + rows_module.LOOKUP + 1) * 2 * 2 * 2 * 16 * 4


@pytest.mark.parametrize("name", ["circles", "wanders"])
@pytest.mark.parametrize("at_once", [9, 2, 1])
def test_the_tokens_are_those_of_generate(
    loaded: dict[str, Any], name: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = loaded[name], prompts()
    expected = [alone(model, ids) for ids in asked]
    monkeypatch.setattr(rows_module, "MEMORY", memory(at_once, asked))
    found = dict(BatchDecoder(model, STOPS).run(asked, LIMIT))
    assert [found[number] for number in range(len(asked))] == expected
    monkeypatch.setattr(rows_module, "guess", lambda ids, length: [])
    assert dict(BatchDecoder(model, STOPS).run(asked, LIMIT)) == found


@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_a_row_ends_at_the_limit_or_at_a_stop(loaded: dict[str, Any], limit: int) -> None:
    model, asked = loaded["wanders"], prompts()
    free = [alone(model, ids, 12) for ids in asked]
    stop = free[0][4]
    found = dict(BatchDecoder(model, frozenset({stop})).run(asked, limit))
    for number, made in enumerate(free):
        cut = made.index(stop) + 1 if stop in made else limit
        assert found[number] == made[: min(cut, limit)]


def test_what_repeats_is_guessed(loaded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer passes than tokens: else the guesses are lost work."""
    passes = 0
    real = BatchDecoder._pass

    def counted(self: BatchDecoder, *given: Any, **more: Any) -> Any:
        nonlocal passes
        passes += 1
        return real(self, *given, **more)

    monkeypatch.setattr(BatchDecoder, "_pass", counted)
    asked = prompts()[:2]
    taken = {}
    for lookup in (True, False):
        passes = 0
        if not lookup:
            monkeypatch.setattr(rows_module, "guess", lambda ids, length: [])
        made = dict(BatchDecoder(loaded["circles"], frozenset()).run(asked, 60))
        assert [len(ids) for ids in made.values()] == [60, 60]
        taken[lookup] = passes
    assert taken[False] == 3 + 59  # the common beginning, two prompts, and a step for each further token
    assert taken[True] < 0.85 * taken[False]


def test_memory_decides_how_many_are_in_work(loaded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0
    real = BatchDecoder._pass

    def seen(self: BatchDecoder, *given: Any, **more: Any) -> Any:
        nonlocal most
        most = max(most, self.keys[0].shape[0])
        return real(self, *given, **more)

    monkeypatch.setattr(BatchDecoder, "_pass", seen)
    asked = prompts()
    monkeypatch.setattr(rows_module, "MEMORY", memory(3, asked))
    assert len(dict(BatchDecoder(loaded["circles"], STOPS).run(asked, LIMIT))) == len(asked)
    assert most == 3


def test_the_model_is_left_as_it_was(loaded: dict[str, Any]) -> None:
    model = loaded["circles"]
    before = model.config._attn_implementation
    running = BatchDecoder(model, STOPS).run(prompts(), LIMIT)
    next(running)
    assert model.config._attn_implementation == rows_module.NAME
    running.close()
    assert model.config._attn_implementation == before != rows_module.NAME
    assert alone(model, prompts()[0])


@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 12))
def test_guesses_are_what_once_followed(ids: list[int], length: int) -> None:
    made = rows_module.guess(ids, length)
    assert len(made) <= length
    if length and len(ids) > 1 and ids[-1] in ids[:-1]:
        assert made
    if made:
        assert any(ids[i] == ids[-1] and ids[i + 1 : i + 1 + len(made)] == made for i in range(len(ids) - 1))
