"""Cache arms that fit the weights: settings at which this model computes chosen shares of its blocks.

Thresholds and calibrated tables do not carry over between models, step counts and solvers. So `bwcache-gen calibrate`
measures the tables, `bwcache-gen tune` runs a grid on calibration prompts, which are none of the benchmark's, and the
settings nearest to the wanted shares are taken.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Point = dict[str, Any]  # of tune's result


@dataclass(frozen=True)
class Grid:
    """One cache on one solver, and the shares of blocks computed that its settings should give."""

    sampler: str
    steps: int
    shares: tuple[float, ...]
    prompts: int  # of the calibration prompts
    policy: str = "bwcache"
    fixed: str = ""  # parameters that all settings share
    intervals: tuple[int, ...] = ()  # of BWCache, varied beside the threshold
    label: str = ""  # in the arms' names; default: the policy
    vary: str = "threshold=auto"  # the parameter, and its values
    table: bool = False  # the policy rests on a table that is measured first

    def __post_init__(self) -> None:
        if (self.policy == "bwcache") != bool(self.intervals):
            raise ValueError("intervals belong to bwcache, and to it alone")

    def name(self) -> str:
        return self.label or self.policy

    def key(self) -> str:
        return self.vary.partition("=")[0]

    def cache(self) -> str:
        """As --cache takes it."""
        return self.policy + (f":{self.fixed}" if self.fixed else "")

    def stem(self) -> str:
        """Of its files."""
        return f"tune-{self.name()}-{self.sampler}-{self.steps}"


def euler(policy: str, *shares: float, **more: Any) -> Grid:
    return Grid("euler", 50, shares, 2, policy, **more)


LINEAR = "rebuild=linear"
STANDARD = (
    euler("bwcache", 0.65, 0.5, 0.4, fixed="rebuild=residual", intervals=(1, 2)),
    euler("bwcache", 0.65, 0.5, 0.4, fixed=LINEAR, intervals=(1, 2), label="bwcache-linear"),
    Grid("unipc", 25, (0.8, 0.6), 2, fixed=LINEAR, intervals=(1, 2), label="bwcache-linear"),
    Grid("unipc", 25, (0.8, 0.65, 0.5), 2, "dbcache", fixed=LINEAR, label="fbcache-taylor"),
    euler("teacache", 0.65, 0.5, 0.4),
    euler("teacache", 0.65, 0.5, 0.4, table=True, label="teacache-fitted"),
    euler("dbcache", 0.65, 0.5, label="fbcache"),
    euler("dbcache", 0.65, 0.5, 0.4, fixed=LINEAR, label="fbcache-taylor"),
    euler("easycache", 0.65, 0.5),
    euler("dicache", 0.65, 0.5, 0.4),
    euler("d2cache", 0.65, 0.5, 0.4),
    euler("seacache", 0.65, 0.5, 0.4, vary="threshold=0.1,0.2,0.35,0.6,1"),
    euler("mixcache", 0.65, 0.5, vary="threshold=0.06,0.12,0.24,0.5"),
    euler("foresight", 0.65, 0.5, vary="threshold=0.25,0.5,1,2,4"),
    euler("magcache", 0.65, 0.5, vary="threshold=0.01,0.02,0.04,0.08,0.16", table=True),
    euler("smoothcache", 0.65, 0.5, vary="threshold=0.01,0.02,0.04,0.08,0.16", table=True),
    euler("blockcaching", 0.65, 0.5, vary="threshold=0.02,0.05,0.1,0.2", table=True),
    euler("meancache", 0.5, 0.4, vary="computed=50%,40%", table=True),
    Grid("euler", 50, (0.5, 0.4), 1, "lemica", vary="computed=50%,40%", table=True),  # its table takes 150 runs a clip
    euler("bac", 0.5, vary="bubbling=0,3", table=True),
    euler("taocache", 0.75, 0.65, vary="reuse_from=30%,50%", table=True),
)
QUICK = (Grid("euler", 50, (0.7, 0.5), 1, fixed="rebuild=residual", intervals=(1, 2)),)
NEAR = 0.1  # a share that no setting comes this near to is left out

Setting = tuple[str, int | None]  # the varied parameter's value, and BWCache's interval


def short(value: Any) -> str:
    """A number with six digits; anything else as it is."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return str(value)


