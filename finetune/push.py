"""An adapter or an export to a hub repository: says what it will upload, asks, then uploads.

python -m finetune push NAME/REPOSITORY [--folder FOLDER] [--public] [--yes]
"""

from __future__ import annotations

import sys
from pathlib import Path

from configs.errors import UserError


def contents(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes in bytes of the files to upload. Raises UserError for a folder without a model card."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name an adapter's or an export's with --folder")
    found = sorted(
        (str(path.relative_to(folder)), path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if "README.md" not in dict(found):
        raise UserError(f"{folder}: no README.md (the model card), so this is not an adapter or an export")
    return found


def push(folder: Path, repository: str, private: bool = True, yes: bool = False) -> str:
    """Upload `folder` to `repository`, made if need be; return its address.

    Raises UserError where the person does not say yes, or the hub does not take it.
    """
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise UserError(f"{repository!r} is not a repository; write owner/name")
    files = contents(folder)
    print(f"to {repository} ({'private' if private else 'public'}) on the model hub, from {folder}:", file=sys.stderr)
    for name, size in files:
        print(f"  {name}  {size:,} bytes", file=sys.stderr)
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("nothing uploaded: no terminal to ask on; say --yes to upload without asking")
        print("upload? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise UserError("nothing uploaded")
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    hub = HfApi()
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=str(folder), allow_patterns=[name for name, _ in files])
    except LocalTokenNotFoundError:
        raise UserError("the hub does not know you; run: hf auth login") from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise UserError(f"the hub does not let you write to {repository}; run: hf auth login") from None
        raise UserError(f"the hub refused: {' '.join(str(error).split())[:160]}") from None
    except ValueError as error:
        raise UserError(f"{repository}: {' '.join(str(error).split())[:160]}") from None
    except (OSError, httpx2.HTTPError) as error:  # no connection, in whichever of the client's forms
        raise UserError(f"the hub does not answer ({' '.join(str(error).split())[:120]}); nothing is lost") from None
    return f"{hub.endpoint}/{repository}"
