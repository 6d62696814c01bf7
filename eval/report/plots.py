"""The report's plots: inline SVG that takes the page's colors and fonts, each with its figures as a table."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eval.report.figures import (
    METRICS,
    NONE,
    REGIMES,
    Cell,
    Row,
    Table,
    by_mode,
    cell,
    modes_of,
    number,
    row_of,
    sees_sources,
    ways_of,
)

SHOWN = ("rouge1", "rougeL", "bleu", "bertscore")
WIDTH = 320
"""Width of a drawing in SVG units: a phone shows it about one to one."""
INK, SOFT, LINE, PAPER, *SERIES = (f"#{place:02}{place:02}{place:02}" for place in range(1, 10))
PAGES = ("currentColor", *(f"var(--{name})" for name in ("soft", "line", "paper", "c1", "c2", "c3", "c4", "c5")))
"""The page's own colors for these, which no drawing uses otherwise: one file suits light, dark and print."""
DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.6)), (0, (6, 2, 1.2, 2)))


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing, `height` SVG units high, with `edges` around it.

    They are a share of the width on the left, for labels, and SVG units above and below.
    """

    name: str
    title: str
    description: str
    draw: Callable[[Any], None]
    height: int
    edges: tuple[float, int, int]

    def body(self) -> str:
        """What stands in the `<svg>` element, made in a tenth of a second: no metadata, ids of no other drawing."""
        import matplotlib
        from matplotlib.figure import Figure

        # Text stays text, in the page's font; ids are the same in every run; names are never read as formulas.
        settings = {
            "svg.fonttype": "none", "svg.hashsalt": self.name, "text.parse_math": False, "font.family": "DejaVu Sans",
            "font.size": 11, "text.color": INK, "axes.labelcolor": SOFT, "axes.edgecolor": LINE, "xtick.color": SOFT,
            "ytick.color": INK, "axes.facecolor": "none", "figure.facecolor": "none", "axes.axisbelow": True,
            "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False, "grid.color": LINE,
            "xtick.major.size": 0, "ytick.major.size": 0,
        }  # fmt: skip
        out = io.StringIO()
        with matplotlib.rc_context(settings):
            # Figure without pyplot: no global state and no window.
            figure = Figure(figsize=(WIDTH / 72, self.height / 72))
            left, above, below = self.edges
            axes = figure.add_axes((left, below / self.height, 0.97 - left, 1 - (above + below) / self.height))
            self.draw(axes)
            axes.locator_params(axis="x", nbins=5)
            figure.text(0.0, 1 - 14 / self.height, self.title, fontsize=13, fontweight="bold", va="center")
            figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        body = re.sub(r"^.*?<svg[^>]*>|</svg>\s*$", "", out.getvalue(), flags=re.DOTALL)
        body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
        body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
        body = re.sub(r'font: (?:bold|700) ([\d.]+px) [^;"]*', r"font-size: \1; font-weight: bold", body)
        body = re.sub(r'font: ([\d.]+px) [^;"]*', r"font-size: \1", body)
        body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.name}-", body).replace("xlink:href", "href")
        for color, pages in zip((INK, SOFT, LINE, PAPER, *SERIES), PAGES, strict=True):
            body = body.replace(color, pages)
        # Line ends within paths are only there for people who read the source.
        return re.sub(r"\s*\n\s*", " ", body)


@dataclass(frozen=True, slots=True)
class Plot:
    """Drawings, and the table that says the same in figures."""

    panels: list[Panel]
    table: Table


def modes(results: dict[str, Any]) -> Plot:
    """Every mode by ROUGE-1, ROUGE-L, BLEU and BERTScore, with intervals, in both regimes."""
    names = modes_of(results)
    panels = []
    for metric in SHOWN:
        found = [(mode, regime, _figure(results, mode, regime, metric)) for mode, regime in ways_of(results)]
        measured = [(mode, regime, figure) for mode, regime, figure in found if figure]
        if not measured:
            continue
        title, places = METRICS[metric]

        def draw(axes: Any, measured: list[Any] = measured) -> None:
            for mode, regime, figure in measured:
                place = float(len(names) - 1 - names.index(mode))
                if not sees_sources(results, mode):
                    color, face, marker = SOFT, SOFT, "s"
                elif regime == "withheld":
                    color, face, marker, place = SERIES[1], PAPER, "D", place - 0.16
                else:
                    color, face, marker, place = SERIES[0], SERIES[0], "o", place + 0.16
                if figure.get("low") is not None and figure.get("high") is not None:
                    axes.plot([figure["low"], figure["high"]], [place, place], color=color, lw=2, solid_capstyle="butt")
                axes.plot(figure["value"], place, marker, color=color, markerfacecolor=face, markersize=6.5, mew=1.6)
            _rows(axes, names)

        said = "; ".join(
            f"{_way(results, mode, regime)} {number(one['value'], places)}" for mode, regime, one in measured
        )
        panels.append(Panel(f"modes-{metric}", title, said, draw, 52 + 31 * len(names), (0.32, 28, 24)))
    return Plot(panels, by_mode(results, "plot-modes", "Modes by metric", names, SHOWN))


def risk_coverage(results: dict[str, Any]) -> Plot:
    """Risk (1 - mean ROUGE-L of what is answered) by the share of questions answered, most confident first."""
    curves = [
        curve | {"points": sorted(curve["points"], key=lambda point: point["coverage"])}
        for curve in results.get("risk_coverage") or []
        if curve.get("points")
    ]
    risks = [point["risk"] for curve in curves for point in curve["points"]] or [0.0]
    edge = 0.05 * (max(risks) - min(risks) or 0.1)
    names = list(dict.fromkeys(curve["mode"] for curve in curves))
    panels = []
    for regime in dict.fromkeys(curve["regime"] for curve in curves):
        here = [curve for curve in curves if curve["regime"] == regime]

        def draw(axes: Any, here: list[Any] = here) -> None:
            for curve in here:
                which = names.index(curve["mode"])
                x, y = zip(*((point["coverage"], point["risk"]) for point in curve["points"]), strict=True)
                color, dash = SERIES[which % len(SERIES)], DASHES[which % len(DASHES)]
                axes.plot(x, y, color=color, linestyle=dash, linewidth=2.2, label=curve["mode"])
            axes.set(xlim=(0, 1), ylim=(max(0, min(risks) - edge), max(risks) + edge))
            axes.set(xlabel="share of questions answered", ylabel="risk")
            axes.grid()
            # Above the lines, wherever they run; long handles, or a dashed line looks like a whole one.
            axes.legend(
                loc="lower left", bbox_to_anchor=(-0.14, 1.0), ncols=3, frameon=False, fontsize=10, labelcolor=INK,
                handlelength=2.4, handletextpad=0.5, columnspacing=1.0, borderaxespad=0,
            )  # fmt: skip

        said = "; ".join(f"{curve['mode']}: {_ends(curve['points'])}" for curve in here)
        panels.append(Panel(f"risk-{regime}", REGIMES.get(regime, regime), said, draw, 270, (0.145, 52, 42)))
    # Ten points of a curve are enough to read; all of them are in results.json.
    tenths = [tenth / 10 for tenth in range(10, 0, -1)]
    rows: list[Row] = []
    for curve in curves:
        figures = (*(_risk_at(curve["points"], tenth) for tenth in tenths), cell(curve.get("area")))
        rows.append((f"{curve['mode']}, source {curve['regime']}", *figures))
    columns = ("Mode", *(f"answering {tenth:.0%}" for tenth in tenths), "Area")
    return Plot(panels, Table("plot-risk", "Risk at each share of questions answered", columns, {"": rows}))


def latency(results: dict[str, Any]) -> Plot:
    """Time to the first token and to the whole answer: median and 95th percentile, in seconds."""
    found = [(_way(results, row["mode"], row["regime"]), row) for row in results.get("latency") or []]
    panels = []
    for key, title in (("first_token_ms", "Time to the first token"), ("total_ms", "Time to the whole answer")):
        timed = [(way, row[key]) for way, row in found if (row.get(key) or {}).get("p50") is not None]
        if not timed:
            continue

        def draw(axes: Any, timed: list[Any] = timed) -> None:
            for place, (_, times) in enumerate(reversed(timed)):
                middle, late = times["p50"] / 1000, times.get("p95")
                axes.barh(place, middle, height=0.5, color=SERIES[0], linewidth=0)
                if late is not None:
                    axes.plot([middle, late / 1000], [place, place], color=INK, linewidth=1.4)
                    axes.plot(late / 1000, place, "|", color=INK, markersize=9, mew=1.4)
            axes.set_xlabel("seconds")
            _rows(axes, [way for way, _ in timed])

        said = "; ".join(
            f"{way} {_seconds(times, 'p50')} s, 95th percentile {_seconds(times, 'p95')} s" for way, times in timed
        )
        panels.append(Panel(f"latency-{key}", title, said, draw, 72 + 26 * len(timed), (0.47, 28, 42)))
    rows: list[Row] = []
    for way, row in found:
        times = [_seconds(row.get(key), at) for key in ("first_token_ms", "total_ms") for at in ("p50", "p95")]
        rows.append((way, str(row["n"]), *map(Cell, times), Cell(number(row.get("tokens_per_second"), 1))))
    columns = (
        "Mode", "n", "First token, median (s)", "First token, p95 (s)", "Whole answer, median (s)",
        "Whole answer, p95 (s)", "Tokens/s",
    )  # fmt: skip
    return Plot(panels, Table("latency", "Time an answer takes", columns, {"": rows}))


def _rows(axes: Any, names: list[str]) -> None:
    """A row for each name, the first on top, along an axis from 0."""
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(left=0)
    axes.grid(axis="x")


def _seconds(times: dict[str, Any] | None, at: str) -> str:
    value = (times or {}).get(at)
    return NONE if value is None else number(value / 1000, 2)


def _ends(points: list[dict[str, Any]]) -> str:
    (first, last) = ((number(point["risk"]), f"answering {point['coverage']:.0%}") for point in (points[0], points[-1]))
    return f"risk {first[0]} {first[1]}, {last[0]} {last[1]}"


def _risk_at(points: list[dict[str, Any]], share: float) -> Cell | str:
    """The risk at the point nearest to this coverage, if one is within a twentieth."""
    nearest = min(points, key=lambda point: abs(point["coverage"] - share))
    return Cell(number(nearest["risk"])) if abs(nearest["coverage"] - share) <= 0.05 else NONE


def _way(results: dict[str, Any], mode: str, regime: str) -> str:
    return f"{mode}, {regime}" if sees_sources(results, mode) else mode


def _figure(results: dict[str, Any], mode: str, regime: str, metric: str) -> dict[str, Any] | None:
    figure = ((row_of(results, mode, regime) or {}).get("figures") or {}).get(metric)
    return figure if isinstance(figure, dict) and figure.get("value") is not None else None