def choose(points: list[Point], grid: Grid) -> list[Setting]:
    """Every setting once."""
    out: list[Setting] = []
    for interval in grid.intervals or (None,):
        own = [p for p in points if interval is None or p["cache"]["reuse_interval"] == str(interval)]
        for share in grid.shares:
            nearest = min(own, key=lambda p: abs(p["computed_fraction"] - share), default=None)
            if nearest is None or abs(nearest["computed_fraction"] - share) > NEAR:
                continue
            setting = (short(nearest["cache"][grid.key()]), interval)
            if setting not in out:
                out.append(setting)
    return out


def arm(grid: Grid, setting: Setting, table: dict[str, Any] | None = None) -> dict[str, Any]:
    """In the form of `bench --arms`. table: the cache of the config that `calibrate` wrote."""
    value, interval = setting
    name = f"{grid.name()} {value}" + ("" if interval is None else f" R={interval}")
    if grid.sampler != "euler":
        name = f"{grid.sampler} {grid.steps} + {name}"
    more = [f"reuse_interval={interval}"] if interval is not None else []
    keys = ",".join([f"{grid.key()}={value}", *more, *([grid.fixed] if grid.fixed else [])])
    cache = f"{grid.policy}:{keys}" if table is None else {**table, grid.key(): value}
    return {"name": name, "sampler": grid.sampler, "steps": grid.steps, "cache": cache}


def measure_table(command: list[str], grid: Grid, prompts: Path, file: Path) -> dict[str, Any]:
    """Runs calibrate, unless an earlier call did."""
    if not file.exists():
        flags = ["--sampler", grid.sampler, "--steps", str(grid.steps), "--cache", grid.cache(),
                 "--prompts", str(prompts), "--save", str(file)]  # fmt: skip
        subprocess.run([command[0], "calibrate", *command[1:], *flags], check=True, stdout=subprocess.DEVNULL)
    cache: dict[str, Any] = json.loads(file.read_text())["cache"]
    return cache


def calibrate(command: list[str], prompts: Path, grids: tuple[Grid, ...], folder: Path) -> list[dict[str, Any]]:
    """Runs calibrate and tune; command: the program and the flags of its model. Takes up where an earlier call was
    interrupted."""
    found: list[dict[str, Any]] = []
    lines = [line for line in prompts.read_text().splitlines() if line]
    for grid in grids:
        stem = folder / grid.stem()
        few, config = stem.with_suffix(".txt"), stem.with_suffix(".config.json")
        few.write_text("\n".join(lines[: grid.prompts]) + "\n")
        table = measure_table(command, grid, few, config) if grid.table else None
        what = ["--config", str(config)] if grid.table else \
            ["--sampler", grid.sampler, "--steps", str(grid.steps), "--cache", grid.cache()]  # fmt: skip
        intervals = ["--vary", "reuse_interval=" + ",".join(map(str, grid.intervals))] if grid.intervals else []
        flags = [*what, "--vary", grid.vary, *intervals, "--share", "1", "--hold-out", "0", "--prompts", str(few),
                 "--rows", str(stem.with_suffix(".jsonl")), "--save", str(stem.with_suffix(".json"))]  # fmt: skip
        subprocess.run([command[0], "tune", *command[1:], *flags], check=True, stdout=subprocess.DEVNULL)
        points: list[Point] = json.loads(stem.with_suffix(".json").read_text())["points"]
        found += [arm(grid, setting, table) for setting in choose(points, grid)]
    return found
