"""Runs every cache policy on the default bundle, each from one command, and demands that it reuses something. One that
rests on a table comes as the bundle's preset `calibrated-NAME`.

    python3 tests/bench/each_policy.py build/release/bwcache-gen
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BUNDLE = Path(__file__).resolve().parents[2] / "models/default/bundle"
PROMPT = "a red balloon rising over the sea at noon"


def ask(program: str, *arguments: str) -> Any:
    return json.loads(subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout)


def names(program: str) -> list[str]:
    """What --cache takes."""
    presets = json.loads((BUNDLE / "model.json").read_text()).get("cache_presets", {})
    policies = [policy["name"] for policy in ask(program, "list", "policies", "--json") if policy["name"] != "none"]
    return [f"calibrated-{name}" if f"calibrated-{name}" in presets else name for name in policies]


def main() -> int:
    program, failed = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names(program):
            report = Path(folder) / "run.json"
            command = [program, "-M", BUNDLE, "-p", PROMPT, "--seed", "3", "--cache", name, "--fail-if-inert"]
            quiet = ["--progress", "none", "-o", Path(folder) / "run.mp4", "--report", report]
            done = subprocess.run([*map(str, command), *map(str, quiet)], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                failed += 1
                print(f"{name:24} exit code {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
                continue
            print(f"{name:24} {json.loads(report.read_text())['cache']['totals']['reused_fraction']:.0%} reused")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
