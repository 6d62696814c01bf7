"""Whether a passage's page is on what was asked, and whether its answer answers that: the candidates, ranked again.

    model = Reranker.load()
    found = candidates(asked, scored, state)      # one passage for each answer, with what is known of it
    page, aspect = model(found.values)                     # two chances a candidate, in 0..1
    order = np.argsort(-rank(page, aspect))

Two small networks over features of question and candidate: names, words weighed by rarity, cosines, BM25 and the aspect
that was asked for (`aspects.py`). `medcite eval calibrate reranker` trains both on MedQuAD's train topics, asked in
people's forms, with topics and names hidden (`eval/calibration/reranker.py`), and writes `reranker.json`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs import files
from configs.errors import UserError
from index.words import terms
from rag.retrieval import aspects as of
from rag.retrieval.ranking import Asked, Scored, State
from rag.retrieval.reading import Line
from rag.retrieval.trees import Trees

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).with_name("reranker.json")
SCHEMA = 2
ANSWERS = 40
"""Answers that are ranked again; a right page was among them for 118 of 119 covered validation questions of people."""
PER_PAGE = 8
"""Answers of one page among them."""
PAGE_ALONE = 0.1
"""What the right page counts for where its answer is on another aspect, beside 1 for the right aspect."""
LEXICAL_SCALE = 30.0
"""A high BM25 score; what is past it counts as this much."""

FEATURES = (
    "question_cosine", "passage_cosine", "lexical", "lexical_raw", "named", "title_asked", "titled", "held", "missing",
    "topic_held", "topic_titled", "other_named", "question_margin", "passage_margin", "aspect_fit", "aspect_said",
    "general", "first", "length", "question_length", "topic_missing", "names", "whole_name",
)  # fmt: skip
"""What is known of a candidate, in this order. Shares are of the question's words (of its better part, for a long
message) weighed by rarity; topic words are those that say neither what is asked nor who asks.

question_cosine, passage_cosine: the embedder's; *_margin: less the best candidate's. lexical: BM25 over the best,
lexical_raw: over LEXICAL_SCALE. named: the share that is a name of this page; other_named: of another page, above that.
title_asked: the share of the page's best name that the question holds; whole_name: whether it holds all of it.
titled, held: the share in the page's names and question, on the page at all; missing: of the rarest word that the page
does not hold. topic_titled, topic_held: the same of the topic words, topic_missing: the weight of the rarest one not
held. aspect_fit: how surely its question type answers what is asked; aspect_said: how often the passage speaks of it.
general: of type information. first: the first passage of its answer. names: names in the question, over 4.
"""

LEFT = ("title_left", "name_left")
"""What of its names and the question's does not agree, by rarity.

