"""Runs the benchmark and writes its tables and plot.

    PYTHONPATH=tests/bench python -m benchmark build/release/bwcache-gen            into docs/benchmarks.md
    PYTHONPATH=tests/bench python -m benchmark build/release/bwcache-gen --quick    into a page under the output folder

It can be stopped at any time; the same command goes on from the last prompt that was finished. `--prompts N` takes the
first N alone, and a later run with more adds to them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import thresholds
from .accuracy import FOLDER, Accuracy, Prompt, reader, score
from .company import Company, mean_company
from .page import ROOT, bundle_weights, markers, replace
from .plot import draw
from .report import Circumstances, panels, report
from .resampling import resamples
from .results import Results, results
from .rows import Rows, Table, read, tabulate

HERE = Path(__file__).parent
BASE_FLAGS = ["--sampler", "euler", "--steps", "50", "--cache", "none"]
QUICK_PROMPTS = 4
REPEAT = 1
SEED = "42"
MARKER = "benchmark"
PAGE = ROOT / "docs/benchmarks.md"
IMAGE = "images/benchmark.svg"


@dataclass(frozen=True)
class Setup:
    program: str
    bundle: Path
    quick: bool
    prompts: list[Prompt]  # of this run
    all_prompts: int
    repeat: int
    seeds: str
    threads: int | None
    classifier: Path
    folder: Path  # of this bundle's weights and size of benchmark
    latents: Path  # shared by both sizes, so that references are
    page: Path  # the plot goes into images/ beside it

    def model(self) -> list[str]:
        return ["--model", str(self.bundle), *(["--threads", str(self.threads)] if self.threads else [])]


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="benchmark", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    p.add_argument("program", help="bwcache-gen")
    p.add_argument("--quick", action="store_true", help=f"{QUICK_PROMPTS} prompts, few arms")
    p.add_argument("--prompts", type=int, metavar="N", help="the first N prompts alone")
    p.add_argument("--repeat", type=int, default=REPEAT, help="runs of every plan per clip (default: %(default)s)")
    p.add_argument("--seeds", default=SEED, help="of the noise, e.g. 1,2 (default: %(default)s)")
    p.add_argument("--threads", type=int, help="of the program (default: all cores)")
    p.add_argument("--bundle", type=Path, default=ROOT / "models/default/bundle")
    p.add_argument("--classifier", type=Path, default=FOLDER, help=f"attribute classifier (default: {FOLDER})")
    p.add_argument("--page", type=Path, help=f"where the tables go, between two markers (default: {PAGE.name} in "
                   "docs/, with --quick one in the output folder, which is made)")  # fmt: skip
    p.add_argument("--out", type=Path, default=ROOT / "out/benchmark", help="rows, latents, results")
    return p.parse_args()


def setup(a: argparse.Namespace) -> Setup:
    lines = (HERE / "prompts.jsonl").read_text().splitlines()
    prompts: list[Prompt] = [json.loads(line) for line in lines]
    wanted = a.prompts or (QUICK_PROMPTS if a.quick else len(prompts))
    if not 1 <= wanted <= len(prompts):
        raise ValueError(f"--prompts {wanted}: there are {len(prompts)} prompts; at least 1")
    folder = a.out / bundle_weights(a.bundle)[1]
    own = folder / "quick" if a.quick else folder
    page = a.page or (own / PAGE.name if a.quick else PAGE)
    return Setup(a.program, a.bundle, a.quick, prompts[:wanted], len(prompts), a.repeat, a.seeds, a.threads,
                 a.classifier, own, folder / "latents", page)  # fmt: skip


def arms_file(s: Setup) -> Path:
    """arms.json and settings that fit the weights. Made once per weights and choice of arms: resuming needs the
    same."""
    fixed, calibration = HERE / ("arms-quick.json" if s.quick else "arms.json"), HERE.parent / "tune.txt"
    grids = thresholds.QUICK if s.quick else thresholds.STANDARD
    key = thresholds.digest(fixed.read_text(), calibration.read_text(), repr(grids))
    file = s.folder / f"arms-{key}.json"
    if not file.exists():
        print("choosing settings on the calibration prompts", file=sys.stderr)
        arms = json.loads(fixed.read_text())
        arms["arms"] += thresholds.calibrate([s.program, *s.model()], calibration, grids, s.folder)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(arms, indent=1) + "\n")
        part.replace(file)
    return file


def run_bench(s: Setup) -> dict[str, Any]:
    """Measures what is not measured yet; returns bench's summary."""
    prompts, summary = s.folder / "prompts.jsonl", s.folder / "bench.json"
    prompts.write_text("".join(json.dumps({"prompt": p["prompt"]}) + "\n" for p in s.prompts))
    command = [s.program, "bench", *s.model(), *BASE_FLAGS, "--arms", str(arms_file(s)), "--prompts", str(prompts),
               "--seeds", s.seeds, "--repeat", str(s.repeat), "--rows", str(s.folder / "rows.jsonl"),
               "--keep-latents", str(s.latents), "--save", str(summary)]  # fmt: skip
    rows = s.folder / "rows.jsonl"
    before, watch = rows.stat().st_size if rows.exists() else 0, Company()
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    finally:
        if rows.exists() and rows.stat().st_size > before:  # a run that found all its rows timed nothing
            with (s.folder / "company.jsonl").open("a") as out:
                out.write(json.dumps(watch.so_far()) + "\n")
    found: dict[str, Any] = json.loads(summary.read_text())
    return found


