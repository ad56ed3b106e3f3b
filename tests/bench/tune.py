"""Compares the front that `tune` finds within its share of evaluations with that of the whole grid.

    python3 tests/bench/tune.py build/release/bwcache-gen [--prompts FILE] [--threads N]

The grid: 8 thresholds x 4 intervals x output | residual. Prints both fronts, the share of model evaluations that
the search took, and how far its front lies below the grid's at most, in dB: at each point of the grid's front, the
search's front is read by linear interpolation over the share of blocks computed. Ends with 1 above 0.3 dB or 25 %.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

GRID = ["threshold=0.03:0.08:8", "reuse_interval=1,2,3,5", "rebuild=output,residual"]
MOST_BELOW, MOST_SHARE = 0.3, 0.25


def run(program: str, options: argparse.Namespace, share: float, folder: Path) -> dict[str, Any]:
    save = folder / f"{share}.json"
    command = [program, "tune", "--prompts", options.prompts, "--threads", str(options.threads), "--hold-out", "0"]
    for axis in GRID:
        command += ["--vary", axis]
    subprocess.run([*command, "--share", str(share), "--save", str(save)], check=True, stdout=subprocess.DEVNULL)
    result: dict[str, Any] = json.loads(save.read_text())
    return result


def front(result: dict[str, Any]) -> list[tuple[float, float]]:
    """(share of blocks computed, PSNR), ascending."""
    points = [p for p in result["points"] if p["front"]]
    return sorted((p["computed_fraction"], p["quality"]["psnr"]) for p in points)


def psnr_at(points: list[tuple[float, float]], fraction: float) -> float | None:
    """Linear between neighbours; None before the cheapest point; the last value after the dearest."""
    if fraction < points[0][0]:
        return None
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 <= fraction <= x1:
            return y0 + (y1 - y0) * (fraction - x0) / (x1 - x0) if x1 > x0 else max(y0, y1)
    return points[-1][1]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--prompts", default=str(Path(__file__).parent / "tune.txt"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        searched = run(options.program, options, MOST_SHARE, Path(scratch))
        whole = run(options.program, options, 1.0, Path(scratch))
    grid, found = front(whole), front(searched)
    share = searched["evaluations"]["blocks_computed"] / whole["evaluations"]["grid_blocks"]
    below = 0.0
    print("| blocks computed | PSNR, whole grid | PSNR, searched |\n|---|---|---|")
    for fraction, psnr in grid:
        own = psnr_at(found, fraction)
        below = max(below, psnr - own) if own is not None else float("inf")
        print(f"| {100 * fraction:.0f} % | {psnr:.2f} | {'-' if own is None else f'{own:.2f}'} |")
    settings = f"{whole['candidates']} settings, {whole['distinct']} of which decide differently"
    print(f"\n{len(whole['clips'])} clips, {settings}.")
    print(f"Evaluations: {100 * share:.0f} % of the grid's. Below its front by at most {below:.2f} dB.")
    return 0 if below <= MOST_BELOW and share <= MOST_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
