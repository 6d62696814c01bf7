"""The command `medcite`: each of its words runs one room, as `python -m ROOM` does, with that room's own arguments.

    medcite ask "What causes gout?"

A room is imported only when its word is asked for, by name: `configs` is below every room.
"""

from __future__ import annotations

import runpy
import sys
from dataclasses import dataclass

from configs import entry
from configs.errors import UserError, run


@dataclass(frozen=True)
class Command:
    """One word of `medcite`: the module that it runs, the words put before the person's own, and what it does."""

    module: str
    words: tuple[str, ...] = ()
    does: str = ""
    """Empty: not listed in the help."""


COMMANDS = {
    "chat": Command("app", (), "open the chat in a browser, with the HTTP APIs under /api and /v1"),
    "serve": Command("app", ("--no-browser",), "the same without opening a browser"),
    "mcp": Command("app.mcp", (), "serve ask, search and read_source to clients of the Model Context Protocol"),
    "ask": Command("rag", (), "answer one question, or a file of them, in the terminal"),
    "search": Command("rag.search", (), "show the passages that the chat would find for a question"),
    "index": Command("index", (), "build the index (also: stats, verify, info)"),
    "finetune": Command(
        "finetune", (), "train the adapter that the chat takes (also: split, data, sweep, export, push)"
    ),
    "eval": Command(
        "eval",
        (),
        "compare the modes on held-out questions (also: people, swaps, retrieval, citations, compare, bench, ...)",
    ),
    "docs": Command("configs.docs"),
}


def help_text() -> str:
    """What `medcite --help` prints."""
    rows = "\n".join(f"  {name:<10}{command.does}" for name, command in COMMANDS.items() if command.does)
    return (
        "usage: medcite COMMAND ...\n\n"
        "Health questions answered from NIH text, every sentence with its source.\n"
        "Information, not medical advice.\n\n"
        f"commands:\n{rows}\n\n"
        "options:\n"
        "  -h, --help  show this help; medcite COMMAND --help shows a command's\n"
        "  --version   show the version\n"
    )


def version() -> str:
    """The version in the checkout's pyproject.toml; of a copy without one, that of the installed distribution."""
    import tomllib

    from configs import ROOT

    try:
        return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        from importlib.metadata import version as installed

        return installed("medcite")


def dispatch() -> int:
    """Run the command that the program's arguments name.

    Without any, print the help. Raises UserError for an unknown one; what the command itself raises goes through.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help", "help"):
        print(help_text(), end="")
        return 0
    if name == "--version":
        print(f"medcite {version()}")
        return 0
    command = COMMANDS.get(name)
    if command is None:
        listed = ", ".join(word for word, one in COMMANDS.items() if one.does)
        raise UserError(f"no command {name!r}; there are: {listed}")
    entry.called = f"medcite {name}"
    sys.argv[1:] = [*command.words, *sys.argv[2:]]
    runpy.run_module(command.module, run_name="__main__", alter_sys=True)
    return 0


def main() -> None:
    """The entry point of the console script."""
    run(dispatch)


if __name__ == "__main__":
    main()
