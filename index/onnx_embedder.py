"""The sentence embedder through onnxruntime: the vectors of `embedder.py` in fp32, with neither torch nor transformers.

    embedder = OnnxEmbedder(profile.embedder)
    embedder.encode(["What is gout?"])

A batch is computed on one thread, as many batches at once as there are cores: no thread waits for another within one,
so that a busy core costs no more than its share (docs/decisions/embedder.md).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from configs.errors import UserError
from configs.schema import Embedder as Settings
from index.bert import OTHER, WEIGHTS, Bert
from index.embedder import Progress
from index.onnx_graph import INPUTS, OUTPUT, graph
from index.weights import resolve

BATCH_TOKENS = 256
"""Of a batch: what it computes on stays in the cache then."""
FILES = ("*.json", "*/config.json", WEIGHTS)
"""What is fetched of a model on the hub."""
ERRORS_ONLY = 3
"""Of onnxruntime's log."""


class OnnxEmbedder:
    """A BERT model of mean pooling behind `encode`. Safe to call from several threads."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is loaded yet. Raises UserError for a precision other than fp32."""
        self.settings = settings
        self._loading = threading.Lock()  # from Python 3.12 on `cached_property` has none
        if settings.precision not in ("auto", "fp32"):
            raise UserError(f"embedder.precision={settings.precision}: onnxruntime computes in fp32; or {OTHER}")

    @property
    def dimensions(self) -> int:
        return self.settings.dimensions

    @property
    def max_tokens(self) -> int:
        return self.settings.max_tokens

    @property
    def precision(self) -> str:
        return "fp32"

    @cached_property
    def _folder(self) -> Path:
        model = self.settings.model
        folder = Path(resolve(model)).expanduser()
        if folder.is_dir():
            return folder
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(model, allow_patterns=list(FILES)))
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(
                f"embedder.model {model}: cannot be loaded ({reason}); without a model hub use PROFILE=embedded"
            ) from None

    @cached_property
    def _bert(self) -> Bert:
        bert = Bert.read(self._folder, self.settings.model)
        if bert.size != self.dimensions:
            raise UserError(f"embedder.dimensions is {self.dimensions}, but the model gives {bert.size}")
        if bert.window < self.max_tokens:
            raise UserError(f"embedder.max_tokens is {self.max_tokens}, but the model reads {bert.window}")
        return bert

    @cached_property
    def _session(self) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(
                f"embedder.backend=onnxruntime needs the package onnxruntime ({error}); run: pip install onnxruntime"
            ) from None
        model, arrays = graph(self._bert)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        self._arrays = arrays  # onnxruntime may read them where they lie
        given = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in arrays.values()]
        options.add_external_initializers(list(arrays), given)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="medcite-embedder")

    @cached_property
    def _whole(self) -> Any:
        """A `tokenizers.Tokenizer` that neither cuts nor pads."""
        from tokenizers import Tokenizer

        model = f"embedder.model {self.settings.model}"
        try:
            made = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises bare Exception
            raise UserError(f"{model}: no tokenizer.json that can be read ({error}); or {OTHER}") from None
        tokens, rows = 1 + max(made.get_vocab().values(), default=0), len(self._bert.words)
        if tokens > rows:
            raise UserError(f"{model}: tokenizer.json has {tokens} tokens, the weights {rows}; copy the model again")
        made.no_truncation()
        made.no_padding()
        return made

    @cached_property
    def _cut(self) -> Any:
        from tokenizers import Tokenizer

        made = Tokenizer.from_str(self._whole.to_str())
        made.enable_truncation(self.max_tokens)
        return made

    @cached_property
    def words(self) -> frozenset[str]:
        """The whole words of its vocabulary, in lower case: everyday words that are no misspelling of a rare one."""
        return frozenset(word for word in self._whole.get_vocab() if word.isalpha() and len(word) > 3)

    @cached_property
    def fingerprint(self) -> str:
        """The model's id and a SHA-256 over a sample of every weight: `embedder.Embedder`'s for the same model."""
        return self._bert.fingerprint(self.settings.model, self.max_tokens)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens not counted, nothing cut off."""
        return [len(one.ids) for one in self._whole.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Unit vectors, float32 of shape (n, dimensions), in the order given; long texts are cut at max_tokens."""
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        if not len(texts):
            return out
        with self._loading:
            session, cut, pool = self._session, self._cut, self._pool
        ids = [one.ids for one in cut.encode_batch_fast(list(texts))]
        batches = list(batched([len(one) for one in ids], os.cpu_count() or 1))

        words = self._bert.words

        def compute(rows: list[int]) -> Any:
            return session.run([OUTPUT], inputs([ids[row] for row in rows], words))[0]

        for rows, vectors in zip(batches, (pool.map if len(batches) > 1 else map)(compute, batches), strict=True):
            out[rows] = vectors
            if progress:
                progress(len(rows))
        return out


def batched(lengths: Sequence[int], workers: int) -> Iterator[list[int]]:
    """Rows in batches of at most BATCH_TOKENS, or one text, the longest first; short work is shared by the workers."""
    most = min(BATCH_TOKENS, -(-sum(lengths) // workers))
    rows: list[int] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lambda one: -lengths[one]):
        if rows and tokens + lengths[row] > most:
            yield rows
            rows, tokens = [], 0
        rows.append(row)
        tokens += lengths[row]
    if rows:
        yield rows


def inputs(texts: Sequence[Sequence[int]], words: np.ndarray) -> dict[str, np.ndarray]:
    """What the graph takes (`onnx_graph.py`) of texts as token ids, none empty; `words` is a row for each token."""
    lengths = np.array([len(one) for one in texts], dtype=np.int32)
    starts = np.cumsum(lengths) - lengths
    owner = np.repeat(np.arange(len(texts)), lengths)
    places = np.arange(lengths.sum()) - starts[owner]
    within = np.arange(lengths.max())
    shares = np.zeros((len(texts), len(places)), dtype=np.float32)
    shares[owner, np.arange(len(places))] = 1 / lengths[owner]
    values = (
        words[np.concatenate([np.asarray(one, dtype=np.int64) for one in texts])],
        places,
        starts[:, None] + np.minimum(within, lengths[:, None] - 1),  # past its end a text's last token, not read
        owner * len(within) + places,
        lengths,
        shares,
    )
    return dict(zip(INPUTS, values, strict=True))
