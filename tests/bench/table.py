"""Turns the files of tests/bench/run into the Markdown tables of docs/benchmarks.md.

    python3 tests/bench/table.py out/bench
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lint"))
from weights import DEFAULT, DIGITS, weights_hash  # noqa: E402


def weights_line(result: dict[str, Any]) -> str:
    """The line under every table that says what it was measured with (CONTRIBUTING.md)."""
    text = (ROOT / DEFAULT / "model.json").read_bytes()
    if hashlib.sha256(text).hexdigest() != result["bundle"]["sha256"]:
        sys.exit(f"the results are of bundle {result['bundle']['sha256'][:DIGITS]}, not of {DEFAULT}: run it again")
    return f"weights: {weights_hash(json.loads(text)['weights'])[:DIGITS]}"


def cache_table(result: dict[str, Any]) -> list[str]:
    lines = [
        f"Model {result['bundle']['name']}, {len(result['prompts'])} prompts, "
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
    return [*lines, "", weights_line(result)]


def overhead_lines(result: dict[str, Any]) -> list[str]:
    shares = []
    for arm in result["arms"]:
        if not arm["name"].startswith("bwcache"):
            continue
        seconds = {stage: value["median"] for stage, value in arm["seconds"].items()}
        shares.append((seconds["indicator"] + seconds["controller"]) / seconds["denoise"])
    return [f"Indicator and controller: at most {100 * max(shares):.2f} % of the denoising time over the BWCache rows."]


def start_line(rows: list[dict[str, Any]]) -> str:
    start = statistics.median(row["load"] + row["text"] + row["steps"][0] for row in rows)
    peak = max(row["peak_bytes"] for row in rows)
    return (f"From reading the bundle to the end of the first step: {start:.2f} s (median). "
            f"Peak memory in bfloat16: {peak / 2**20:.0f} MiB.")  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1])
    result = json.loads((folder / "caches.json").read_text())
    rows = [json.loads(line) for line in (folder / "starts.jsonl").read_text().splitlines()]
    print("\n".join([*cache_table(result), "", *overhead_lines(result), "", start_line(rows)]))


if __name__ == "__main__":
    main()
