"""Question to `Answer`: look for an emergency, retrieve, prompt, generate, attribute.

    pipeline = Pipeline.open(profile, folder, models)
    answer = pipeline.invoke("What are the symptoms of gout?", mode="extractive")

The pipeline is a langchain-core `Runnable`: `invoke`, `stream`, `batch` and `ainvoke` work on it.
`stream` yields whole `Answer` snapshots; each replaces the one before it.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from collections import abc, deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig

from configs.errors import UserError
from configs.modes import LENGTHS, Length, Mode
from configs.schema import Answering, Profile
from index import growing
from index.embedder import embedder_of
from index.sentences import spans
from index.store import Index
from rag import conversation, prompt
from rag.answer import ABSTENTION, Answer, Sentence, Source, Timings
from rag.attribution.attribute import attribute
from rag.attribution.digest import PASSAGES, Digest, on_topic
from rag.attribution.draft import unlooped
from rag.attribution.highlights import highlights
from rag.attribution.unsaid import unsaid
from rag.checked import checked, numbered, showable
from rag.conversation import HISTORY, NO_QUESTION, asks
from rag.emergency.classifier import EmergencyClassifier
from rag.emergency.phrases import red_flag
from rag.generators.base import Generator, create
from rag.retrieval.hits import Hit, Retrieval
from rag.retrieval.hybrid import HybridRetriever
from rag.retrieval.names import Said, names_it
from rag.sources import Evidence, evidence, page, pieces_of, source

MAX_QUESTION_CHARACTERS = 200_000


@dataclass(frozen=True)
class Options:
    """What one call may decide; None takes the profile's value."""

    mode: Mode | None = None
    strict: bool | None = None
    length: Length | None = None
    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    history: Sequence[str] | None = None
    """The questions asked before, oldest first."""