title_left: the rarest word of the page's title that the question does not hold; 0 where all topic words of the
question are in its names and no other candidate's name has them: "factor V Leiden" says what "factor V Leiden
thrombophilia" says, "diabetes" is not "diabetes insipidus". name_left: the rarest topic word of the question that is
some topic's name, or in no page, but not this page's.
"""

_CHATTER = """
i me my no we our you your he him his she her it its they them their what which who whom this that these those am is are
was were be been being have has had having do does did doing a an the and but if or because as until while of at by for
with about against between into through during before after above below to from up down in out on off over under again
further then once here there when where why how all any both each few more most other some such nor not only own same so
than too very can will just should now get got take taken need want know help please tell really long much many old year
years month months day days week weeks doctor said thanks hi hello dear would could might may like told people person
someone anyone mother father mom dad son daughter husband wife friend child kid baby information info question anything
something thing good best way going go come back right normal mean meaning
"""
CHATTER = frozenset(terms(_CHATTER))
"""Words of a letter that are neither a topic's nor an aspect's."""


@dataclass(frozen=True)
class Candidates:
    """One passage of each candidate answer: its place in the `Scored` (n,) and its features (n, len(FEATURES)).

    `hidden`: stemmed words of a name that the pages are not known by.
    """

    places: np.ndarray
    values: np.ndarray
    hidden: frozenset[str] = frozenset()


def candidates(asked: Asked, scored: Scored, state: State, hidden: frozenset[str] = frozenset()) -> Candidates:
    """The best passage of each of the best ANSWERS answers, at most PER_PAGE of a page.

    `hidden`: stemmed words of a name that the pages are not to be known by; for training and measurements only.
    """
    places: list[int] = []
    seen: set[int] = set()
    of_page: Counter[int] = Counter()
    for place in np.argsort(-scored.score, kind="stable"):
        pair = int(scored.pairs[place])
        page = int(state.page_of[pair])
        if pair in seen or of_page[page] >= PER_PAGE:
            continue
        seen.add(pair)
        of_page[page] += 1
        places.append(int(place))
        if len(places) == ANSWERS:
            break
    question = _Question(asked, state)
    values = np.array([question.values(place, scored, hidden) for place in places], dtype=np.float64)
    values = values.reshape(-1, len(FEATURES))
    for margin, cosine in (("question_margin", "question_cosine"), ("passage_margin", "passage_cosine")):
        column = values[:, FEATURES.index(cosine)]
        values[:, FEATURES.index(margin)] = column - column.max(initial=-1.0)
    return Candidates(np.array(places, dtype=np.int64), values, hidden)


def left_over(best: int, found: Candidates, asked: Asked, scored: Scored, state: State) -> np.ndarray:
    """The values of LEFT, (len(LEFT),), of the candidate at `best`."""
    pair, part = int(scored.pairs[found.places[best]]), int(scored.part[found.places[best]])
    words, weights = asked.words[part], asked.weights[part].tolist()
    own = [name for name in state.names_of(pair) if name != found.hidden]
    known = frozenset().union(*own)
    also = known if found.hidden else known | state.asked_of(pair)
    topical = _topical(asked.texts[part], words).tolist()
    unnamed = [weight for word, weight, one in zip(words, weights, topical, strict=True) if one and word not in also
               and (word in state.named_by or state.lexical.term(word) is None)]  # fmt: skip
    said = {word for word, one in zip(words, topical, strict=True) if one and word in known}
    others = (state.names_of(row) for row in set(scored.pairs[found.places].tolist()))
    shared = not said or any(
        any(said <= name for name in names) for names in others if not set(own).intersection(names)
    )
    title = own[0] if own and (unnamed or shared) else frozenset()
    return np.array([max((state.weight(word) for word in title.difference(words)), default=0.0),
                     max(unnamed, default=0.0)])  # fmt: skip


def _topical(text: str, words: Sequence[str]) -> np.ndarray:
    """Which of a text's words say neither what is asked nor who asks, (n,)."""
    rest = set(terms(of.TYPED.sub(" ", text))) - CHATTER
    return np.array([word in rest for word in words], dtype=bool)


