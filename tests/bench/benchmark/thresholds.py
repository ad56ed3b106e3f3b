"""BWCache arms that fit the weights: thresholds at which this model computes chosen shares of its blocks.

Thresholds do not carry over between models, step counts and solvers. So `bwcache-gen tune` runs a grid on calibration
prompts, which are none of the benchmark's, and for every interval the settings nearest to the wanted shares are taken.
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
    """BWCache on one solver, and the shares of blocks computed that its thresholds should give."""

    sampler: str
    steps: int
    intervals: tuple[int, ...]
    shares: tuple[float, ...]
    prompts: int  # of the calibration


STANDARD = (
    Grid("euler", 50, (1, 2, 3), (0.8, 0.65, 0.5, 0.4, 0.3), 2),
    Grid("unipc", 25, (1, 2), (0.8, 0.6, 0.45), 2),
)
QUICK = (Grid("euler", 50, (1, 2), (0.7, 0.5), 1),)
REBUILD = "residual"
NEAR = 0.1  # a share that no setting comes this near to is left out


def choose(points: list[Point], grid: Grid) -> list[tuple[float, int]]:
    """(threshold, interval), every setting once."""
    out: list[tuple[float, int]] = []
    for interval in grid.intervals:
        own = [p for p in points if p["cache"]["reuse_interval"] == str(interval)]
        for share in grid.shares:
            nearest = min(own, key=lambda p: abs(p["computed_fraction"] - share), default=None)
            if nearest is None or abs(nearest["computed_fraction"] - share) > NEAR:
                continue
            setting = (float(nearest["cache"]["threshold"]), interval)
            if setting not in out:
                out.append(setting)
    return out


def arms(grid: Grid, settings: list[tuple[float, int]]) -> list[dict[str, Any]]:
    """In the form of `bench --arms`."""
    name = "" if grid.sampler == "euler" else f"{grid.sampler} {grid.steps} + "
    return [
        {"name": f"{name}bwcache {threshold:g} R={interval}", "sampler": grid.sampler, "steps": grid.steps,
         "cache": f"bwcache:threshold={threshold:g},reuse_interval={interval},rebuild={REBUILD}"}
        for threshold, interval in settings
    ]  # fmt: skip


def calibrate(command: list[str], prompts: Path, grids: tuple[Grid, ...], folder: Path) -> list[dict[str, Any]]:
    """Runs tune; command: the program and the flags of its model. Takes up where an earlier call was interrupted."""
    found: list[dict[str, Any]] = []
    lines = [line for line in prompts.read_text().splitlines() if line]
    for grid in grids:
        stem = folder / f"tune-{grid.sampler}-{grid.steps}"
        few = stem.with_suffix(".txt")
        few.write_text("\n".join(lines[: grid.prompts]) + "\n")
        flags = ["--sampler", grid.sampler, "--steps", str(grid.steps), "--cache", f"bwcache:rebuild={REBUILD}",
                 "--vary", "threshold=auto", "--vary", "reuse_interval=" + ",".join(map(str, grid.intervals)),
                 "--share", "1", "--hold-out", "0", "--prompts", str(few),
                 "--rows", str(stem.with_suffix(".jsonl")), "--save", str(stem.with_suffix(".json"))]  # fmt: skip
        subprocess.run([command[0], "tune", *command[1:], *flags], check=True, stdout=subprocess.DEVNULL)
        points: list[Point] = json.loads(stem.with_suffix(".json").read_text())["points"]
        found += arms(grid, choose(points, grid))
    return found
