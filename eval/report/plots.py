"""The report's plots: inline SVG that takes the page's colours and fonts, each with its figures as a table."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

from eval.report.blocks import Cell, Panel, Plot, Row, table
from eval.report.figures import (
    METRICS,
    NONE,
    cell,
    entries,
    labels,
    modes_of,
    number,
    regime_name,
    regimes_of,
    row_of,
    sees_sources,
)

SHOWN = ("rouge1", "rougeL", "bleu", "bertscore")
WIDTH = 320
"""Width of a drawing in SVG units: a phone shows it about one to one."""
# Colours no drawing uses otherwise, exchanged for the page's own so that one file suits light, dark and print.
INK, SOFT, LINE, PAPER = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#050505", "#060606", "#070707", "#080808", "#090909")
COLOURS = {INK: "currentColor", SOFT: "var(--soft)", LINE: "var(--line)", PAPER: "var(--paper)"} | {
    colour: f"var(--c{i})" for i, colour in enumerate(SERIES, 1)
}
DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.6)), (0, (6, 2, 1.2, 2)))


def modes(results: dict[str, Any]) -> Plot:
    """Every mode by ROUGE-1, ROUGE-L, BLEU and BERTScore, with intervals, in both regimes."""
    names = modes_of(results)
    panels = []
    for metric in SHOWN:
        found = [(mode, regime, _figure(results, mode, regime, metric)) for mode, regime in _ways(results)]
        measured = [(mode, regime, figure) for mode, regime, figure in found if figure]
        if not measured:
            continue
        title, places = METRICS[metric]
        said = "; ".join(
            f"{_way(results, mode, regime)} {number(figure['value'], places)}" for mode, regime, figure in measured
        )

        def draw(axes: Any, measured: list[Any] = measured) -> None:
            for mode, regime, figure in measured:
                sees = sees_sources(results, mode)
                place = float(len(names) - 1 - names.index(mode))
                place += (0.16 if regime == "indexed" else -0.16) if sees else 0
                colour, marker = (SERIES[1], "D") if regime == "withheld" else (SERIES[0], "o")
                if not sees:
                    colour, marker = SOFT, "s"
                low, high = figure.get("low"), figure.get("high")
                if low is not None and high is not None:
                    axes.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
                face = PAPER if regime == "withheld" and sees else colour
                axes.plot(
                    [figure["value"]], [place], marker, color=colour, markerfacecolor=face, markersize=6.5, mew=1.6
                )
            axes.set_yticks(range(len(names)), names[::-1])
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.set_xlim(left=0)
            axes.grid(axis="x", color=LINE, linewidth=0.8)

        panels.append(_panel(f"modes-{metric}", title, said, draw, 52 + 31 * len(names), (0.32, 28, 24)))
    rows = {
        regime_name(regime): [
            (mode, *entries((row_of(results, mode, regime) or {}).get("figures"), SHOWN)) for mode in names
        ]
        for regime in regimes_of(results)
    }
    caption = (
        "Each mode's overlap with the reference, and 95% intervals. Filled circle: source indexed; hollow "
        "diamond: source withheld; grey square: the mode sees no sources."
    )
    return Plot(
        caption, tuple(panels), table("plot-modes", "Modes by metric", ("Mode", *labels(SHOWN)), rows, "Regime")
    )


def risk_coverage(results: dict[str, Any]) -> Plot | None:
    """Risk (1 - mean ROUGE-L of what is answered) by the share of questions answered, most confident first."""
    curves = [curve for curve in results.get("risk_coverage") or [] if curve.get("points")]
    if not curves:
        return None
    risks = [point["risk"] for curve in curves for point in curve["points"]]
    span = max(risks) - min(risks) or 0.1
    names = list(dict.fromkeys(curve["mode"] for curve in curves))
    panels = []
    for regime in dict.fromkeys(curve["regime"] for curve in curves):
        here = [curve for curve in curves if curve["regime"] == regime]

        def draw(axes: Any, here: list[Any] = here) -> None:
            for curve in here:
                points = sorted(curve["points"], key=lambda point: point["coverage"])
                which = names.index(curve["mode"])
                axes.plot(
                    [point["coverage"] for point in points],
                    [point["risk"] for point in points],
                    color=SERIES[which % len(SERIES)],
                    linestyle=DASHES[which % len(DASHES)],
                    linewidth=2.2,
                    label=curve["mode"],
                )
            axes.set_xlim(0, 1)
            axes.set_ylim(max(0, min(risks) - 0.05 * span), max(risks) + 0.05 * span)
            axes.set_xlabel("share of questions answered")
            axes.set_ylabel("risk")
            axes.grid(color=LINE, linewidth=0.8)
            # Above the lines, wherever they run; long handles, or a dashed line looks like a whole one.
            axes.legend(
                loc="lower left", bbox_to_anchor=(-0.14, 1.0), ncols=3, frameon=False, fontsize=10, labelcolor=INK,
                handlelength=2.4, handletextpad=0.5, columnspacing=1.0, borderaxespad=0,
            )  # fmt: skip

        said = "; ".join(f"{curve['mode']}: {_ends(curve['points'])}" for curve in here)
        panels.append(_panel(f"risk-{regime}", regime_name(regime), said, draw, 270, (0.145, 52, 42)))
    # Ten points of a curve are enough to read; all of them are in results.json.
    tenths = [tenth / 10 for tenth in range(10, 0, -1)]
    rows: list[Row] = [
        (
            f"{curve['mode']}, source {curve['regime']}",
            *(_risk_at(curve["points"], tenth) for tenth in tenths),
            cell(curve.get("area")),
        )
        for curve in curves
    ]
    caption = (
        "Risk by coverage: answering only the questions it is most confident of, how far from its references a mode "
        "is. Risk is 1 less the mean ROUGE-L of the questions answered; lower is better, and a line that falls to "
        "the left says that the confidence is worth something. A line ends where the model itself declines the rest. "
        "Area: the mean risk along the line."
    )
    columns = ("Mode", *(f"answering {tenth:.0%}" for tenth in tenths), "Area")
    return Plot(caption, tuple(panels), table("plot-risk", "Risk at each share of questions answered", columns, rows))


def latency(results: dict[str, Any]) -> Plot | None:
    """Time to the first token and to the whole answer: median and 95th percentile, in seconds."""
    found = results.get("latency") or []
    panels = []
    for key, title in (("first_token_ms", "Time to the first token"), ("total_ms", "Time to the whole answer")):
        rows = [row for row in found if (row.get(key) or {}).get("p50") is not None]
        if not rows:
            continue

        def draw(axes: Any, rows: list[Any] = rows, key: str = key) -> None:
            for place, row in enumerate(reversed(rows)):
                middle, late = row[key]["p50"] / 1000, row[key].get("p95")
                axes.barh(place, middle, height=0.5, color=SERIES[0], linewidth=0)
                if late is not None:
                    axes.plot([middle, late / 1000], [place, place], color=INK, linewidth=1.4)
                    axes.plot([late / 1000], [place], "|", color=INK, markersize=9, mew=1.4)
            axes.set_yticks(range(len(rows)), [_way(results, row["mode"], row["regime"]) for row in reversed(rows)])
            axes.set_ylim(-0.6, len(rows) - 0.4)
            axes.set_xlim(left=0)
            axes.set_xlabel("seconds")
            axes.grid(axis="x", color=LINE, linewidth=0.8)

        said = "; ".join(
            f"{_way(results, row['mode'], row['regime'])} {_seconds(row, key, 'p50')} s, 95th percentile "
            f"{_seconds(row, key, 'p95')} s"
            for row in rows
        )
        panels.append(_panel(f"latency-{key}", title, said, draw, 72 + 26 * len(rows), (0.47, 28, 42)))
    if not panels:
        return None
    keys = [(key, at) for key in ("first_token_ms", "total_ms") for at in ("p50", "p95")]
    listed: list[Row] = [
        (
            _way(results, row["mode"], row["regime"]),
            str(row["n"]),
            *(Cell(_seconds(row, key, at)) for key, at in keys),
            Cell(number(row.get("tokens_per_second"), 1)),
        )
        for row in found
    ]
    columns = (
        "Mode", "n", "First token, median (s)", "First token, p95 (s)", "Whole answer, median (s)",
        "Whole answer, p95 (s)", "Tokens/s",
    )  # fmt: skip
    caption = "Time an answer takes, one question at a time. Bar: median; line: to the 95th percentile."
    return Plot(caption, tuple(panels), table("plot-latency", "Latency", columns, listed))


def _seconds(row: dict[str, Any], key: str, at: str) -> str:
    value = (row.get(key) or {}).get(at)
    return NONE if value is None else number(value / 1000, 2)


def _ends(points: list[dict[str, Any]]) -> str:
    ordered = sorted(points, key=lambda point: point["coverage"])
    first, last = ordered[0], ordered[-1]
    return (
        f"risk {number(first['risk'])} answering {first['coverage']:.0%}, "
        f"{number(last['risk'])} answering {last['coverage']:.0%}"
    )


def _risk_at(points: list[dict[str, Any]], share: float) -> Cell | str:
    """The risk at the point nearest to this coverage, if one is within a twentieth."""
    nearest = min(points, key=lambda point: abs(point["coverage"] - share))
    return Cell(number(nearest["risk"])) if abs(nearest["coverage"] - share) <= 0.05 else NONE


def _ways(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Each mode in each regime; once where it sees no sources."""
    regimes = regimes_of(results)
    return [(mode, r) for mode in modes_of(results) for r in (regimes if sees_sources(results, mode) else regimes[:1])]