class Pipeline(Runnable[str, Answer]):
    """The whole path from a question to a cited answer. One thread at a time computes."""

    def __init__(self, profile: Profile, index: Index, retriever: HybridRetriever, models: Path) -> None:
        self.profile = profile
        self.index = index
        self.retriever = retriever
        self.models = models
        self.emergency_classifier = EmergencyClassifier.load()
        self._generator: Generator | None = None
        self._loading = threading.Lock()
        self._renewing = threading.Lock()
        # Held while something is computed, never while a stream waits for its reader: one who leaves blocks nobody.
        self._turn = threading.Lock()

    @classmethod
    def open(cls, profile: Profile, folder: Path, models: Path, unfinished: bool = False) -> Pipeline:
        """Open the index in `folder` for `profile`; the generator is loaded when first needed.

        `models` is where converted weights are kept. `unfinished`: a stage of a growing index will do.
        Raises UserError where the index is missing, damaged, or made with another embedder.
        """
        index = Index.open(folder, unfinished)
        embedder = embedder_of(profile.embedder)
        if index.manifest.embedder != embedder.fingerprint:
            raise UserError(f"{folder}: built with another embedder than profile {profile.name} uses; run `make index`")
        return cls(profile, index, HybridRetriever.create(index, embedder, profile.retriever), models)

    @property
    def growing(self) -> str:
        """What a reader is told of the index that the next question is answered from; empty for a whole one."""
        return growing.told(self.index, newest=True)

    def renew(self) -> None:
        """Take the newest stage of an index that is still growing."""
        if self._renewing.acquire(blocking=False):  # where another thread loads it, this question has the one before
            try:
                self.retriever = self.retriever.newest()
                self.index = self.retriever.index
            finally:
                self._renewing.release()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that can be asked for; those of a fine-tuned generator need an adapter."""
        plain: tuple[Mode, ...] = ("base+rag", "extractive", "base")
        return ("finetuned+rag", "finetuned", *plain) if self.profile.generator.adapter else plain

    @cached_property
    def digest(self) -> Digest:
        """What chooses the sentences of the long form."""
        return Digest.load()

    @property
    def generator(self) -> Generator:
        """The generator, loaded once."""
        with self._loading:
            if self._generator is None:
                self._generator = create(self.profile.generator, self.models)
            return self._generator

    def use(self, generator: Generator) -> None:
        """Take `generator` in place of the profile's own."""
        with self._loading:
            self._generator = generator

    def warm(self) -> None:
        """Load everything and answer nothing, so that the first question is as quick as the next."""
        self.retriever.retrieve("What is asthma?")
        if self.profile.mode != "extractive":
            messages = prompt.build("What is asthma?", (), self.generator.count_tokens, self.profile.prompt).messages
            for _ in self.generator.stream(messages, max_new_tokens=2):
                pass

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        """Answer one question without a pause for others. Keyword arguments are the fields of `Options`."""
        run = _Run(self, clean(input), self._options(kwargs))
        with self._turn:
            (answer,) = deque(run.snapshots(), maxlen=1)
        return answer

    def stream(self, input: str, config: RunnableConfig | None = None, **kwargs: Any | None) -> Iterator[Answer]:
        """Answer one question in snapshots, the last with `complete=True`; closing the iterator stops the model.

        Several may be open. One that nobody reads on keeps the others waiting until its text is written, no longer.
        Raises UserError for an empty question, one past MAX_QUESTION_CHARACTERS, an unknown option
        or a mode that this profile does not have.
        """
        run = _Run(self, clean(input), self._options(kwargs))
        with closing(run.snapshots()) as snapshots:
            while True:
                with self._turn:
                    answer = next(snapshots, None)
                if answer is None:
                    return
                yield answer

    def batch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any | None,
    ) -> list[Any]:
        """Answers in input order, one after the other: the generator already uses every core."""
        answers: list[Any] = []
        for question in inputs:
            try:
                answers.append(self.invoke(question, **kwargs))
            except UserError as error:
                if not return_exceptions:
                    raise
                answers.append(error)
        return answers

    def _options(self, given: dict[str, Any]) -> Options:
        unknown = sorted(set(given) - set(Options.__dataclass_fields__))
        if unknown:
            raise UserError(f"unknown option {unknown[0]!r}; there are: {', '.join(Options.__dataclass_fields__)}")
        options = Options(**given)
        mode = options.mode or self.profile.mode
        if mode not in self.modes:
            raise UserError(
                f"mode {mode!r} is not available: it needs an adapter (generator.adapter)"
                if mode.startswith("finetuned")
                else f"unknown mode {mode!r}; there are: {', '.join(self.modes)}"
            )
        if isinstance(options.history, str) or not all(isinstance(one, str) for one in options.history or ()):
            raise UserError("history: give the questions asked before as a list of texts")
        if options.length not in (None, *LENGTHS):
            raise UserError(f"unknown length {options.length!r}; there are: {', '.join(LENGTHS)}")
        return replace(options, mode=mode)


def clean(question: str) -> str:
    """A question as the pipeline works on it: NFC, control characters out, white space collapsed.

    Raises UserError if nothing readable is left, or if it is past MAX_QUESTION_CHARACTERS.
    """
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise UserError(f"the question has {len(question):,} characters; ask with at most {MAX_QUESTION_CHARACTERS:,}")
    text = "".join(
        character if unicodedata.category(character) not in {"Cc", "Cs", "Co", "Cn"} else " "
        for character in unicodedata.normalize("NFC", question)
    )
    text = " ".join(text.split())
    if not any(character.isalnum() for character in text):
        raise UserError("the question is empty; ask something like: What are the symptoms of gout?")
    return text