def accuracy(s: Setup, summary: dict[str, Any], table: Table, rows: Rows) -> Accuracy | str:
    print("reading the clips with the attribute classifier", file=sys.stderr)
    try:
        look = reader(s.bundle, summary["arms"][0]["plan"]["dtype"], s.classifier, s.folder / "readings.jsonl")
    except ValueError as e:  # there is none: everything else can be told
        return str(e).replace(str(Path.home()), "~")  # it goes into a page
    return score(look, table, rows, s.prompts, s.latents)


def lower_is_better(program: str) -> frozenset[str]:
    listed = subprocess.run([program, "list", "metrics", "--json"], check=True, capture_output=True, text=True).stdout
    return frozenset(m["name"] for m in json.loads(listed) if m.get("better") == "lower")


def make_command(s: Setup) -> str:
    """What to type for the same measurement."""
    usual = QUICK_PROMPTS if s.quick else s.all_prompts
    flags = [*([f"--repeat {s.repeat}"] if s.repeat != REPEAT else []),
             *([f"--seeds {s.seeds}"] if s.seeds != SEED else []),
             *([f"--threads {s.threads}"] if s.threads else [])]  # fmt: skip
    variables = [*(["QUICK=1"] if s.quick else []), *([f"PROMPTS={len(s.prompts)}"] if len(s.prompts) != usual else []),
                 *([f'ARGS="{" ".join(flags)}"'] if flags else [])]  # fmt: skip
    return " ".join(["make benchmark", *variables])


def circumstances(s: Setup, summary: dict[str, Any]) -> Circumstances:
    manifest, weights = bundle_weights(s.bundle)
    if manifest != summary["bundle"]["sha256"]:
        raise ValueError(f"the bundle {s.bundle} has changed meanwhile; run the benchmark again")
    file = s.folder / "company.jsonl"
    runs = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return Circumstances(summary, weights, make_command(s), s.all_prompts, mean_company(runs), os.cpu_count() or 1)


def write(s: Setup, found: Results, c: Circumstances, lower: frozenset[str]) -> Path:
    """The result as JSON beside the rows, the tables into the page, the plot beside it."""
    about = {"bundle": c.summary["bundle"], "weights": c.weights, "environment": c.summary["environment"],
             "prompts": [p["id"] for p in s.prompts], "seeds": c.summary["seeds"], "others": c.others}  # fmt: skip
    (s.folder / "result.json").write_text(json.dumps({**about, **found.to_json()}, indent=1) + "\n")
    title, label = f"{len(s.prompts)} prompts, weights {c.weights}", "PSNR to the converged solution, dB"
    old = s.page.read_text() if s.page.exists() else "\n".join(markers(MARKER)) + "\n"
    try:
        new = replace(old, MARKER, report(found, c, lower, IMAGE))
    except ValueError as e:
        raise ValueError(f"{s.page}: {e}") from e
    draw(panels(found), title, label, s.page.parent / IMAGE)
    s.page.write_text(new)
    return s.page


def main() -> int:
    try:
        s = setup(parse())
        s.folder.mkdir(parents=True, exist_ok=True)
        os.nice(10)
        torch.set_num_threads(s.threads or torch.get_num_threads())
        summary = run_bench(s)
        lower = lower_is_better(s.program)
        rows = read(summary, s.folder / "rows.jsonl")
        table = tabulate(summary, rows, lower)
        c = circumstances(s, summary)
        draws = resamples(len(s.prompts))
        print(write(s, results(table, s.prompts, accuracy(s, summary, table, rows), draws, c.timed()), c, lower))
    except ValueError as e:
        print(f"benchmark: {e}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as e:  # the program has said why
        print(f"benchmark: stopped (exit code {e.returncode}); the same command goes on", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmark: interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