def _way(results: dict[str, Any], mode: str, regime: str) -> str:
    return f"{mode}, {regime}" if sees_sources(results, mode) else mode


def _figure(results: dict[str, Any], mode: str, regime: str, metric: str) -> dict[str, Any] | None:
    figure = ((row_of(results, mode, regime) or {}).get("figures") or {}).get(metric)
    return figure if isinstance(figure, dict) and figure.get("value") is not None else None


def _panel(
    name: str, title: str, description: str, draw: Callable[[Any], None], height: int, edges: tuple[float, int, int]
) -> Panel:
    """One drawing, `height` SVG units high, with `edges` around it: a share of its width on the left for
    labels, SVG units above and below."""
    return Panel(title, description, partial(_svg, name, title, description, draw, height, edges))


def _svg(
    name: str, title: str, description: str, draw: Callable[[Any], None], height: int, edges: tuple[float, int, int]
) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    # Text stays text, in the page's font; ids are the same in every run; names are never read as formulas.
    settings = {
        "svg.fonttype": "none", "svg.hashsalt": name, "text.parse_math": False, "font.family": "DejaVu Sans",
        "font.size": 11, "text.color": INK, "axes.labelcolor": SOFT, "axes.edgecolor": LINE, "xtick.color": SOFT,
        "ytick.color": INK, "axes.facecolor": "none", "figure.facecolor": "none", "axes.axisbelow": True,
    }  # fmt: skip
    out = io.StringIO()
    with matplotlib.rc_context(settings):
        # Figure without pyplot: no global state and no window.
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        left, above, below = edges
        axes = figure.add_axes((left, below / height, 0.97 - left, 1 - (above + below) / height))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0)
        draw(axes)
        axes.locator_params(axis="x", nbins=5)
        figure.text(0.0, 1 - 14 / height, title, fontsize=13, fontweight="bold", va="center")
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(out.getvalue(), name, title, description, height)


def _inline(svg: str, name: str, title: str, description: str, height: int) -> str:
    """The `<svg>` element alone: no prolog, no metadata, the page's colours, ids that no other drawing has."""
    body = svg[svg.index("<svg") :]
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r'font: (?:(bold|700) )?([\d.]+px) [^;"]*', _font, body)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', body)
    for colour, own in COLOURS.items():
        body = body.replace(colour, own)
    # Line ends within paths are only there for people who read the source.
    body = re.sub(r"\s*\n\s*", " ", body)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{body}</svg>"
    )


def _font(found: re.Match[str]) -> str:
    return f"font-size: {found.group(2)}" + ("; font-weight: bold" if found.group(1) else "")