class _Run:
    """One question on its way; its state, so that `Pipeline` stays free of it."""

    def __init__(self, pipeline: Pipeline, question: str, options: Options) -> None:
        self.pipeline = pipeline
        self.question = question
        self.said = Said.of(question)
        self.options = options
        assert options.mode is not None
        self.mode: Mode = options.mode
        self.long = self.mode == "extractive" and options.length == "long"
        self.settings: Answering = pipeline.profile.answering
        if options.strict is not None:
            self.settings = self.settings.model_copy(update={"strict": options.strict})
        self.started = time.perf_counter()
        self.times = Timings()
        self.texts: tuple[str, ...] = ()
        self.hits: dict[str, Hit] = {}
        self.read: Evidence | None = None
        self.answer = Answer(question=question, status="answered", mode=self.mode, complete=False)

    def snapshots(self) -> abc.Generator[Answer, None, None]:
        # One for the whole run: a later stage may come while this answer is written.
        self.pipeline.renew()
        self.retriever = self.pipeline.retriever
        asking = self._understood()
        notice = red_flag(self.answer.question) or red_flag(self.answer.understood)
        notice = notice or self.pipeline.emergency_classifier(self.question, self.retriever)
        if not (asking or notice):
            yield self._finish(status="abstained", notice=NO_QUESTION)
            return
        if notice:
            self._update(status="emergency", notice=notice)
            yield self.answer
        if self.mode in ("base", "finetuned"):
            if notice:  # memory alone is no ground for words under an emergency notice
                yield self._finish()
                return
            yield from self._generated(prompt.closed_book(self.question), ())
            return
        retrieval = self.retriever.retrieve(self.question, PASSAGES if self.long else None)
        self._time(retrieve_ms=self._elapsed())
        searched = retrieval.texts[0] if retrieval.changes else ""
        self._update(
            confidence=retrieval.confidence, nearest=(), searched=searched, growing=growing.told(self.retriever.index)
        )
        self.texts = retrieval.texts or (self.question,)
        self.hits = {hit.passage.id: hit for hit in retrieval.hits}
        if not retrieval.hits or retrieval.confidence < self.pipeline.profile.retriever.abstain_below:
            yield self._abstain(retrieval)
            return
        if notice:
            yield self._finish(sources=self._pages(retrieval.hits))
            return
        if self.long:
            yield self._digest(on_topic(retrieval.hits))
            return
        settings = self.pipeline.profile.prompt
        hits = retrieval.hits if self.mode == "extractive" else retrieval.hits[: settings.sources]
        self.read = evidence(self.retriever, hits, self.texts, self.said)
        if self.mode == "extractive":
            yield self._quote(tuple(source(n, hit, self.said) for n, hit in enumerate(self.read.hits, 1)))
            return
        built = prompt.build(self.question, self.read.shown(), self.pipeline.generator.count_tokens, settings)
        sources = numbered(built, retrieval.hits, self.said)
        self._update(sources=sources)
        yield self.answer
        yield from self._generated(built.messages, sources)

    def _understood(self) -> bool:
        """Whether it is a question; what the turns before say is put in, so that from here on it stands alone."""
        before = [clean(one) for one in (self.options.history or ())[-HISTORY:] if any(map(str.isalnum, one))]
        found = conversation.understood([*before, self.question], self.retriever)
        if found.taken:
            self.question = clean(found.text)
            self.said = Said.of(self.question)
            self._update(understood=self.question)
        return asks(self.question)

    def _generated(self, messages: Sequence[BaseMessage], sources: tuple[Source, ...]) -> Iterator[Answer]:
        generator = self.pipeline.generator
        section = self.pipeline.profile.generator
        tuned = self.mode.startswith("finetuned")
        self._update(model=section.model, adapter=section.adapter if tuned and section.adapter else "")
        given = {
            name: value
            for name in ("max_new_tokens", "temperature", "top_p", "seed")
            if (value := getattr(self.options, name)) is not None
        }
        texts = [item.text for item in sources]
        draft, settled = "", 0
        stream = generator.stream(list(messages), adapter=tuned, **given)
        for chunk in stream:
            if chunk.content and not self.times.first_token_ms:
                self._time(first_token_ms=self._elapsed())
            whole = draft + str(chunk.content)
            draft = unlooped(whole)
            self._count(chunk)
            if draft != whole:  # a loop: nothing new would come
                getattr(stream, "close", lambda: None)()
                read = generator.count_tokens(messages)
                written = generator.count_tokens([*messages, AIMessage(whole)]) - read
                self._time(prompt_tokens=read, new_tokens=written)
                self._update(truncated=False)
                break
            ends = [end for _, end in spans(draft)]
            # The last span may still grow; only what stands before it is settled.
            stable = ends[-2] if len(ends) > 1 else 0
            if stable > settled:
                settled = stable
                self._settle(draft[:settled], sources)
            tail = draft[settled:].lstrip()
            self._update(draft=showable(tail, texts))
            yield self.answer
        if self.read is None:
            self._settle(draft, sources, last=True)
            yield self._finish(draft="")
            return
        sentences = checked(draft, sources, self.read, self.settings, self.question)
        if not sentences:
            self._update(fallback=True)
            yield self._quote(sources)
            return
        yield self._finish(sentences=sentences, draft="", sources=highlights(sentences, sources))

    def _settle(self, draft: str, sources: tuple[Source, ...], last: bool = False) -> None:
        sentences = tuple(attribute(draft, sources, self.settings, question=self.question, complete=last))
        self._update(sentences=sentences, draft="")

    def _digest(self, hits: Sequence[Hit]) -> Answer:
        """The long form."""
        retriever = self.retriever
        sources = tuple(source(n, hit, self.said) for n, hit in enumerate(hits, 1))
        pieces = pieces_of(retriever, hits, sources)
        return self._quoted(self.pipeline.digest.choose(self.texts, sources, pieces, retriever.encode), sources)

    def _quote(self, sources: tuple[Source, ...]) -> Answer:
        assert self.read is not None, "quoted is what was read"
        return self._quoted(self.read.quoted(sources), sources)

    def _quoted(self, sentences: Sequence[Sentence], sources: tuple[Source, ...]) -> Answer:
        if not self.times.first_token_ms:
            self._time(first_token_ms=self._elapsed())
        return self._finish(sentences=tuple(sentences), sources=highlights(sentences, sources), draft="")

    def _pages(self, hits: Sequence[Hit]) -> tuple[Source, ...]:
        """Under an emergency notice nothing is quoted: the pages that the question names, by name and address."""
        named = [hit for hit in hits if names_it(self.said, hit.pair)]
        pages = {hit.pair.url or hit.pair.title: hit for hit in reversed(named)}
        return tuple(page(n, hit) for n, hit in enumerate(reversed(pages.values()), 1))

    def _abstain(self, retrieval: Retrieval) -> Answer:
        if self.answer.status == "emergency":
            return self._finish()
        near = {"nearest": retrieval.nearest, "nearest_questions": retrieval.nearest_questions}
        return self._finish(status="abstained", notice=ABSTENTION, **near)

    def _count(self, chunk: BaseMessage) -> None:
        usage = getattr(chunk, "usage_metadata", None)
        if usage:
            self._time(prompt_tokens=usage["input_tokens"], new_tokens=usage["output_tokens"])
        if chunk.response_metadata.get("finish_reason") == "length":
            self._update(truncated=True)

    def _finish(self, **changes: Any) -> Answer:
        self._time(total_ms=self._elapsed())
        self._update(complete=True, **changes)
        if self.hits and self.answer.status == "answered":
            pairs = {one.n: self.hits[one.passage_id].pair for one in self.answer.sources}
            self._update(missing=unsaid(self.texts[0], self.answer.sentences, self.answer.sources, pairs))
        return self.answer

    def _elapsed(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    def _time(self, **changes: Any) -> None:
        self.times = self.times.model_copy(update=changes)
        self._update(timings=self.times)

    def _update(self, **changes: Any) -> None:
        self.answer = self.answer.model_copy(update=changes)
