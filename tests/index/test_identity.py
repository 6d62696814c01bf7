"""What is said of a corpus is so: each source by its own name, MedQuAD's license for MedQuAD alone."""

from __future__ import annotations

import pytest

from index import identity
from index.corpus import QAPair, repeats, titled
from index.identity import Part, part

MEDQUAD, STARTER, OWN = part("medquad", "", 16_359), part("starter", "", 230), part("own", "my-faq", 3)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((), "Health questions answered, every sentence with its source."),
        ((MEDQUAD,), "Health questions answered from NIH text, every sentence with its source."),
        ((OWN,), "Health questions answered from my-faq, every sentence with its source."),
        (
            (MEDQUAD, OWN),
            "Health questions answered from NIH text (MedQuAD) and my-faq, every sentence with its source.",
        ),
        (
            (STARTER,),
            "Health questions answered from demonstration text (not from NIH), every sentence with its source.",
        ),
    ],
)
def test_the_purpose_names_the_sources(parts: tuple[Part, ...], said: str) -> None:
    assert identity.purpose(parts) == said


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((), ""),
        ((MEDQUAD,), "Answers from MedQuAD (Ben Abacha & Demner-Fushman, 2019), CC BY 4.0."),
        ((OWN,), "Answers from my-faq."),
        (
            (MEDQUAD, OWN),
            "Answers from MedQuAD and my-faq. MedQuAD (Ben Abacha & Demner-Fushman, 2019) is under CC BY 4.0.",
        ),
        ((STARTER,), "Answers from medcite's starter corpus (demonstration text, not from NIH)."),
    ],
)
def test_the_attribution_is_each_sources_own(parts: tuple[Part, ...], said: str) -> None:
    assert identity.attribution(parts) == said


def test_many_sources_are_counted_and_medquad_is_named_still() -> None:
    parts = (MEDQUAD, *(part("own", f"table {n}", n) for n in range(9)))
    assert identity.counted(parts) == "MedQuAD (16,359 pairs), table 0 (0 pairs), table 1 (1 pair) and 7 more"
    assert identity.attribution(parts[1:]) == "Answers from table 0, table 1, table 2 and 6 more."
    assert identity.attribution(parts).endswith(" 2019) is under CC BY 4.0.")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("medquad", ["medquad"]),
        ("medquad-master", ["medquad"]),
        ("starter", ["starter"]),
        ("my-medquad-notes", ["own"]),
        ("medquad+chatdoctor5k", ["medquad", "own"]),
        ("", []),
    ],
)
def test_a_name_alone_tells_what_it_can(name: str, kinds: list[str]) -> None:
    assert [one.kind for one in identity.from_name(name)] == kinds


def test_parts_survive_a_manifest_and_others_are_refused() -> None:
    from dataclasses import asdict

    assert identity.parsed([asdict(one) for one in (MEDQUAD, OWN)]) == (MEDQUAD, OWN)
    for row in ({"name": "x", "kind": "theirs"}, {"kind": "own"}, {"name": "x", "kind": "own", "pairs": "many"}):
        with pytest.raises((ValueError, KeyError)):
            identity.parsed([row])


def test_a_name_is_one_line() -> None:
    assert part("own", "my\n\x1b[31m  faq" + "x" * 200).name.startswith("my [31m faqxx")
    assert len(part("own", "x" * 200).name) == 80


def test_a_title_that_is_the_question_is_said_once() -> None:
    assert titled("Gout", "What is gout?") == "Gout: What is gout?"
    assert titled("How to prevent Glaucoma ?", "How to prevent  glaucoma?") == "How to prevent  glaucoma?"
    assert not repeats("Gout", "What is gout?")


def test_what_a_title_asks() -> None:
    assert QAPair("1", "How to prevent Glaucoma?", "A.").asks == "How to prevent Glaucoma?"
    assert QAPair("1", "How to prevent Glaucoma?", "A.", focus="Glaucoma").asks == "What is Glaucoma?"
