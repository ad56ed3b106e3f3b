"""Turns the files of tests/bench/run into the Markdown tables of docs/benchmarks.md.

    python3 tests/bench/table.py out/bench
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any


def cache_table(result: dict[str, Any]) -> list[str]:
    lines = [
        f"Model {result['bundle']['name']} ({result['bundle']['sha256'][:12]}), {len(result['prompts'])} prompts, "
        f"{result['repeat']} interleaved runs each, {result['environment']['threads']} threads, "
        f"{result['environment']['processor']}.",
        "",
        "| plan | speed-up | blocks computed | PSNR | SSIM | worst frame, PSNR | PSNR to converged | cache |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm in result["arms"]:
        quality = arm["quality"]
        cells = [
            arm["name"],
            f"{arm['speedup']['denoise']:.2f}×",
            f"{100 * arm['computed_fraction']:.0f} %",
            *(f"{quality[key]:.{digits}f}" if key in quality else "–" for key, digits in
              (("psnr", 2), ("ssim", 4), ("psnr_worst", 2), ("psnr_reference", 2))),
            f"{arm['cache_bytes'] / 2**20:.1f} MiB",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def overhead_lines(result: dict[str, Any]) -> list[str]:
    shares = []
    for arm in result["arms"]:
        if not arm["name"].startswith("bwcache"):
            continue
        seconds = {stage: value["median"] for stage, value in arm["seconds"].items()}
        shares.append((seconds["indicator"] + seconds["controller"]) / seconds["denoise"])
    return [f"Indicator and controller: at most {100 * max(shares):.2f} % of the denoising time over the BWCache rows."]


def step_lines(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| dtype | program, ms per step | eager PyTorch, ms per step | ratio |", "|---|---|---|---|"]
    for dtype in ("bfloat16", "float32"):
        medians = {}
        for what in ("program", "eager"):
            # The first step of a process still warms up.
            seconds = [s for row in rows if row["what"] == what and row["dtype"] == dtype for s in row["steps"][1:]]
            medians[what] = statistics.median(seconds) if seconds else float("nan")
        ratio = medians["eager"] / medians["program"]
        lines.append(f"| {dtype} | {1e3 * medians['program']:.1f} | {1e3 * medians['eager']:.1f} | {ratio:.2f}× |")
    program = [row for row in rows if row["what"] == "program"]
    start = statistics.median(row["load"] + row["text"] + row["steps"][0] for row in program)
    peak = max(row["peak_bytes"] for row in program if row["dtype"] == "bfloat16")
    lines += ["", f"From reading the bundle to the end of the first step: {start:.2f} s (median). "
                  f"Peak memory in bfloat16: {peak / 2**20:.0f} MiB."]
    return lines


def main() -> None:
    folder = Path(sys.argv[1])
    result = json.loads((folder / "caches.json").read_text())
    rows = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    print("\n".join([*cache_table(result), "", *overhead_lines(result), "", *step_lines(rows)]))


if __name__ == "__main__":
    main()
