"""Vectors of MedQuAD's texts that come with medcite: embedding them takes 12 to 35 minutes on two cores.

    shipped = load(embedder.fingerprint)     # None: they are of another embedder
    shipped.find([files.key(text), ...])     # {key: unit vector}

Principal components, each rounded to multiples of one STEP, so that components that vary less cost fewer bits; then
Huffman codes. `medcite index vectors` makes the two files; docs/decisions/vectors.md has the figures.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from configs import files
from configs.errors import UserError
from index.embedder import EmbedderLike

FOLDER = Path(__file__).parent
MANIFEST, VECTORS = "medquad.json", "medquad.npz"
SCHEMA = 1
STEP = 0.0068
"""What a component of a unit vector is rounded to a multiple of. The files are to stay under 10 MB."""
KEY_BYTES = 6
"""Of a text's key: that another text has one of 50,000 keys has the chance 2e-10."""
SAMPLE = 16
"""Texts that are embedded again before the vectors are used."""
AGREE = 0.98
"""Least cosine of a vector with what the embedder gives for its text. Rounding leaves .9991 at the least, bf16 in place
of fp32 .999; another model's vectors are anywhere near 0."""


@dataclass(frozen=True)
class Manifest:
    """What the vectors are of. `embedder` is its fingerprint, `sha256` of the vectors' file."""

    schema: int
    embedder: str
    corpus: str
    corpus_digest: str
    texts: int
    dimensions: int
    step: float
    sha256: str
    command: str
    license: str


@dataclass(frozen=True)
class Shipped:
    """The vectors in `folder`, read when first looked for."""

    folder: Path
    manifest: Manifest

    @cached_property
    def _rows(self) -> dict[bytes, int]:
        """The row of each text's key."""
        (keys,) = self._parts("keys")
        return {key.tobytes(): row for row, key in enumerate(keys)}

    @cached_property
    def _vectors(self) -> np.ndarray:
        mean, rotation, codes = self._parts("mean", "rotation", "codes")
        try:
            return unpack(codes.tobytes(), len(self._rows), mean, rotation, self.manifest.step)
        except (ValueError, zlib.error) as error:
            raise self._unreadable(error) from None

    def _parts(self, *names: str) -> list[np.ndarray]:
        """Arrays of the vectors' file."""
        path = self.folder / VECTORS
        try:
            if files.digest_file(path) != self.manifest.sha256:
                raise UserError(f"{path}: damaged; run `{self.manifest.command}`, or install medcite again")
            with np.load(path, allow_pickle=False) as parts:
                return [parts[name] for name in names]
        except (OSError, ValueError, KeyError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> UserError:
        again = f"run `{self.manifest.command}`, or install medcite again"
        return UserError(f"{self.folder / VECTORS}: cannot be read ({error}); {again}")

    def find(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors, float32 (d,), of those of the keys that are there. Raises UserError for a damaged file.

        A corpus of which none is there does not wait for them to be unpacked.
        """
        rows = self._rows
        found = [key for key in keys if key[:KEY_BYTES] in rows]
        return {key: self._vectors[rows[key[:KEY_BYTES]]] for key in found}

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Shipped | None:
        """The vectors in a folder; None where there are none. Raises UserError where their manifest is damaged."""
        path = folder / MANIFEST
        try:
            manifest = Manifest(**json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{path}: cannot be read ({error}); install medcite again") from None
        return cls(folder, manifest) if manifest.schema == SCHEMA else None


@cache
def load(fingerprint: str) -> Shipped | None:
    """The vectors that ship, if they are of this embedder."""
    found = Shipped.read()
    return found if found and found.manifest.embedder == fingerprint else None


def agree(known: Mapping[str, np.ndarray], embedder: EmbedderLike) -> bool:
    """Whether SAMPLE of the texts, drawn anew each time, have the vectors that the embedder gives for them."""
    texts = random.sample(list(known), min(SAMPLE, len(known)))
    cosines = (embedder.encode(texts) * np.stack([known[text] for text in texts])).sum(axis=1)
    return bool(cosines.min() >= AGREE)


def pack(vectors: np.ndarray, step: float = STEP) -> tuple[np.ndarray, np.ndarray, bytes]:
    """Mean (d,), rotation (d, d) in float16, and codes of unit vectors (n, d): what `unpack` takes."""
    mean = vectors.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((vectors - mean).T))
    rotation = axes[:, ::-1].T.astype(np.float16)
    values = (vectors - mean) @ rotation.T.astype(np.float32)
    codes = np.clip(np.round(values / step), -127, 127).astype(np.int8)  # at STEP up to .86: wider than any is
    # A component after the other, so that each has a code of its own.
    press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
    return mean, rotation, press.compress(np.ascontiguousarray(codes.T).tobytes()) + press.flush()


def unpack(codes: bytes, count: int, mean: np.ndarray, rotation: np.ndarray, step: float) -> np.ndarray:
    """Unit vectors, float32 (count, d). Raises ValueError where the codes are of another number."""
    whole = np.frombuffer(zlib.decompress(codes, -zlib.MAX_WBITS), dtype=np.int8).reshape(len(rotation), count)
    found = whole.T.astype(np.float32) @ (rotation.astype(np.float32) * np.float32(step)) + mean.astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found, dtype=np.float32)


def write(
    vectors: Mapping[str, np.ndarray], fingerprint: str, corpus: str, corpus_digest: str, command: str, folder: Path
) -> Manifest:
    """Write the vectors of texts and their manifest into `folder`. Raises UserError where it cannot be written."""
    by_key = dict(sorted((files.key(text)[:KEY_BYTES], vector) for text, vector in vectors.items()))
    table = np.stack(list(by_key.values()))
    mean, rotation, codes = pack(table)
    keys = np.frombuffer(b"".join(by_key), dtype=np.uint8).reshape(-1, KEY_BYTES)
    with files.said(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with files.aside(folder / VECTORS) as new, new.open("wb") as file:
            np.savez(file, keys=keys, mean=mean, rotation=rotation, codes=np.frombuffer(codes, dtype=np.uint8))
        manifest = Manifest(
            schema=SCHEMA,
            embedder=fingerprint,
            corpus=corpus,
            corpus_digest=corpus_digest,
            texts=len(by_key),
            dimensions=table.shape[1],
            step=STEP,
            sha256=files.digest_file(folder / VECTORS),
            command=command,
            license="computed from MedQuAD (Asma Ben Abacha and Dina Demner-Fushman, 2019), CC BY 4.0",
        )
        files.write_json(folder / MANIFEST, asdict(manifest))
    return manifest
