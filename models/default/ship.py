"""Puts the weights of a training into the repository: bundle, kept/, calibrated presets, reference of the regression.

    python -m models.default.ship --training DIR --binary build/release/bwcache-gen

Everything that hangs on the weights is made anew, in the order in which one needs the other. The model card
(`make evaluate-model`), the measured tables under docs/ and the README's picture stay as they are.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from .captions import canonical, scene

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUNDLE = HERE / "bundle"
PROMPTS = 4
# Policies with a measured table, and for how many prompts it is measured.
CALIBRATED = {
    "magcache": PROMPTS,
    "smoothcache": PROMPTS,
    "blockcaching:threshold=0.1": PROMPTS,
    "teacache": PROMPTS,
    "bac": PROMPTS,
    "taocache": PROMPTS,
    "meancache": PROMPTS,
    "lemica": 1,  # measures by whole runs
}


def run(*command: str | Path) -> None:
    print("$", *command, flush=True)
    subprocess.run([str(c) for c in command], cwd=ROOT, check=True)


def module(name: str, *arguments: str | Path) -> None:
    run(sys.executable, "-m", name, *arguments)


def prompts(n: int) -> str:
    rng = random.Random("calibration")
    return "".join(canonical(scene(rng, "train")) + "\n" for _ in range(n))


def calibrate(binary: Path, work: Path) -> None:
    """Tables of all policies in CALIBRATED, as presets of the bundle."""
    made = []
    for policy, count in CALIBRATED.items():
        name = policy.split(":")[0]
        text, config = work / f"{count}.txt", work / f"{name}.json"
        text.write_text(prompts(count))
        run(binary, "calibrate", "-M", BUNDLE, "--cache", policy, "--prompts", text, "--save", config)
        made.append(f"calibrated-{name}={config}")
    module("models.export.presets", BUNDLE, *made)


def ship(training: Path, binary: Path) -> None:
    packed = training / "checkpoint"
    module("models.default.pack", "--training", training, "--out", packed)
    module("models.export", "default", "--checkpoint", packed, "--out", BUNDLE)
    module("models.default.restore", "--keep", packed)
    with tempfile.TemporaryDirectory() as work:
        calibrate(binary, Path(work))
    run(binary, "regress", "configs/regress/default-bwcache.json", "--update")


def main() -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bwcache-gen" / "training"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--training", type=Path, default=cache, help="what `models.default.train --out` wrote")
    p.add_argument("--binary", type=Path, default=ROOT / "build/release/bwcache-gen")
    a = p.parse_args()
    if not a.binary.exists():
        raise SystemExit(f"{a.binary} is not there: `make build` makes it, --binary names another one")
    try:
        ship(a.training, a.binary)
    except subprocess.CalledProcessError as e:
        raise SystemExit(f"error: {e}") from None


if __name__ == "__main__":
    main()
