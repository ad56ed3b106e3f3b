"""Cache arms that fit the weights: settings at which this model computes chosen shares of its blocks.

Thresholds and calibrated tables do not carry over between models, step counts and solvers. So `bwcache-gen calibrate`
measures the tables, `bwcache-gen tune` runs a grid on calibration prompts, which are none of the benchmark's, and the
settings nearest to the wanted shares are taken.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
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
    euler("foresight", 0.65, 0.5, vary="threshold=0.1,0.25,1,2,4"),  # 0.5 is the fixed arm's
    euler("sortblock", 0.65, 0.5, 0.4, vary="interval=2,3"),
    euler("magcache", 0.65, 0.5, vary="threshold=0.002,0.005,0.01,0.02,0.04,0.08", table=True),
    euler("smoothcache", 0.65, 0.5, vary="threshold=0.01,0.02,0.04,0.08,0.16", table=True),
    euler("blockcaching", 0.65, 0.5, vary="threshold=0.02,0.05,0.1,0.2", table=True),
    euler("meancache", 0.5, 0.4, vary="computed=50%,40%", table=True),
    Grid("euler", 50, (0.5, 0.4), 1, "lemica", vary="computed=50%,40%", table=True),  # its table takes 150 runs a clip
    euler("bac", 0.5, vary="bubbling=3", table=True),
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
    varied = value if grid.key() in ("threshold", "computed") else f"{grid.key()}={value}"
    name = f"{grid.name()} {varied}" + ("" if interval is None else f" R={interval}")
    if grid.sampler != "euler":
        name = f"{grid.sampler} {grid.steps} + {name}"
    plan = {"name": name, "sampler": grid.sampler, "steps": grid.steps}
    if table is not None:
        return {**plan, "cache": {**table, grid.key(): value}}
    more = [f"reuse_interval={interval}"] if interval is not None else []
    keys = [f"{grid.key()}={value}", *more, *([grid.fixed] if grid.fixed else [])]
    return {**plan, "cache": f"{grid.policy}:{','.join(keys)}"}


def digest(*texts: str) -> str:
    """Of what a file was made of, for its name: another choice has files of its own."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


def measure_table(command: list[str], grid: Grid, prompts: Path, file: Path) -> dict[str, Any]:
    """Runs calibrate, unless an earlier call did."""
    if not file.exists():
        flags = ["--sampler", grid.sampler, "--steps", str(grid.steps), "--cache", grid.cache(),
                 "--prompts", str(prompts), "--save", str(file)]  # fmt: skip
        subprocess.run([command[0], "calibrate", *command[1:], *flags], check=True, stdout=subprocess.DEVNULL)
    cache: dict[str, Any] = json.loads(file.read_text())["cache"]
    return cache


def measure_points(command: list[str], grid: Grid, flags: list[str], file: Path) -> list[Point]:
    """Runs tune, unless an earlier call did. flags: what the settings have in common."""
    if not file.exists() or not json.loads(file.read_text())["complete"]:
        intervals = ["--vary", "reuse_interval=" + ",".join(map(str, grid.intervals))] if grid.intervals else []
        flags = [*flags, "--vary", grid.vary, *intervals, "--share", "1", "--hold-out", "0",
                 "--rows", str(file.with_suffix(".jsonl")), "--save", str(file)]  # fmt: skip
        subprocess.run([command[0], "tune", *command[1:], *flags], check=True, stdout=subprocess.DEVNULL)
    points: list[Point] = json.loads(file.read_text())["points"]
    return points


def calibrate(command: list[str], prompts: Path, grids: tuple[Grid, ...], folder: Path) -> list[dict[str, Any]]:
    """Runs calibrate and tune; command: the program and the flags of its model. Takes up where an earlier call was
    interrupted."""
    found: list[dict[str, Any]] = []
    lines = [line for line in prompts.read_text().splitlines() if line]
    for grid in grids:
        text = "\n".join(lines[: grid.prompts]) + "\n"
        stem = f"{grid.name()}-{grid.sampler}-{grid.steps}-{digest(repr(grid), text)}"
        few, config = folder / f"tune-{stem}.txt", folder / f"table-{stem}.json"
        few.write_text(text)
        table = measure_table(command, grid, few, config) if grid.table else None
        plan = ["--config", str(config)] if grid.table else \
            ["--sampler", grid.sampler, "--steps", str(grid.steps), "--cache", grid.cache()]  # fmt: skip
        points = measure_points(command, grid, [*plan, "--prompts", str(few)], folder / f"tune-{stem}.json")
        chosen = choose(points, grid)
        if not chosen:
            print(f"{grid.name()}: no setting computes about {grid.shares} of the blocks; left out", file=sys.stderr)
        found += [arm(grid, setting, table) for setting in chosen]
    return found
