"""The plot: speed-up against quality, a curve per solver and per cache, with 95 % intervals."""

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
MARKS = "os^Dv<>Ph"


@dataclass(frozen=True)
class Point:
    speedup: Interval
    quality: Interval


@dataclass(frozen=True)
class Curve:
    name: str
    cached: bool  # dashed, with open marks
    points: list[Point]


def draw_curve(axes: Axes, number: int, curve: Curve) -> None:
    points = sorted(curve.points, key=lambda p: p.speedup.value)
    x, y = [p.speedup.value for p in points], [p.quality.value for p in points]
    errors = [
        [[i.value - i.low for i in side], [i.high - i.value for i in side]]
        for side in ([p.speedup for p in points], [p.quality for p in points])
    ]
    colour = COLOURS[number % len(COLOURS)]
    axes.errorbar(
        x, y, xerr=errors[0], yerr=errors[1], label=curve.name, color=colour, marker=MARKS[number % len(MARKS)],
        markersize=4.5, markerfacecolor="white" if curve.cached else colour, linestyle="--" if curve.cached else "-",
        linewidth=1.2, elinewidth=0.6,
    )  # fmt: skip


def draw(curves: list[Curve], title: str, ylabel: str, file: Path) -> None:
    """Writes an SVG; equal curves give equal bytes."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 4.8), layout="constrained")
        axes = figure.add_subplot()
        for number, curve in enumerate(curves):
            draw_curve(axes, number, curve)
        axes.set_xscale("log")
        ticks = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6]
        axes.set_xticks(ticks, [f"{t:g}×" for t in ticks])
        axes.set_xticks([], minor=True)
        high = max(p.speedup.high for c in curves for p in c.points)
        low = min(p.speedup.low for c in curves for p in c.points)
        axes.set_xlim(0.97 * low, 1.03 * high)
        axes.set_xlabel("speed-up of denoising over 50 Euler steps (logarithmic)")
        axes.set_ylabel(ylabel)
        axes.set_title(title, fontsize=10)
        axes.grid(True, alpha=0.3, linewidth=0.5)
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), title="solid: solvers\ndashed: caches")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
