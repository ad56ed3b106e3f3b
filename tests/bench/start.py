"""Time to the first step, and peak memory, of the program: the last section of docs/benchmarks.md.

    python3 tests/bench/start.py build/release/bwcache-gen [--rounds 7]

Every round is a process of its own with the default model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any


def start(program: str, folder: Path) -> dict[str, Any]:
    """The report of a short run."""
    report = folder / "step.json"
    command = [program, "-p", "a red fox", "--steps", "5", "--cache", "none", "--progress", "none",
               "-o", str(folder / "step.mp4"), "--report", str(report)]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = [start(args.program, Path(folder)) for _ in range(args.rounds)]
    times = [r["timings"] for r in reports]
    seconds = statistics.median(t["load"] + t["text"] + t["steps"][0] for t in times)
    peak = max(r["memory"]["peak_bytes"] for r in reports)
    print(f"From reading the bundle to the end of the first step: {seconds:.2f} s (median of {args.rounds}).")
    print(f"Peak memory: {peak / 2**20:.0f} MiB.")


if __name__ == "__main__":
    main()
