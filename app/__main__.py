"""The chat and the HTTP API: `python -m app`, then open the address it prints."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from configs import entry
from configs.errors import UserError, run

if TYPE_CHECKING:
    from app.engine import PipelineLike
    from configs.schema import Profile
    from index.identity import Part

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(
        prog=entry.prog("app"),
        description="Serve the chat and, under /api, the HTTP API. Information, not medical advice.",
    )
    result.add_argument("--host", help="address to listen on (default: the profile's, 127.0.0.1)")
    result.add_argument("--port", type=int, help="port, 0 for a free one (default: the profile's, 7860)")
    result.add_argument("--index", type=Path, metavar="FOLDER", help="the index (default: the one `make index` built)")
    result.add_argument("--no-browser", action="store_true", help="do not open a browser")
    result.add_argument("--no-history", action="store_true", help="keep no conversation on disk")
    entry.add_arguments(result)
    return result


def main() -> int:
    """Bind, load in the background, serve."""
    args = parser().parse_args()
    if args.port is not None and not 0 <= args.port <= 65535:
        raise UserError(f"--port {args.port}: give a number from 0 to 65535")
    profile = entry.load_for(args, adapter=True)
    host = args.host or profile.app.host
    folder = args.index or entry.index_folder()
    data = entry.data_folder()

    from app import server

    sock = server.bind(host, profile.app.port if args.port is None else args.port)
    local = host in LOOPBACK
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{sock.getsockname()[1]}"

    # Gradio reads these when it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from app import builder
    from app.engine import Engine
    from app.history import History

    engine = Engine(lambda: open_pipeline(profile, folder, data / "models"), corpus_of(folder))
    engine.start()
    if unfinished(folder):
        builder.Builder(builder.command(folder, args.profile, args.overrides), engine.wait).start()
    application = server.create(
        engine,
        History(None if args.no_history else data / "history.sqlite"),
        browser_secret(data),
        local=local,
        latest=data / "eval" / "latest",
        default_mode=profile.mode,
        tokens=profile.generator.max_new_tokens,
    )
    print(f"medcite is at {address}  (Ctrl-C stops it)", flush=True)
    if not local:
        print("medcite: everyone who can reach this address can ask and search", file=sys.stderr)
    if not args.no_browser:
        open_browser(address)
    server.serve(application, sock)
    return 0


def corpus_of(folder: Path) -> tuple[Part, ...]:
    """What the index holds, read from its manifest alone; nothing where there is none that can be read."""
    from index.choice import manifest_of

    manifest = manifest_of(folder)
    return manifest.parts if manifest else ()


def unfinished(folder: Path) -> bool:
    """Whether the index is a stage of one that grows, and nobody builds it."""
    from index.choice import manifest_of
    from index.growing import building

    manifest = manifest_of(folder)
    return bool(manifest and manifest.growing) and not building(folder)


def open_pipeline(profile: Profile, folder: Path, models: Path) -> PipelineLike:
    """The real pipeline."""
    from rag.pipeline import Pipeline

    return Pipeline.open(profile, folder, models, unfinished=True)


def browser_secret(data: Path) -> str:
    """What the browser's copy of the conversation id is kept under; made once."""
    path = data / "browser-secret"
    try:
        return path.read_text("utf-8").strip() or _new_secret(path)
    except FileNotFoundError:
        return _new_secret(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _new_secret(path: Path) -> str:
    value = secrets.token_urlsafe(24)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            file.write(value)
    except OSError as error:
        print(f"medcite: {path}: {error.strerror}; conversations last until the program ends", file=sys.stderr)
    return value


def open_browser(address: str) -> None:
    """Open the page where there is a screen to open it on."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    import webbrowser

    webbrowser.open(address)


if __name__ == "__main__":
    run(main)
