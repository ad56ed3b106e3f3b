"""The plot: cost against quality, a curve per solver and per cache, with 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .resampling import Interval

matplotlib.use("svg")
STYLE: Any = {"svg.hashsalt": "benchmark", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#000000", "#0072B2", "#009E73", "#56B4E9", "#D55E00", "#E69F00", "#CC79A7", "#8C564B", "#7F7F7F")
MARKS = "os^Dv<>P"  # another number than that of the colours: 72 pairs
TICKS = (1, 1.5, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Point:
    factor: Interval  # of time or blocks saved
    quality: Interval


@dataclass(frozen=True)
class Curve:
    name: str
    cached: bool  # dashed, with open marks
    points: list[Point]


@dataclass(frozen=True)
class Panel:
    """Panels of one plot share the curves' names and the axis of quality."""

    label: str
    curves: list[Curve]


def draw_curve(axes: Axes, number: int, curve: Curve) -> None:
    points = sorted(curve.points, key=lambda p: p.factor.value)
    sides = [[p.factor for p in points], [p.quality for p in points]]
    x, y = ([i.value for i in side] for side in sides)
    xerr, yerr = ([[i.value - i.low for i in side], [i.high - i.value for i in side]] for side in sides)
    colour = COLOURS[number % len(COLOURS)]
    axes.errorbar(
        x, y, xerr=xerr, yerr=yerr, label=curve.name, color=colour, marker=MARKS[number % len(MARKS)],
        markersize=4.5, markerfacecolor="white" if curve.cached else colour, linestyle="--" if curve.cached else "-",
        linewidth=1.2, elinewidth=0.6,
    )  # fmt: skip


def draw_panel(axes: Axes, panel: Panel) -> None:
    for number, curve in enumerate(panel.curves):
        draw_curve(axes, number, curve)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{t:g}×" for t in TICKS])
    axes.set_xticks([], minor=True)
    points = [p for c in panel.curves for p in c.points]
    axes.set_xlim(0.95 * min(p.factor.low for p in points), 1.05 * max(p.factor.high for p in points))
    axes.set_xlabel(panel.label)
    axes.grid(True, alpha=0.3, linewidth=0.5)


def draw(panels: list[Panel], title: str, label: str, file: Path) -> None:
    """Writes an SVG; equal panels give equal bytes. label: of the axis of quality."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.5 + 4.2 * len(panels), 4.6), layout="constrained")
        all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(all_axes, panels, strict=True):
            draw_panel(axes, panel)
        all_axes[0].set_ylabel(label)
        figure.suptitle(title, fontsize=10)
        all_axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5),
                            title="solid: solvers\ndashed: caches")  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
