"""Scheduler goldens: whole trajectories of diffusers' schedulers on an analytic velocity.

    python -m models.reference.schedulers --out tests/data/golden/schedulers.json

The stand-in for the network is, element by element and with every operation in float64,

    v(x, sigma) = 0.7 * sin(1.3 * x + 2 * sigma) + 0.3 * x * cos(sigma)

where sigma of evaluation i is `sigmas[i]` of the case: diffusers' float32 table, widened. Four start values are four
independent trajectories. `states[i]` is the sample after evaluation i.

Precision. The sigma table is float32, coefficients and state are float64 (the table is widened before the first step).
All but UniPC round the sample to float32 inside `step` even so, hence `tolerance` 2e-6 for them and 1e-9 for UniPC;
both are absolute, on states of order one.

Keys of `config` are the scheduler's own; `call` holds what is passed to `set_timesteps` besides the number of steps:
`mu` and `sigmas` ("explicit": linspace(1, 0, n+1)[:-1]; "ltx": linspace(1, 1/n, n); "mochi": `linear_quadratic_sigmas`
below).
"""

import argparse
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

STEPS = (4, 8, 20, 50)
SHIFTS = (1.0, 3.0, 5.0)
START = (-1.4, -0.3, 0.6, 1.9)
ROUNDS_TO_FLOAT32 = 2e-6
EXACT = 1e-9

CLASSES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        FlowMatchEulerDiscreteScheduler,
        FlowMatchHeunDiscreteScheduler,
        UniPCMultistepScheduler,
        DPMSolverMultistepScheduler,
    )
}
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}


def velocity(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The stand-in for the network; the formula of the module's description."""
    return 0.7 * torch.sin(1.3 * x + 2.0 * sigma) + 0.3 * x * math.cos(sigma)


def linear_quadratic_sigmas(steps: int) -> list[float]:
    """Mochi's table: threshold_noise 0.025, half of the steps linear, half quadratic."""
    threshold, linear = 0.025, steps // 2
    first = [i * threshold / linear for i in range(linear)]
    difference = linear - threshold * steps
    quadratic = difference / (linear * (steps - linear) ** 2)
    slope = threshold / linear - 2 * difference / (steps - linear) ** 2
    constant = quadratic * linear**2
    rest = [quadratic * i**2 + slope * i + constant for i in range(linear, steps)]
    return [1.0 - s for s in first + rest]


def explicit_sigmas(kind: str, steps: int) -> list[float]:
    """The table that a pipeline passes to `set_timesteps`."""
    if kind == "explicit":
        return np.linspace(1.0, 0.0, steps + 1)[:-1].tolist()
    if kind == "ltx":
        return np.linspace(1.0, 1.0 / steps, steps).tolist()
    if kind == "mochi":
        return linear_quadratic_sigmas(steps)
    raise ValueError(f"unknown sigma table {kind!r}")


def variants() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(class, config, call) of every case, without the number of steps."""
    euler = "FlowMatchEulerDiscreteScheduler"
    for shift in SHIFTS:
        yield euler, {"shift": shift}, {"sigmas": "explicit"}
        yield euler, {"shift": shift}, {}
    yield euler, {"shift": 7.0}, {"sigmas": "explicit"}
    ltx = {
        "use_dynamic_shifting": True,
        "base_shift": 0.95,
        "max_shift": 2.05,
        "base_image_seq_len": 1024,
        "max_image_seq_len": 4096,
    }
    yield euler, ltx, {"sigmas": "ltx", "mu": 3.2302}
    yield euler, {**ltx, "shift_terminal": 0.1}, {"sigmas": "ltx", "mu": 3.2302}
    yield euler, {**ltx, "shift_terminal": 0.1}, {"sigmas": "ltx", "mu": 1.1}
    yield euler, {**ltx, "time_shift_type": "linear"}, {"sigmas": "ltx", "mu": 1.1}
    yield euler, {"invert_sigmas": True}, {"sigmas": "mochi"}
    yield euler, {"invert_sigmas": True, "shift": 3.0}, {"sigmas": "explicit"}
    for shift in SHIFTS:
        yield "FlowMatchHeunDiscreteScheduler", {"shift": shift}, {}
        yield "UniPCMultistepScheduler", {**FLOW, "flow_shift": shift}, {}
        yield "DPMSolverMultistepScheduler", {**FLOW, "flow_shift": shift}, {}
    yield "UniPCMultistepScheduler", {**FLOW, "flow_shift": 3.0, "solver_order": 1}, {}
    yield "DPMSolverMultistepScheduler", {**FLOW, "flow_shift": 3.0, "solver_order": 1}, {}


@contextmanager
def float64_defaults() -> Iterator[None]:
    """UniPC builds small coefficient vectors in the default dtype."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


def run(scheduler: Any, sigmas: torch.Tensor) -> list[list[float]]:
    """The sample after every evaluation."""
    sample = torch.tensor([START], dtype=torch.float64)
    states = []
    with float64_defaults():
        for i, t in enumerate(scheduler.timesteps):
            out = scheduler.step(velocity(sample, sigmas[i].item()), t, sample, return_dict=False)
            sample = out[0].double()
            states.append(sample[0].tolist())
    return states


def trajectory(name: str, config: dict[str, Any], call: dict[str, Any], steps: int) -> dict[str, Any]:
    """Run one scheduler over the whole schedule."""
    scheduler = CLASSES[name](**config)
    arguments = dict(call)
    if "sigmas" in arguments:
        arguments["sigmas"] = explicit_sigmas(arguments["sigmas"], steps)
    scheduler.set_timesteps(steps, **arguments)
    sigmas = scheduler.sigmas.double()
    scheduler.sigmas = sigmas
    scheduler.set_begin_index(0)
    return {
        "class": name,
        "config": config,
        "call": call,
        "steps": steps,
        "tolerance": EXACT if name.startswith("UniPC") else ROUNDS_TO_FLOAT32,
        "x0": list(START),
        "sigmas": sigmas.tolist(),
        "timesteps": [float(t) for t in scheduler.timesteps],
        "states": run(scheduler, sigmas),
    }


def shorten(value: Any) -> Any:
    """Floats with twelve significant digits: the file stays small, the error is far below any tolerance."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, list):
        return [shorten(v) for v in value]
    if isinstance(value, dict):
        return {k: shorten(v) for k, v in value.items()}
    return value


def goldens() -> dict[str, Any]:
    """All cases, with what made them."""
    cases = [trajectory(n, c, a, s) for n, c, a in variants() for s in STEPS]
    return {
        "made_with": {"diffusers": diffusers.__version__, "torch": torch.__version__.split("+")[0]},
        "velocity": "0.7*sin(1.3*x + 2*sigma) + 0.3*x*cos(sigma), sigma = sigmas[i] of evaluation i",
        "cases": shorten(cases),
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("tests/data/golden/schedulers.json"))
    out: Path = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    data = goldens()
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in data.pop("cases"))
    head = json.dumps(data, separators=(",", ":"))[:-1]
    out.write_text(f'{head},"cases":[\n{lines}\n]}}\n')
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