class _Question:
    """What of a question is the same for every candidate."""

    def __init__(self, asked: Asked, state: State) -> None:
        self.asked = asked
        self.state = state
        self.aspects = of.asked(asked.texts[0])
        self.every = {word for words in asked.words for word in words}
        self.topical = [_topical(text, words) for text, words in zip(asked.texts, asked.words, strict=True)]
        self.named: dict[int, float] = {}
        for share, pairs in asked.names:
            for pair in pairs.tolist():
                self.named[pair] = max(self.named.get(pair, 0.0), share)

    def values(self, place: int, scored: Scored, hidden: frozenset[str]) -> list[float]:
        asked, state = self.asked, self.state
        pair_row, part = int(scored.pairs[place]), int(scored.part[place])
        pair, passage = state.index.pairs[pair_row], state.index.passages[int(scored.rows[place])]
        words, weights, topical = asked.words[part], asked.weights[part], self.topical[part]
        names = [name for name in state.names_of(pair_row) if name != hidden] or [frozenset()]
        title = frozenset().union(*names, () if hidden else state.asked_of(pair_row))
        titled = np.array([word in title for word in words], dtype=bool)
        held = titled | state.held(words, int(state.page_of[pair_row]))
        total = float(weights.sum()) or 1.0
        of_topic = float(weights[topical].sum())
        title_asked = max(state.share(name, self.every) for name in names)
        named = self.named.get(pair_row, 0.0)
        raw = float(scored.lexical[place])
        given = {
            "question_cosine": float(scored.question[place]),
            "passage_cosine": float(scored.passage[place]),
            "lexical": raw / max(float(scored.lexical.max()), 1e-9),
            "lexical_raw": min(raw / LEXICAL_SCALE, 1.0),
            "named": named,
            "title_asked": title_asked,
            "titled": float(weights[titled].sum()) / total,
            "held": float(weights[held].sum()) / total,
            "missing": float(weights[~held].max(initial=0.0)) / total,
            "topic_held": float(weights[held & topical].sum()) / of_topic if of_topic else 1.0,
            "topic_titled": float(weights[titled & topical].sum()) / of_topic if of_topic else 1.0,
            "other_named": max(asked.named - named, 0.0),
            "question_margin": 0.0,
            "passage_margin": 0.0,
            "aspect_fit": of.fit(self.aspects, of.kind_of(pair)),
            "aspect_said": min(of.mentions(self.aspects, passage.text), 3) / 3,
            "general": float(of.kind_of(pair) == "information"),
            "first": float(passage.ordinal == 0),
            "length": min(len(passage.text) / 800, 1.0),
            "question_length": min(len(words) / 20, 1.0),
            "topic_missing": float(weights[topical & ~held].max(initial=0.0)),
            "names": min(len(asked.names), 4) / 4,
            "whole_name": float(title_asked > 0.999),
        }
        return [given[name] for name in FEATURES]


def rank(page: np.ndarray, aspect: np.ndarray) -> np.ndarray:
    """What candidates are ranked by: the right page first, and on it the answer on what was asked."""
    return page * (PAGE_ALONE + aspect)


def spread(scored: Scored, ranks: Mapping[int, float]) -> np.ndarray:
    """The ranks of passages (places in `scored`) as scores of all, (n_scored,); equal ones in the order of `scored`."""
    lowest = min(ranks.values(), default=0.0) - 1.0
    own = np.array([ranks.get(place, lowest) for place in range(len(scored.rows))])
    span = max(float(np.ptp(scored.score)), 1e-9)
    return np.asarray(own + 1e-3 * (scored.score - scored.score.max(initial=0.0)) / span)


