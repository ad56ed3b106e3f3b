"""What fewer steps cost, for Euler and for diffusers' multistep solvers, against a converged solution from the
same noise; and the change per block at the default steps. The solution is UniPC's, which at 300 steps is nearer
to the limit than Euler's; how near Euler comes to it with as many is one of the figures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler
from torch import Tensor

from ..captions import canonical
from ..sample import Pipeline, Sampler, Velocity
from .context import Context
from .pixels import psnr
from .profile import Profile
from .prompts import draw

MULTISTEP: dict[str, Any] = {"dpm++2m": DPMSolverMultistepScheduler, "unipc": UniPCMultistepScheduler}


@torch.no_grad()
def multistep(name: str, velocity: Velocity, x: Tensor, sampler: Sampler) -> Tensor:
    """Noise x [B, N, C] -> latents, at the noise levels of diffusers' flow-matching table."""
    flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": sampler.shift}
    scheduler = MULTISTEP[name](**flow)
    scheduler.set_timesteps(sampler.steps)
    scheduler.set_begin_index(0)  # many steps round to equal timesteps, and a step would look itself up wrongly
    for i, t in enumerate(scheduler.timesteps):
        x = scheduler.step(velocity(x, scheduler.sigmas[i]), t, x, return_dict=False)[0]
    return x


def solve(pipe: Pipeline, name: str, prompts: list[str], sampler: Sampler) -> Tensor:
    """Frames [B, T, 3, H, W] u8 by this solver."""
    if name == "euler":
        return pipe.decode(pipe.latents(prompts, sampler))
    noise = pipe.noise(len(prompts), sampler.seed)
    return pipe.decode(multistep(name, pipe.velocity(prompts, sampler.guidance), noise, sampler))


def solvers(c: Context) -> dict[str, Any]:
    """PSNR in dB of n steps against the converged solution, mean over clips; per block, the change over the steps."""
    prompts = [canonical(s) for s in draw("train", c.sizes.solver_prompts, "solvers")]
    profile = Profile()
    c.pipe.latents(prompts, c.sampler, profile.record)
    c.say(f"converged solution: {c.sizes.converged} steps of {len(prompts)} prompts")
    reference = solve(c.pipe, "unipc", prompts, replace(c.sampler, steps=c.sizes.converged))
    out: dict[str, Any] = {"converged": c.sizes.converged, "prompts": len(prompts), "steps": list(c.sizes.fewer)}
    for name in ("euler", *MULTISTEP):
        counts = (*c.sizes.fewer, *([c.sizes.converged] if name == "euler" else []))
        out[name] = {}
        for n in counts:
            out[name][n] = psnr(solve(c.pipe, name, prompts, replace(c.sampler, steps=n)), reference)
            c.say(f"{name} {n} steps: {out[name][n]} dB")
    return {**out, "profile": profile.summary()}
