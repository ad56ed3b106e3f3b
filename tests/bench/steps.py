"""One guided step of the program against PyTorch: the table of docs/performance.md.

    python3 tests/bench/steps.py build/release/bwcache-gen --python PYTHON [--rounds 5] [--out out/bench]

Every round runs the program (rewritten, stock), eager PyTorch and torch.compile one after the other, as processes of
their own, so that all see the same machine. Prints medians over the rounds of each run's median step. The Wan block
(`python -m models.export wan-block --out out/wan-block`) is timed when it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

MODELS = {
    "default model": (Path("models/default/bundle"), 20, ("float32", "bfloat16")),
    "Wan block, 1536 wide, 2000 tokens": (Path("out/wan-block"), 6, ("bfloat16",)),
}


def program_step(program: str, bundle: Path, steps: int, more: list[str]) -> list[float]:
    """Seconds of every step but the first."""
    report = Path("out/bench/step.json")
    command = [program, "-p", "a red fox", "--model", str(bundle), "--steps", str(steps), "--cache", "none",
               "--progress", "none", "-o", "out/bench/step.mp4", "--report", str(report), *more]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds: list[float] = json.loads(report.read_text())["timings"]["steps"]
    return seconds[1:]


def python_step(python: str, bundle: Path, steps: int, more: list[str]) -> list[float]:
    command = [python, "-m", "models.reference.step_times", "--bundle", str(bundle), "--steps", str(steps), *more]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds: list[float] = json.loads(result.stdout.splitlines()[-1])
    return seconds[1:]


def arms(bundle: Path, dtype: str, threads: int) -> dict[str, tuple[bool, list[str]]]:
    """Name -> whether it is the program, and its flags."""
    common = ["--dtype", dtype, "--threads", str(threads)]
    out = {"program": (True, common), "program, --no-rewrite": (True, [*common, "--no-rewrite"])}
    plain = ["sdpa", "plain"] if "default" in str(bundle) else ["sdpa"]
    for how, name in (("eager", "eager PyTorch"), ("compile", "torch.compile")):
        for attention in plain:
            label = name + (", plain attention" if attention == "plain" else "")
            out[label] = (False, [*common, "--how", how, "--attention", attention])
    return out


def table(rows: dict[str, list[float]]) -> str:
    base = statistics.median(rows["program"])
    lines = ["| | ms per step | lowest to highest | program is faster by |", "|---|---|---|---|"]
    for name, values in rows.items():
        middle = statistics.median(values)
        spread = f"{1e3 * min(values):.1f} to {1e3 * max(values):.1f}"
        lines.append(f"| {name} | {1e3 * middle:.1f} | {spread} | {middle / base:.2f}x |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--python", required=True, help="interpreter with torch (and diffusers for Wan)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="this one alone")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    Path("out/bench").mkdir(parents=True, exist_ok=True)
    result: dict[str, dict[str, list[float]]] = {}
    for model, (bundle, steps, dtypes) in MODELS.items():
        if not (bundle / "model.json").exists():
            print(f"{model}: {bundle} is not there, left out")
            continue
        for dtype in (d for d in dtypes if args.dtype in (None, d)):
            rows: dict[str, list[float]] = {}
            for _ in range(args.rounds):
                for name, (is_program, flags) in arms(bundle, dtype, args.threads).items():
                    run = program_step if is_program else python_step
                    seconds = run(args.program if is_program else args.python, bundle, steps, flags)
                    rows.setdefault(name, []).append(statistics.median(seconds))
            result[f"{model}, {dtype}"] = rows
            print(f"\n{model}, {dtype}, {args.threads} threads, {args.rounds} rounds\n\n{table(rows)}", flush=True)
    Path("out/bench/steps.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
