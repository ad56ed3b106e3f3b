"""What `bwcache-gen bench` measured, as arrays over arms and prompts. Read resampling.py and gain.py next.

The unit is the prompt: times are medians over its seeds and rounds, qualities means over its seeds.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = list[dict[str, Any]]
BASE = "base"
TIMES = ("denoise", "total", "indicator", "controller")


@dataclass(frozen=True)
class Arm:
    """One plan. A series is what is drawn as one curve: a solver at several step counts, a cache at several
    settings. `solver` names the solver and its steps, which a cache and the run it is built on have in common."""

    name: str
    series: str
    solver: tuple[str, int]
    cached: bool


@dataclass(frozen=True)
class Table:
    arms: list[Arm]
    prompts: list[str]
    values: dict[str, Array]  # [arms, prompts] each; NaN where an arm has no such value
    cache_bytes: list[int]
    lower: frozenset[str] = frozenset()  # metrics of which the lower value is the better one

    def index(self, name: str) -> int:
        return next(i for i, a in enumerate(self.arms) if a.name == name)

    def of(self, name: str, arm: int) -> Array:
        """One arm's values over the prompts, [prompts]."""
        row: Array = self.values[name][arm]
        return row

    def metrics(self) -> list[str]:
        """Names of the quality metrics in the rows: 'psnr', 'ssim' …"""
        ends = "_reference"
        return [n.removesuffix(ends) for n in self.values if n.endswith(ends)]


def series_of(cache: dict[str, Any]) -> str:
    """The curve that a cache's arm lies on."""
    policy, params = str(cache["policy"]), cache["params"]
    rebuild = params.get("rebuild", "")
    linear = rebuild == "linear"
    if policy == "bwcache":
        return f"bwcache{'-linear' if linear else ''} R={params.get('reuse_interval', '')}"
    if policy == "dbcache":
        return "fbcache-taylor" if linear else "fbcache"
    if policy == "teacache":
        return "teacache" if params.get("polynomial", "none") == "none" else "teacache-fitted"
    if policy == "static" and params.get("site", "stack") == "stage":
        return "fora" if rebuild == "output" else "taylorseer"
    if policy == "static" and rebuild.startswith("taylor"):
        return "static parabola"
    if policy == "static" and linear:
        return "static forecast"
    if policy == "fastercache" and params.get("attention") == "false":
        return "cfg-cache"
    if policy == "spectrum" and float(params.get("flex_window", 0.5)) == 0:
        return "spectrum steady"
    if policy == "compose":
        return " + ".join(str(params[part]).partition("&")[0] for part in ("step", "block"))
    return policy


def arm_of(name: str, plan: dict[str, Any]) -> Arm:
    solver, cache = (plan["sampler"], plan["steps"]), plan["cache"]
    if cache["policy"] == "none":
        return Arm(name, plan["sampler"], solver, False)
    series = series_of(cache)
    return Arm(name, series if plan["sampler"] == "euler" else f"{plan['sampler']} + {series}", solver, True)


def latents_name(row: dict[str, Any]) -> str:
    """The file of `bench --keep-latents` that holds this run's final latents."""
    clip = hashlib.sha256(f"{row['prompt']}\n{row['seed']}".encode()).hexdigest()[:12]
    return f"{row['identity']}-{clip}.safetensors"


def read(summary: dict[str, Any], file: Path) -> Rows:
    """The rows of the bench of this summary. Bench runs a clip in one go, again if arms were added; so the last row of
    an arm, clip and round is of the same go as those of the other arms. Raises ValueError where rows are missing."""
    arms = {arm["identity"]: arm["name"] for arm in summary["arms"]}
    if twins := [arm["name"] for arm in summary["arms"] if arms[arm["identity"]] != arm["name"]]:
        raise ValueError(f"{', '.join(twins)}: the same plan as another arm; leave one out")
    clips = {(p, s) for p in summary["prompts"] for s in summary["seeds"]}
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        fits = arms.get(row["identity"]) == row["arm"] and (row["prompt"], row["seed"]) in clips
        if fits and row["round"] < summary["repeat"]:
            found[row["arm"], row["prompt"], row["seed"], row["round"]] = row
    expected = len(arms) * len(clips) * summary["repeat"]
    if len(found) != expected:
        raise ValueError(f"{file}: holds {len(found)} of the {expected} rows of this benchmark; run it again")
    return list(found.values())


def tabulate(summary: dict[str, Any], rows: Rows, lower: frozenset[str] = frozenset()) -> Table:
    """lower: metrics of which the lower value is the better one."""
    arms = [arm_of(a["name"], a["plan"]) for a in summary["arms"]]
    prompts: list[str] = summary["prompts"]
    place = {(a.name, p): (i, j) for i, a in enumerate(arms) for j, p in enumerate(prompts)}
    cells: dict[str, dict[tuple[int, int], list[float]]] = {}
    for row in rows:
        where = place[row["arm"], row["prompt"]]
        values = {**{t: row["seconds"][t] for t in TIMES}, "computed": row["computed_fraction"]}
        if row["round"] == 0:
            values |= {"blocks": row["blocks_computed"], **row["quality"]}
        for name, value in values.items():
            cells.setdefault(name, {}).setdefault(where, []).append(value)
    arrays: dict[str, Array] = {}
    for name, found in cells.items():
        middle = statistics.median if name in TIMES else statistics.fmean
        metric = name.removesuffix("_worst").removesuffix("_reference")
        worst = max if metric in lower else min
        arrays[name] = np.full((len(arms), len(prompts)), np.nan)
        for where, several in found.items():
            arrays[name][where] = worst(several) if name.endswith("_worst") else middle(several)
    count_parts(arms, arrays)
    return Table(arms, prompts, arrays, [int(a["cache_bytes"]) for a in summary["arms"]], lower)


def count_parts(arms: list[Arm], values: dict[str, Array]) -> None:
    """Blocks as a sum of parts: bench counts a block as computed whose stages were reused but for one; its fraction
    says how much. Of a cache it is taken of the uncached run with the same solver and steps, where there is one."""
    exact = {a.solver: i for i, a in enumerate(arms) if not a.cached}
    for i, a in enumerate(arms):
        if a.cached and a.solver in exact:
            values["blocks"][i] = values["computed"][i] * values["blocks"][exact[a.solver]]
