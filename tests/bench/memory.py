"""The memory that runs declare beside what they took: the table of docs/performance.md.

    python3 tests/bench/memory.py build/release/bwcache-gen

Every row is a process of its own: its peak of resident memory, less that of a run of the tests' tiny model, which needs
next to nothing beside the program. The Wan block (`python -m models.export wan-block --out out/wan-block`) is measured
when it is there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

TINY = Path("tests/data/bundles/tiny-wan")
MODELS = {"default model": Path("models/default/bundle"), "Wan block": Path("out/wan-block")}
FORMS = {"bfloat16": [], "bfloat16, `--no-rewrite`": ["--no-rewrite"], "int8": ["--quantize", "int8"]}


def memory_of(program: str, bundle: Path, more: list[str]) -> dict[str, Any]:
    """The `memory` of a run's report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "clip.json"
        command = [program, "-p", "a red fox", "--model", str(bundle), "--steps", "2", "--cache", "none",
                   "--dtype", "bfloat16", "--progress", "none", "-o", f"{folder}/clip.y4m", *more]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        memory: dict[str, Any] = json.loads(report.read_text())["memory"]
        return memory


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--threads", default="2")
    options = parser.parse_args()
    threads = ["--threads", options.threads]
    tiny = memory_of(options.program, TINY, threads)
    base = tiny["peak_bytes"] - tiny["declared_bytes"]
    print(f"the program itself: {base / 1e6:.0f} MB\n")
    heads = ["", "weights", "copies", "hidden, activations", "declared", "taken", "declared / taken"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for model, bundle in MODELS.items():
        if not bundle.exists():
            continue
        for form, flags in FORMS.items():
            memory = memory_of(options.program, bundle, [*threads, *flags])
            parts, taken = memory["declared"], memory["peak_bytes"] - base
            cells = [parts["weights"], parts["copies"], parts["hidden"] + parts["activations"],
                     memory["declared_bytes"], taken]  # fmt: skip
            row = " | ".join(f"{value / 1e6:.1f}" for value in cells)
            print(f"| {model}, {form} | {row} | {memory['declared_bytes'] / taken:.2f} |", flush=True)


if __name__ == "__main__":
    main()
