"""What a training directory tells about how its weights were made: plan.json, and log.jsonl of each stage."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAGES = ("vae", "text", "dit", "classifier")
FIGURES = {"vae": ("psnr", "sprite"), "text": ("order",), "dit": ("validation", "sprite", "order"), "classifier": ()}
POINTS = 8  # of a curve


@dataclass(frozen=True)
class Stage:
    name: str
    steps: int
    minutes: float
    threads: tuple[int, int]  # fewest and most
    curve: list[tuple[float, dict[str, float]]]  # minutes, figures


@dataclass(frozen=True)
class Training:
    plan: dict[str, Any]
    stages: list[Stage]
    commit: str  # of the code that wrote the card; '' where there is no repository


def read_log(path: Path) -> Stage | None:
    """None where nothing was evaluated yet."""
    if not path.exists():
        return None
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    scored = [r for r in rows if "minutes" in r]
    if not scored:
        return None
    name = path.parent.name
    threads = [r["threads"] for r in rows if "threads" in r] or [1]
    every = [scored[round(k * (len(scored) - 1) / (POINTS - 1))] for k in range(POINTS)]
    curve = {r["minutes"]: {f: r[f] for f in FIGURES[name] if f in r} for r in every}
    last = scored[-1]
    return Stage(name, last["step"], last["minutes"], (min(threads), max(threads)), list(curve.items()))


def commit() -> str:
    here = Path(__file__).parent
    done = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def read_training(path: Path) -> Training:
    plan = path / "plan.json"
    if not plan.exists():
        raise ValueError(f"{plan} is missing: --training must name the directory that the checkpoint was trained in")
    stages = [read_log(path / name / "log.jsonl") for name in STAGES]
    return Training(json.loads(plan.read_text()), [s for s in stages if s], commit())


def commands(t: Training) -> list[str]:
    """The command of each stage, from the plan."""
    p = t.plan
    base = "python -m models.default.train"
    start = " --init EARLIER" if p.get("init") else ""
    sizes = " ".join(f"--{k} {p[k]}" for k in ("preset", "clips", "latents", "size", "frames"))
    sizes += "".join(f" --{k.replace('_', '-')}" for k in ("compile", "decoder_only") if p[k])
    if p.get("processes", 1) > 1:
        sizes += f" --processes {p['processes']}"
    if p["steps"] is not None:
        return [f"{base} --steps {p['steps']} {sizes} --device {p['device']}{start}"]
    out: list[str] = []
    for s in t.stages:
        minutes = p["minutes"].get(s.name, s.minutes)
        more = f" {sizes} --device {p['device']}{start}" if not out else ""
        out.append(f"{base} --resume --stage {s.name} --minutes {minutes:g}{more}")
    return out