@dataclass(frozen=True)
class Network:
    """A multi-layer perceptron of one hidden layer (ReLU) with one logit, on standardized features."""

    mean: np.ndarray
    scale: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    out: np.ndarray
    out_bias: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Chances in 0..1, (n,), of features (n, len(FEATURES))."""
        inner = np.maximum((values - self.mean) / self.scale @ self.hidden + self.hidden_bias, 0.0)
        return np.asarray(1 / (1 + np.exp(-np.clip(inner @ self.out + self.out_bias, -30, 30))))

    def to_json(self) -> dict[str, Any]:
        """Its numbers to six significant digits, as lists."""
        arrays = {name: getattr(self, name) for name in ("mean", "scale", "hidden", "hidden_bias", "out")}
        found: dict[str, Any] = {name: _rounded(array) for name, array in arrays.items()}
        return found | {"out_bias": float(f"{self.out_bias:.6g}")}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Network:
        """What `to_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        arrays = {
            name: np.array(data[name], dtype=np.float64) for name in ("mean", "scale", "hidden", "hidden_bias", "out")
        }
        if arrays["hidden"].shape != (len(FEATURES), len(arrays["out"])):
            raise ValueError("made for other features")
        return cls(**arrays, out_bias=float(data["out_bias"]))


@dataclass(frozen=True)
class Reranker:
    """Both networks, the decision over their best candidate, and what they were trained on."""

    page: Network
    aspect: Network
    decision: Trees
    provenance: dict[str, Any]

    def __call__(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The chances of page and aspect, each (n,), of candidates' features (n, len(FEATURES))."""
        return self.page(values), self.aspect(values)

    def confidence(self, known: Mapping[str, float]) -> float:
        """The chance, in 0..1, that the best candidate answers the question, by its `decision_values`."""
        logit = self.decision.logit(known)
        return float(1 / (1 + np.exp(-np.clip(logit, -30, 30))))

    def check(self, embedder: str) -> bool:
        """Whether this model was trained with the embedder of this fingerprint; logs it if not."""
        known = str(self.provenance.get("embedder", ""))
        # The last word names the weights, whichever way they were loaded.
        if known.split()[-1:] != embedder.split()[-1:]:
            log.warning("the re-ranker was trained with another embedder (%s, not %s)", known, embedder)
            return False
        return True

    def save(self, path: Path) -> None:
        """Write the model as JSON, a part in a line. Raises UserError where it cannot be written."""
        data = {
            "schema": SCHEMA,
            "features": FEATURES,
            "page": self.page.to_json(),
            "aspect": self.aspect.to_json(),
            "decision": self.decision.to_json(),
            "provenance": self.provenance,
        }
        rows = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in data.items())
        with files.said(path):
            files.write(path, "{\n" + ",\n".join(rows) + "\n}\n")

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Reranker:
        """Read a model. Raises UserError if it is missing, damaged or of other features."""
        again = "run `medcite eval calibrate reranker`"
        try:
            data = json.loads(path.read_text("utf-8"))
            if data["schema"] != SCHEMA or tuple(data["features"]) != FEATURES:
                raise UserError(f"{path}: made for other features; {again}")
            networks = Network.from_json(data["page"]), Network.from_json(data["aspect"])
            decision = Trees.from_json(data["decision"])
            if not set(decision.names) <= set(DECIDING):
                raise UserError(f"{path}: decides on other features; {again}")
            return cls(*networks, decision, data["provenance"])
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; {again}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path}: damaged; {again}") from None


_OWN = (
    "topic_missing", "topic_held", "missing", "titled", "other_named", "question_length", "aspect_fit", "named",
    "whole_name",
)  # fmt: skip
DECIDING = ("page", "aspect", "line", "line_said", "line_words", "line_near", "line_kind", *_OWN, *LEFT)
"""What the decision is made on: the logits of both chances, the best sentence's likeness to the question, whether it
speaks of the aspect and is of its kind, what of the question's words it and its passage say, features of its candidate
and what of the names is left over."""


def decision_values(
    values: np.ndarray, left: np.ndarray, page: float, aspect: float, line: Line | None
) -> dict[str, float]:
    """The inputs of the decision by name.

    `values` (len(FEATURES),) and `left` (len(LEFT),) are the candidate's, `line` its best sentence.
    """
    own = {name: float(values[FEATURES.index(name)]) for name in _OWN}
    read = dict.fromkeys(("line", "line_said", "line_words", "line_near", "line_kind"), 0.0)
    if line:
        read = {"line": line.cosine, "line_said": line.said, "line_words": line.words, "line_near": line.near}
        read["line_kind"] = line.kind
    names = dict(zip(LEFT, left.tolist(), strict=True))
    return {"page": _logit(page), "aspect": _logit(aspect)} | read | own | names


def _logit(chance: float) -> float:
    kept = min(max(chance, 1e-4), 1 - 1e-4)
    return float(np.log(kept / (1 - kept)))


def _rounded(array: np.ndarray) -> list[Any]:
    return [[float(f"{value:.6g}") for value in row] if np.ndim(row) else float(f"{row:.6g}") for row in array]
