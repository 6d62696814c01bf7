"""The drawing of the rooms, made from what the code imports: `python -m configs.drawing > docs/architecture.svg`.

Each room is a box with its sub-folders. Each room that others import has a lane on the right: a dot is a room that
imports it, the arrow's head is the room itself. All imports count, those within functions and for types too.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

ROOMS = ("configs", "index", "rag", "finetune", "app", "eval")
"""From the bottom up: a room may import those below it."""

WIDTH, BOX, GAP, LANE = 648, 200, 12, 34
"""Pixels: of a room, of a sub-folder, between boxes, between lanes."""
HEAD, SUB, BETWEEN, MARGIN = 46, 46, 26, 20
"""Pixels: height of a room's title, of a sub-folder; between rooms; around everything."""
COLORS = ("#1b5e8c", "#2c7a4b", "#a3541f", "#7a3b8f", "#8c1b3a")


def part(path: Path, root: Path) -> str:
    """The room or sub-folder that a file is in: `rag`, `rag/generators`."""
    return "/".join(path.relative_to(root).parent.parts[:2])


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of ours that a tree imports; of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts(root: Path) -> dict[str, set[str]]:
    """Each room and sub-folder that holds Python, with the rooms and sub-folders that its own files import."""
    files = [path for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    found: dict[str, set[str]] = {part(path, root): set() for path in files}
    for path in files:
        own = part(path, root)
        for name in imported(ast.parse(path.read_text("utf-8"))):
            words = name.split(".")
            if words[0] in ROOMS:
                inner = "/".join(words[:2])
                found[own].add(inner if inner in found else words[0])
    return {name: uses - {name} for name, uses in found.items()}


def edges(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Each room with the other rooms that it imports."""
    result: dict[str, set[str]] = defaultdict(set)
    for name, uses in found.items():
        room = name.partition("/")[0]
        result[room] |= {use.partition("/")[0] for use in uses} - {room}
    return dict(result)


def svg(root: Path) -> str:
    """The drawing as SVG. The same imports give the same text."""
    found = parts(root)
    uses = edges(found)
    lanes = [room for room in ROOMS if any(room in others for others in uses.values())]
    per_row = (WIDTH - GAP) // (BOX + GAP)
    inner = {room: sorted(name for name in found if name.startswith(f"{room}/")) for room in ROOMS}
    place: dict[str, tuple[int, int]] = {}
    y = MARGIN
    for room in reversed(ROOMS):
        height = HEAD + -(-len(inner[room]) // per_row) * (SUB + GAP)
        place[room] = (y, height)
        y += height + BETWEEN
    whole = (MARGIN + WIDTH + LANE * (len(lanes) + 1) + MARGIN, y - BETWEEN + MARGIN)
    said = "; ".join(f"{room} imports {', '.join(sorted(uses[room])) or 'no other room'}" for room in ROOMS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole[0]} {whole[1]}" width="{whole[0]}" '
        f'height="{whole[1]}" role="img" font-family="system-ui, sans-serif">',
        f"<title>What the rooms import: {escape(said)}</title>",
        f'<rect width="{whole[0]}" height="{whole[1]}" fill="#ffffff"/>',
    ]
    for room in ROOMS:
        lines += _room(room, place[room], inner[room], found, per_row)
    for number, room in enumerate(lanes):
        lines += _lane(room, [one for one in ROOMS if room in uses[one]], place, number, len(lanes))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _room(
    room: str, place: tuple[int, int], inner: list[str], found: dict[str, set[str]], per_row: int
) -> Iterator[str]:
    top, height = place
    yield (
        f'<rect x="{MARGIN}" y="{top}" width="{WIDTH}" height="{height}" rx="8" fill="#f3f6f8" stroke="#44525f"/>'
        f'<text x="{MARGIN + GAP}" y="{top + 28}" font-size="18" font-weight="600" fill="#16202a">{room}/</text>'
    )
    below = sorted(use for use in found.get(room, ()) if use.partition("/")[0] == room)
    if below:
        words = "its own files import " + ", ".join(use.partition("/")[2] for use in below)
        yield f'<text x="{MARGIN + 130}" y="{top + 28}" font-size="12" fill="#44525f">{words}</text>'
    for number, name in enumerate(inner):
        x = MARGIN + GAP + number % per_row * (BOX + GAP)
        y = top + HEAD + number // per_row * (SUB + GAP)
        used = "imports " + (", ".join(sorted({_short(use, room) for use in found[name]})) or "nothing of ours")
        yield (
            f'<rect x="{x}" y="{y}" width="{BOX}" height="{SUB}" rx="5" fill="#ffffff" stroke="#8896a3"/>'
            f'<text x="{x + 8}" y="{y + 18}" font-size="14" fill="#16202a">{name.partition("/")[2]}/</text>'
            f'<text x="{x + 8}" y="{y + 36}" font-size="11" fill="#44525f">{_fitted(used)}</text>'
        )


def _short(use: str, room: str) -> str:
    """A use as a box names it: a folder of the same room by its own name, anything else by its room."""
    top, _, rest = use.partition("/")
    return rest or "its room" if top == room else top


def _fitted(text: str) -> str:
    return text if len(text) <= 34 else text[:31].rsplit(",", 1)[0] + ", …"


def _lane(room: str, users: list[str], place: dict[str, tuple[int, int]], number: int, lanes: int) -> Iterator[str]:
    """The lane of a room: a line from each room that imports it, down and into the room."""
    color = COLORS[number % len(COLORS)]
    edge = MARGIN + WIDTH
    x = edge + LANE * (lanes - number)
    enter = place[room][0] + place[room][1] - 14
    points = [(user, place[user][0] + 12 + 6 * number) for user in users]
    top = min(y for _, y in points)
    yield f'<path d="M{x} {top}V{enter}H{edge + 8}" fill="none" stroke="{color}" stroke-width="1.8"/>'
    yield f'<path d="M{edge + 1} {enter}l9 -5v10z" fill="{color}"/>'
    for _, y in points:
        yield f'<path d="M{edge} {y}H{x}" stroke="{color}" stroke-width="1.8"/>'
        yield f'<circle cx="{x}" cy="{y}" r="3.6" fill="{color}"/>'
    yield f'<text x="{edge + 14}" y="{enter + 12}" font-size="12" fill="{color}">{room}</text>'


if __name__ == "__main__":
    from configs import ROOT

    sys.stdout.write(svg(ROOT))
