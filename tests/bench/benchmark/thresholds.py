"""Cache arms that fit the weights: thresholds at which this model computes chosen shares of its blocks.

Thresholds do not carry over between models, step counts and solvers. So `bwcache-gen tune` runs a grid on calibration
prompts, which are none of the benchmark's, and the settings nearest to the wanted shares are taken.
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
    """One cache on one solver, and the shares of blocks computed that its thresholds should give."""

    sampler: str
    steps: int
    shares: tuple[float, ...]
    prompts: int  # of the calibration
    policy: str = "bwcache"
    fixed: str = "rebuild=residual"  # parameters that all settings share; may be empty
    intervals: tuple[int, ...] = ()  # of BWCache, varied beside the threshold
    label: str = ""  # in the arms' names; default: the policy

    def __post_init__(self) -> None:
        if (self.policy == "bwcache") != bool(self.intervals):
            raise ValueError("intervals belong to bwcache, and to it alone")

    def name(self) -> str:
        return self.label or self.policy


STANDARD = (
    Grid("euler", 50, (0.8, 0.65, 0.5, 0.4, 0.3), 2, intervals=(1, 2, 3)),
    Grid("unipc", 25, (0.8, 0.6, 0.45), 2, intervals=(1, 2)),
    Grid("euler", 50, (0.65, 0.5, 0.4), 2, policy="teacache", fixed=""),
    Grid("euler", 50, (0.65, 0.5, 0.4), 2, policy="dbcache", label="fbcache"),
    Grid("euler", 50, (0.65, 0.5, 0.4), 2, policy="dbcache", fixed="rebuild=linear", label="fbcache-taylor"),
    Grid("euler", 50, (0.65, 0.5, 0.4), 2, policy="easycache", fixed=""),
)
QUICK = (Grid("euler", 50, (0.7, 0.5), 1, intervals=(1, 2)),)
NEAR = 0.1  # a share that no setting comes this near to is left out

Setting = tuple[float, int | None]  # threshold and BWCache's interval


def choose(points: list[Point], grid: Grid) -> list[Setting]:
    """Every setting once."""
    out: list[Setting] = []
    for interval in grid.intervals or (None,):
        own = [p for p in points if interval is None or p["cache"]["reuse_interval"] == str(interval)]
        for share in grid.shares:
            nearest = min(own, key=lambda p: abs(p["computed_fraction"] - share), default=None)
            if nearest is None or abs(nearest["computed_fraction"] - share) > NEAR:
                continue
            setting = (float(nearest["cache"]["threshold"]), interval)
            if setting not in out:
                out.append(setting)
    return out


def arm(grid: Grid, setting: Setting) -> dict[str, Any]:
    """In the form of `bench --arms`."""
    threshold, interval = setting
    name = f"{grid.name()} {threshold:g}" + ("" if interval is None else f" R={interval}")
    if grid.sampler != "euler":
        name = f"{grid.sampler} {grid.steps} + {name}"
    more = [f"reuse_interval={interval}"] if interval is not None else []
    keys = ",".join([f"threshold={threshold:g}", *more, *([grid.fixed] if grid.fixed else [])])
    return {"name": name, "sampler": grid.sampler, "steps": grid.steps, "cache": f"{grid.policy}:{keys}"}


def calibrate(command: list[str], prompts: Path, grids: tuple[Grid, ...], folder: Path) -> list[dict[str, Any]]:
    """Runs tune; command: the program and the flags of its model. Takes up where an earlier call was interrupted."""
    found: list[dict[str, Any]] = []
    lines = [line for line in prompts.read_text().splitlines() if line]
    for grid in grids:
        stem = folder / f"tune-{grid.name()}-{grid.sampler}-{grid.steps}"
        few = stem.with_suffix(".txt")
        few.write_text("\n".join(lines[: grid.prompts]) + "\n")
        intervals = ["--vary", "reuse_interval=" + ",".join(map(str, grid.intervals))] if grid.intervals else []
        flags = ["--sampler", grid.sampler, "--steps", str(grid.steps),
                 "--cache", grid.policy + (f":{grid.fixed}" if grid.fixed else ""),
                 "--vary", "threshold=auto", *intervals,
                 "--share", "1", "--hold-out", "0", "--prompts", str(few),
                 "--rows", str(stem.with_suffix(".jsonl")), "--save", str(stem.with_suffix(".json"))]  # fmt: skip
        subprocess.run([command[0], "tune", *command[1:], *flags], check=True, stdout=subprocess.DEVNULL)
        points: list[Point] = json.loads(stem.with_suffix(".json").read_text())["points"]
        found += [arm(grid, setting) for setting in choose(points, grid)]
    return found
