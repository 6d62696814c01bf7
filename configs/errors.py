"""The one way medcite tells a person that something is wrong: a line on stderr and exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake that a person can mend. The message says what is wrong, where, and what to do."""


def run(main: Callable[[], int | None]) -> None:
    """Run an entry point: a `UserError` becomes one line and exit code 2, Ctrl-C becomes 130.

    So does a package that only an extra brings: rooms above the base import those where they use them.
    """
    try:
        code = main() or 0
        sys.stdout.flush()
    except UserError as error:
        print(f"medcite: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except ModuleNotFoundError as error:
        from configs.extras import EXTRAS, missing

        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        print(f"medcite: {missing(module)}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("medcite: stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # The reader went away (`| head`): not an error, and nothing more can be written to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
