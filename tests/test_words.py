"""Sentences on safety that people see: none may be read the wrong way round."""

from __future__ import annotations

import re
import tomllib
from html import unescape
from pathlib import Path

import pytest

from app import chat, render
from rag.__main__ import render as terminal
from rag.answer import WHETHER_OR_NOT
from rag.emergency import classifier
from tests.app import fakes

ROOT = Path(__file__).parents[1]
README = ROOT.joinpath("README.md").read_text("utf-8")
FLAGS = tomllib.loads(ROOT.joinpath("rag", "emergency", "phrases.toml").read_text("utf-8"))["flags"]
SEEN = {
    "README": README,
    "card": ROOT.joinpath("finetune", "adapters", "embedded", "README.md").read_text("utf-8"),
    "report": ROOT.joinpath("docs", "report", "report.md").read_text("utf-8"),
    "emergency classifier": classifier.NOTICE,
    "page": chat.masthead(()) + chat.welcome(chat.EXAMPLES) + chat.footer(()),
    **{
        name: render.body(answer, "t1", live=False)
        for name, answer in (("abstained", fakes.ABSTAINED), ("notice", fakes.EMERGENCY), ("memory", fakes.MEMORY))
    },
    **{flag["category"]: flag["notice"] for flag in FLAGS},
}
# A negation of a negation, and a missing notice that is said to mean something: what a hurried reader turns round.
TURNED = re.compile(
    r"does(?: not|n't) (?:always |necessarily )?mean[^.]*\b(?:not|no|n't)\b"
    r"|\b(?:absence|lack|missing|without a)\b[^.]{0,60}\bnotice\b[^.]*\b(?:means?|not|nothing)\b"
    r"|\bnotice\b[^.]{0,40}\b(?:is missing|is absent)\b|means nothing|not un(?:safe|likely|common)"
    r"|do not \w+[^.;]*; if they do\b",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Text without tags, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


@pytest.mark.parametrize("name", SEEN)
def test_no_safety_sentence_can_be_read_the_wrong_way_round(name: str) -> None:
    assert [found.group() for found in TURNED.finditer(plain(SEEN[name]))] == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The absence of a notice does not mean that it is not an emergency.",
        "A notice that is missing means nothing.",
        "If they do not breathe normally, start chest compressions; if they do, lay them on their side and stay.",
    ],
)
def test_the_sentences_that_could_are_found(sentence: str) -> None:
    assert TURNED.search(sentence)


def test_readme_says_to_call_whether_there_is_a_notice_or_not() -> None:
    assert "call your local emergency number, whether medcite shows a notice or not" in plain(README)


def test_an_abstention_says_what_to_do_in_an_emergency() -> None:
    assert WHETHER_OR_NOT in plain(render.abstention(fakes.ABSTAINED))
    assert WHETHER_OR_NOT in terminal(fakes.ABSTAINED)
