"""The gain of a cache: its lead over the best uncached solver at equal cost. Read report.py for how it is shown.

Against an uncached run of as many steps a cache can only lose; the question is whether its time is better spent on it
than on fewer steps of a better solver. Quality is measured against the converged solution, which both approximate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .resampling import LEVEL, Interval, holm, interval, signed_rank, two_sided
from .rows import BASE, Array, Table

Draws = NDArray[np.intp]


@dataclass(frozen=True)
class Gain:
    """solver: the best one for all prompts at this cost, since one must be chosen before the clips are seen; None
    where the cache is cheaper than the cheapest run of every solver, so that there is nothing to compare with."""

    solver: str | None
    lead: Interval
    each: float  # mean lead over the best solver of every single clip, which nobody can know beforehand
    p: float
    wilcoxon: float

    def verdict(self) -> str:
        """'ahead' or 'behind' only where interval, Holm's correction and Wilcoxon's test agree."""
        sure = max(self.p, self.wilcoxon) < LEVEL and not self.lead.low <= 0 <= self.lead.high
        if self.solver is None or not sure:
            return "open"
        return "ahead" if self.lead.value > 0 else "behind"


NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def at_cost(costs: Array, qualities: Array, cost: float) -> float:
    """Quality that a solver reaches at this cost: linear in the logarithm of the cost between its runs, and never below
    that of a cheaper run. NaN below its cheapest run; its best value above the dearest."""
    order = np.argsort(costs)
    best = np.maximum.accumulate(qualities[order])
    return float(np.interp(np.log(cost), np.log(costs[order]), best, left=np.nan))


def solvers_at(table: Table, costs: Array, qualities: Array, arm: int) -> dict[str, Array]:
    """Solver -> quality per prompt at the cost of this arm on that prompt, [prompts]; of solvers that reach down to
    this cost on every prompt. costs, qualities: [arms, prompts]."""
    out = {}
    for name in dict.fromkeys(a.series for a in table.arms if not a.cached):
        own = [i for i, a in enumerate(table.arms) if a.series == name and not a.cached]
        values = [at_cost(costs[own, p], qualities[own, p], costs[arm, p]) for p in range(len(table.prompts))]
        if not np.isnan(values).any():
            out[name] = np.array(values)
    return out


def gain(table: Table, cost: str, quality: str, arm: int, draws: Draws) -> Gain:
    """Of one cache, p values not yet corrected. cost: 'denoise' (seconds) or 'blocks'; quality: higher is better.
    The best solver is chosen anew in every resample, so that the interval covers that choice."""
    qualities = table.values[quality]
    others = solvers_at(table, table.values[cost], qualities, arm)
    if not others:
        return Gain(None, NOTHING, float("nan"), 1.0, 1.0)
    names, rival = list(others), np.stack(list(others.values()))  # [solvers, prompts]
    best = int(np.argmax(rival.mean(1)))
    drawn = qualities[arm][draws].mean(1) - np.stack([r[draws].mean(1) for r in rival]).max(0)
    difference = qualities[arm] - rival[best]
    each = float((qualities[arm] - rival.max(0)).mean())
    return Gain(names[best], interval(difference.mean(), drawn), each, two_sided(drawn), signed_rank(difference))


def gains(table: Table, cost: str, quality: str, draws: Draws) -> dict[str, Gain]:
    """Of all caches, p values corrected over them."""
    found = {a.name: gain(table, cost, quality, i, draws) for i, a in enumerate(table.arms) if a.cached}
    told = {n: g for n, g in found.items() if g.solver is not None}
    p, wilcoxon = holm([g.p for g in told.values()]), holm([g.wilcoxon for g in told.values()])
    corrected = {name: Gain(g.solver, g.lead, g.each, p[i], wilcoxon[i]) for i, (name, g) in enumerate(told.items())}
    return {name: corrected.get(name, g) for name, g in found.items()}


def dominated(speedups: list[float], qualities: list[float]) -> list[int | None]:
    """For every arm the one that is best among those at least as fast and as good and better in one; None if none."""
    out: list[int | None] = []
    for x, y in zip(speedups, qualities, strict=True):
        better = [
            j for j, (a, b) in enumerate(zip(speedups, qualities, strict=True))
            if a >= x and b >= y and (a > x or b > y)
        ]  # fmt: skip
        out.append(max(better, key=lambda j: qualities[j]) if better else None)
    return out


def members(table: Table, series: str) -> list[int]:
    """The arms of a series; of a cache's also the run that it is built on, which is its end without reuse."""
    own = [i for i, a in enumerate(table.arms) if a.series == series]
    solvers = {table.arms[i].solver for i in own if table.arms[i].cached}
    return [*(i for i, a in enumerate(table.arms) if not a.cached and a.solver in solvers), *own]


def at_factor(table: Table, series: str, cost: str, factor: float, draws: Draws) -> Interval | None:
    """Mean PSNR to the converged solution of a series at 1/factor of the base's cost, linear in its logarithm between
    the arms; None beyond them. Costs are medians of seconds, means of blocks. In a resample that does not reach so
    far, the last arm counts."""
    own, base = members(table, series), table.index(BASE)
    middle: Any = np.median if cost == "denoise" else np.mean
    times, qualities = table.values[cost], table.values["psnr_reference"]
    x = np.log(middle(times[base]) / middle(times[own], axis=1))
    y, at = qualities[own].mean(1), np.log(factor)
    order = np.argsort(x)
    value = np.interp(at, x[order], y[order], left=np.nan, right=np.nan)
    if np.isnan(value):
        return None
    base_times = middle(times[base][draws], axis=1)
    xs = np.log(base_times / np.stack([middle(times[i][draws], axis=1) for i in own]))  # [arms, resamples]
    ys = np.stack([qualities[i][draws].mean(1) for i in own])
    orders = np.argsort(xs, axis=0)
    xs, ys = np.take_along_axis(xs, orders, 0), np.take_along_axis(ys, orders, 0)
    return interval(float(value), np.array([np.interp(at, xs[:, k], ys[:, k]) for k in range(len(draws))]))
