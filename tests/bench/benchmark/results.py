"""Everything that the tables and the plot show, computed once. Kept as JSON; read report.py for the tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .accuracy import Accuracy, Prompt
from .gain import Draws, Gain, at_factor, dominated, gains
from .resampling import Interval, bootstrap, interval, pooled_psnr
from .rows import BASE, Array, Table

FACTORS = (1.25, 1.5, 2.0, 2.5)
MAIN = "psnr_reference"


@dataclass(frozen=True)
class Quality:
    """Of one arm by one metric, over the prompts. tail: the tenth percentile from the bad end."""

    mean: Interval
    tail: float
    worst: float  # prompt
    worst_frame: float


@dataclass(frozen=True)
class Measured:
    """One arm."""

    name: str
    series: str
    cached: bool
    speedup: Interval  # ratio of the medians of the denoising time
    paired: Interval  # median over the prompts of the ratio on each
    speedup_total: float  # with text, decoding and encoding
    reduction: Interval  # ratio of the blocks computed
    computed: float
    blocks: float
    overhead: float  # indicator and controller, share of the denoising time
    cache_bytes: int
    fired: int  # prompts on which it reused anything
    quality: dict[str, Quality]  # metric, or metric_reference against the converged solution
    pooled_psnr: float | None  # against the base
    dominated_by: str | None = None
    right: float | None = None
    drop: Interval | None = None


@dataclass(frozen=True)
class Results:
    arms: list[Measured]
    gains: dict[str, dict[str, Gain]]  # 'denoise' or 'blocks', cache
    ssim_gains: dict[str, Gain]
    at_factor: dict[str, dict[float, Interval | None]]  # series, of time, or where it was not timed of blocks
    accuracy: Accuracy | str  # or why there is none
    prompts: list[Prompt] = field(repr=False)
    timed: bool  # whether the seconds can be trusted

    def to_json(self) -> dict[str, Any]:
        scores = self.accuracy
        return {
            "arms": [asdict(a) for a in self.arms],
            "gains": {cost: {n: asdict(g) for n, g in found.items()} for cost, found in self.gains.items()},
            "ssim_gains": {n: asdict(g) for n, g in self.ssim_gains.items()},
            "timed": self.timed,
            "at_factor": {s: {f"{x:g}": asdict(i) if i else None for x, i in v.items()}
                          for s, v in self.at_factor.items()},
            "accuracy": scores if isinstance(scores, str) else {"fields": scores.fields, "classifier": scores.own},
        }  # fmt: skip


def quality_of(table: Table, name: str, arm: int, draws: Draws) -> Quality:
    values, frames = table.of(name, arm), table.of(name + "_worst", arm)
    if name.removesuffix("_reference") in table.lower:
        return Quality(bootstrap(values, draws), float(np.quantile(values, 0.9)), float(values.max()),
                       float(frames.max()))  # fmt: skip
    return Quality(bootstrap(values, draws), float(np.quantile(values, 0.1)), float(values.min()), float(frames.min()))


def ratio(base: Array, own: Array, draws: Draws, middle: Any) -> Interval:
    """Of medians or means over the prompts, both resampled together."""
    drawn = middle(base[draws], axis=1) / middle(own[draws], axis=1)
    return interval(float(middle(base) / middle(own)), drawn)


def measured(table: Table, arm: int, draws: Draws) -> Measured:
    base, about = table.index(BASE), table.arms[arm]
    times, total, blocks = (table.values[n] for n in ("denoise", "total", "blocks"))
    overhead = (table.of("indicator", arm) + table.of("controller", arm)) / times[arm]
    names = [n for m in table.metrics() for n in (m, m + "_reference") if arm != base or n.endswith("_reference")]
    return Measured(
        about.name, about.series, about.cached,
        speedup=ratio(times[base], times[arm], draws, np.median),
        paired=bootstrap(times[base] / times[arm], draws, np.median),
        speedup_total=float(np.median(total[base]) / np.median(total[arm])),
        reduction=ratio(blocks[base], blocks[arm], draws, np.mean),
        computed=float(table.of("computed", arm).mean()), blocks=float(blocks[arm].mean()),
        overhead=float(np.median(overhead)), cache_bytes=table.cache_bytes[arm],
        fired=int((table.of("computed", arm) < 1).sum()),
        quality={n: quality_of(table, n, arm, draws) for n in names},
        pooled_psnr=None if arm == base else pooled_psnr(table.of("psnr", arm)),
    )  # fmt: skip


def with_accuracy(arm: Measured, i: int, base: int, scores: Accuracy, draws: Draws) -> dict[str, Any]:
    right = scores.right
    drop = None if i == base else bootstrap(right[base] - right[i], draws)
    return {"right": float(right[i].mean()), "drop": drop}


def results(table: Table, prompts: list[Prompt], scores: Accuracy | str, draws: Draws, timed: bool) -> Results:
    """scores: or why there are none. timed: whether the seconds can be trusted; where not, blocks take their place.
    Raises KeyError where the rows hold no PSNR or SSIM against the reference."""
    arms = [measured(table, i, draws) for i in range(len(table.arms))]
    factors = [(a.speedup if timed else a.reduction).value for a in arms]
    better = dominated(factors, [a.quality[MAIN].mean.value for a in arms])
    done = []
    for i, a in enumerate(arms):
        best = better[i]
        more: dict[str, Any] = {"dominated_by": None if best is None else arms[best].name}
        if isinstance(scores, Accuracy):
            more |= with_accuracy(a, i, table.index(BASE), scores, draws)
        done.append(Measured(**{**vars(a), **more}))
    series = dict.fromkeys(a.series for a in table.arms)
    return Results(
        done,
        {cost: gains(table, cost, MAIN, draws) for cost in ("denoise", "blocks")},
        gains(table, "denoise", "ssim_reference", draws),
        {s: {x: at_factor(table, s, "denoise" if timed else "blocks", x, draws) for x in FACTORS} for s in series},
        scores,
        prompts,
        timed,
    )  # fmt: skip
