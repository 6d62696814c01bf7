"""A BERT sentence embedder as an ONNX graph: its tokens' word vectors to unit vectors of texts.

    model, arrays = graph(bert)     # the bytes of an ONNX model, and the weights that it names

The texts of a batch stand one after the other, T tokens in all, so that nothing but the attention, which takes them as
B rows of L, computes on padding. Inputs:

- `words` (T, d): the tokens' rows of the table of words, which is left out of the graph, for onnxruntime would copy it;
- `places` (T,): a token's place in its text;
- `rows` (B, L): where the tokens of each text are among the T, and `back` (T,): where the T are among the B * L;
- `lengths` (B,), and `shares` (B, T): 1/length at a text's own tokens, else 0.

Output: `vectors` (B, d), of length 1.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from index.bert import Bert

IR, OPERATORS = 8, {"": 17, "com.microsoft": 1}
"""Versions of ONNX's file format and of its operators; onnxruntime's own ones have the attention of many heads."""
FLOAT, INT32, INT64 = 1, 6, 7
"""Types of ONNX's tensors."""
INPUTS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "words": (FLOAT, ("T", "d")),
    "places": (INT64, ("T",)),
    "rows": (INT64, ("B", "L")),
    "back": (INT64, ("T",)),
    "lengths": (INT32, ("B",)),
    "shares": (FLOAT, ("B", "T")),
}
OUTPUT = "vectors"


def graph(bert: Bert) -> tuple[bytes, dict[str, np.ndarray]]:
    """The model without its weights, and these: initializers of the graph by name, kept outside of its bytes."""
    made = _Graph(bert.weights)
    places = bert.weights["embeddings.position_embeddings.weight"]
    kind = bert.weights["embeddings.token_type_embeddings.weight"][0]  # all tokens are of the first kind
    x = made.add("Add", "words", made.add("Gather", made.array("places of a kind", places + kind), "places"))
    norm = "embeddings.LayerNorm"
    scales = made.weight(f"{norm}.weight"), made.weight(f"{norm}.bias")
    x = made.add("LayerNormalization", x, *scales, epsilon=bert.epsilon)
    for layer in range(bert.layers):
        at = f"encoder.layer.{layer}"
        heads = [
            made.add("Gather", made.linear(x, f"{at}.attention.self.{part}"), "rows")
            for part in ("query", "key", "value")
        ]
        read = made.add("MultiHeadAttention", *heads, "", "lengths", own=True, num_heads=bert.heads)
        read = made.add("Gather", made.add("Flatten", read, axis=2), "back")
        x = made.onto(x, read, f"{at}.attention.output", bert.epsilon)
        inner = made.add("Gelu", made.linear(x, f"{at}.intermediate.dense"), own=True)
        x = made.onto(x, inner, f"{at}.output", bert.epsilon)
    made.add("LpNormalization", made.add("MatMul", "shares", x), axis=1, p=2, out=OUTPUT)
    return made.model(bert.size), made.arrays


class _Graph:
    """Nodes in the order they are computed in, and the arrays they name."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weights = weights
        self.arrays: dict[str, np.ndarray] = {}
        self.nodes: list[bytes] = []

    def array(self, name: str, value: np.ndarray) -> str:
        self.arrays[name] = np.ascontiguousarray(value)
        return name

    def weight(self, name: str) -> str:
        return self.array(name, self.weights[name])

    def linear(self, x: str, name: str) -> str:
        return self.add("Gemm", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), transB=1)

    def onto(self, x: str, inner: str, name: str, epsilon: float) -> str:
        """A linear layer's output added to `x`, normalized."""
        y = self.linear(inner, f"{name}.dense")
        scales = self.weight(f"{name}.LayerNorm.weight"), self.weight(f"{name}.LayerNorm.bias")
        return self.add("SkipLayerNormalization", y, x, *scales, own=True, epsilon=epsilon)

    def add(self, operator: str, *inputs: str, own: bool = False, out: str = "", **settings: int | float) -> str:
        """A node of one output, whose name is returned; `own`: the operator is onnxruntime's."""
        out = out or f"{len(self.nodes)} {operator}"
        parts = [*(_bytes(1, name) for name in inputs), _bytes(2, out), _bytes(4, operator)]
        for name, value in settings.items():
            kind = _float(2, value) + _int(20, 1) if isinstance(value, float) else _int(3, value) + _int(20, 2)
            parts.append(_bytes(5, _bytes(1, name) + kind))
        self.nodes.append(b"".join([*parts, _bytes(7, "com.microsoft" if own else "")]))
        return out

    def model(self, size: int) -> bytes:
        """The whole as ONNX's protobuf message `ModelProto`; the numbers are its fields'."""
        inside = [*(_bytes(1, node) for node in self.nodes), _bytes(2, "bert")]
        inside += [_bytes(5, _outside(name, value.shape)) for name, value in self.arrays.items()]
        inside += [_bytes(11, _value(name, kind, shape)) for name, (kind, shape) in INPUTS.items()]
        inside.append(_bytes(12, _value(OUTPUT, FLOAT, ("B", size))))
        versions = [_bytes(8, _bytes(1, domain) + _int(2, version)) for domain, version in OPERATORS.items()]
        return b"".join([_int(1, IR), _bytes(7, b"".join(inside)), *versions])


def _outside(name: str, shape: tuple[int, ...]) -> bytes:
    """A `TensorProto` whose data are given when the model is loaded."""
    place = _bytes(13, _bytes(1, "location") + _bytes(2, "given"))
    return b"".join(_int(1, size) for size in shape) + _int(2, FLOAT) + _bytes(8, name) + place + _int(14, 1)


def _value(name: str, kind: int, shape: tuple[str | int, ...]) -> bytes:
    """A `ValueInfoProto`; a size that is a word may be any."""
    sizes = b"".join(_bytes(1, _bytes(2, one) if isinstance(one, str) else _int(1, one)) for one in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, kind) + _bytes(2, sizes)))


def _number(value: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _int(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value)


def _float(field: int, value: float) -> bytes:
    return _number(field << 3 | 5) + struct.pack("<f", value)


def _bytes(field: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _number(field << 3 | 2) + _number(len(data)) + data
