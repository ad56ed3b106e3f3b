"""Intervals and tests over prompts. Every resampling is seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

Array = NDArray[np.float64]
RESAMPLES = 10_000
SEED = 20_250_913
LEVEL = 0.05


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float


def resamples(prompts: int, number: int = RESAMPLES, seed: int = SEED) -> NDArray[np.intp]:
    """Prompts drawn with replacement, [number, prompts]; the same ones for every arm, so that arms stay paired."""
    return np.random.default_rng(seed).integers(0, prompts, (number, prompts))


def interval(value: float, drawn: Array) -> Interval:
    """95 % percentile interval of a resampled statistic, [resamples]."""
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(value), float(low), float(high))


def bootstrap(values: Array, draws: NDArray[np.intp], middle: Any = np.mean) -> Interval:
    """Of a statistic of one value per prompt, [prompts]."""
    return interval(middle(values), middle(values[draws], axis=1))


def two_sided(drawn: Array) -> float:
    """Bootstrap p value of 'the statistic is 0'; never 0, since resamples are finite."""
    least = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return float(min(1.0, 2 * (least + 1) / (len(drawn) + 1)))


def signed_rank(differences: Array) -> float:
    """Wilcoxon's p value of paired differences, [prompts]; 1 where all of them are 0."""
    if not np.any(differences):
        return 1.0
    return float(wilcoxon(differences).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: reject where the adjusted value is below the level of the family."""
    order = np.argsort(p, kind="stable")
    out, highest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[i]))
        out[int(i)] = highest
    return out


def pooled_psnr(psnr: Array) -> float:
    """PSNR of the mean squared error over the prompts: a clip on which a cache never fired, which counts with 100 dB,
    cannot lift it."""
    return float(-10 * np.log10(np.mean(10 ** (-psnr / 10))))
