"""Which corpus a command reads: the one a person named, else the one that the index holds, else the default one.

    chosen = of_command(args.corpus, environment, manifest, data, cleaning, say)

A corpus that a person named stays the index's own until another one is named; MedQuAD and the starter corpus are
what nobody had to name, and give way to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import UserError
from index import identity, sources, store

if TYPE_CHECKING:
    from configs.schema import Cleaning
    from index.store import Manifest

REPLACE = "CORPUS=medquad or --corpus medquad replaces it"


@dataclass(frozen=True)
class Choice:
    """A specification, and whether a person named it.

    `gone` says why the index's corpus cannot be read again, and `spec` is empty then: the index is all there is of it.
    """

    spec: tuple[str, ...]
    named: bool
    gone: str = ""

    def readable(self) -> Choice:
        """Itself. Raises UserError where the corpus has to be read and is gone."""
        if self.gone:
            raise UserError(f"{self.gone}; name the corpus to read: --corpus PATH, or --corpus medquad")
        return self


def manifest_of(folder: Path) -> Manifest | None:
    """The manifest of the index in `folder`; None where there is none that can be read."""
    try:
        return store.read_manifest(folder)[0]
    except UserError:
        return None


def own(manifest: Manifest) -> bool:
    """Whether a person named this index's corpus. An older index does not say: then, what MedQuAD is not called."""
    if manifest.spec:
        return manifest.named
    return any(one.kind == "own" for one in manifest.parts)


def of_command(
    options: Sequence[str] | None,
    environment: Mapping[str, str],
    manifest: Manifest | None,
    data: Path,
    cleaning: Cleaning,
    notify: Callable[[str], None],
    force: bool = False,
) -> Choice:
    """`choose` for a command: its `--corpus` options, the variables CORPUS and MEDQUAD, and the data folder."""
    given = sources.given(options, environment.get("CORPUS"))
    return choose(given, manifest, environment.get("MEDQUAD"), data / "corpora", cleaning, notify, force)


def choose(
    given: Sequence[str],
    manifest: Manifest | None,
    medquad: str | None,
    cache: Path,
    cleaning: Cleaning,
    notify: Callable[[str], None],
    force: bool = False,
) -> Choice:
    """The corpus to read, where the index has this `manifest` and `medquad` is the variable of that name.

    `force`: the same corpus is wanted again. Raises UserError for a MedQuAD that was named and cannot be had.
    """
    if given:
        named = list(given) not in ([sources.MEDQUAD], [sources.STARTER])
        return Choice(tuple(sources.resolved(given, medquad, cache, notify)), named)
    if manifest is not None and own(manifest):
        if not manifest.spec and _is_medquads(manifest, medquad, cleaning):
            return Choice((str(medquad),), False)
        return _again(manifest, True)
    if manifest is not None and force and not medquad and manifest.spec and not sources.missing(manifest.spec):
        return Choice(tuple(manifest.spec), False)
    if medquad or manifest is None or manifest.corpus_name == sources.STARTER:
        return Choice(tuple(sources.default_corpus(Path(medquad) if medquad else None, cache, notify)), False)
    try:
        return Choice((str(sources.download(cache, notify)),), False)
    except UserError as error:  # the starter corpus would be less than what is there
        notify(str(error))
        return _again(manifest, False)


def _again(manifest: Manifest, named: bool) -> Choice:
    """The corpus that the index was built from."""
    where = f"the index holds {identity.counted(manifest.parts)}"
    if not manifest.spec:
        return Choice((), named, f"{where} and does not say where that was read from")
    lost = sources.missing(manifest.spec)
    return Choice((), named, f"{where}, and {lost} is not there now") if lost else Choice(tuple(manifest.spec), named)


def _is_medquads(manifest: Manifest, medquad: str | None, cleaning: Cleaning) -> bool:
    """Whether an older index was built from what MEDQUAD names, whatever that file is called."""
    try:
        return bool(medquad) and sources.digest([str(medquad)], cleaning) == manifest.corpus_digest
    except UserError:
        return False


def called(spec: Sequence[str]) -> str:
    """A specification in words, before it is read: the names of its files."""
    names = [
        "medcite's starter corpus" if source == sources.STARTER else sources.split(source)[0].name for source in spec
    ]
    return ", ".join(names)


def change(manifest: Manifest, chosen: Choice, digest: str) -> str:
    """What a build is about to do to the index that is there; `digest` is that of the corpus to read."""
    held = identity.counted(manifest.parts)
    if manifest.corpus_digest == digest:
        return f"building the index of {held} again"
    if manifest.spec == sources.absolute(chosen.spec):
        return f"{held} changed since the index was built; building it again"
    return f"replacing {held} by {called(chosen.spec)}"


def kept(manifest: Manifest, medquad: str | None) -> str:
    """Which corpus the index holds and how to replace it, in words for one line."""
    also = "; MEDQUAD is not asked for that" if medquad else ""
    return f"{identity.counted(manifest.parts)}, the corpus that was named ({REPLACE}{also})"


def known(chosen: Choice, manifest: Manifest | None) -> tuple[identity.Part, ...]:
    """What an older index is, where nobody named its corpus: MedQuAD, whatever its file is called, or the starter."""
    if chosen.named or manifest is None:
        return ()
    kind: identity.Kind = "starter" if chosen.spec == (sources.STARTER,) else "medquad"
    return (identity.part(kind, "", manifest.pairs),)


def differs(corpus: sources.Corpus, manifest: Manifest | None) -> str:
    """What to say where a command reads another corpus than the index holds; empty where it does not."""
    if manifest is None or manifest.corpus_digest == corpus.digest:
        return ""
    return f"not what the index holds: that is {identity.counted(manifest.parts)} (make index changes it)"
