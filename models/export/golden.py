"""Golden tensors: what the original model computes, for the C++ tests to replay.

Names. `denoiser`: `<i>.latent`, `.t`, `.text`, `.prediction`, `.block.<n>.<stream>`, `.probe.<n>` for example i.
`text`: `<i>.ids`, `.mask`, `.text` (the encoder's output), `.embedding` (for the denoiser), `.attributes.<n>` (logits
of the manifest's text.attributes); metadata `<i>.prompt`, `<i>.unknown_words` (JSON; those not in text.words).
`decoder`: `latent` (normalised), `frames` (all of them, before the leading ones are dropped).
Every file's metadata `weights`: the hash of the weights (bundle.weights_hash).
`runs`: `noise`, `cond`, `uncond`, `<run>.latents`; metadata `<run>`: JSON with scheduler, steps, guidance_scale.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.export.parts import Example, Golden, Record
from models.reference.schedulers import CLASSES, explicit_sigmas, float64_defaults

Model = Callable[[Tensor, Tensor, Tensor], Tensor]  # latent f32 [B,C,F,H,W], t [B] f32, text -> prediction


@dataclass(frozen=True)
class Run:
    """A whole sampling run."""

    scheduler: dict[str, Any]  # as in the manifest
    steps: int
    guidance_scale: float  # 1: no guidance


def denoiser(original: Callable[[Example], Record], examples: Sequence[Example]) -> Golden:
    """The original's prediction, block outputs and probes for some inputs."""
    tensors: dict[str, Tensor] = {}
    for i, example in enumerate(examples):
        record = original(example)
        tensors |= {f"{i}.latent": example.latent, f"{i}.t": example.t, f"{i}.text": example.text}
        tensors[f"{i}.prediction"] = record.prediction
        for n, hidden in enumerate(record.blocks):
            tensors |= {f"{i}.block.{n}.{s}": x for s, x in enumerate(hidden)}
        tensors |= {f"{i}.probe.{n}": x for n, x in enumerate(record.probes)}
    return Golden(tensors, {"dtype": "float32"})


def make_scheduler(config: dict[str, Any], steps: int) -> Any:
    """A diffusers scheduler from the manifest's entry, its sigma table widened to float64."""
    keys = {k: v for k, v in config.items() if k not in ("_class_name", "sigmas")}
    scheduler: Any = CLASSES[config["_class_name"]](**keys)
    kind = config.get("sigmas", "diffusers")
    scheduler.set_timesteps(steps, **({} if kind == "diffusers" else {"sigmas": explicit_sigmas(kind, steps)}))
    scheduler.sigmas = scheduler.sigmas.double()
    scheduler.set_begin_index(0)
    return scheduler


@torch.no_grad()
def sample(model: Model, run: Run, noise: Tensor, cond: Tensor, uncond: Tensor) -> Tensor:
    """Final latents [1,C,F,H,W] f32: state and coefficients in float64, model and guidance in float32."""
    scheduler = make_scheduler(run.scheduler, run.steps)
    latents = noise.double()
    for t in scheduler.timesteps:
        x, time = latents.float(), t.float().expand(len(noise))
        prediction = model(x, time, cond)
        if run.guidance_scale != 1.0:
            base = model(x, time, uncond)
            prediction = base + run.guidance_scale * (prediction - base)
        with float64_defaults():
            latents = scheduler.step(prediction.double(), t, latents, return_dict=False)[0].double()
    return latents.float()


def runs(model: Model, table: dict[str, Run], noise: Tensor, cond: Tensor, uncond: Tensor) -> Golden:
    """Whole runs from one noise."""
    tensors = {"noise": noise, "cond": cond, "uncond": uncond}
    metadata = {
        "sampler": "diffusers; sigma table float32, coefficients and state float64; FlowMatchEuler and DPMSolver round "
        "the state to float32 in every step; model and guidance float32, branches one by one",
        "tolerance": "1e-4 of max|latents|",
    }
    for name, run in table.items():
        tensors[f"{name}.latents"] = sample(model, run, noise, cond, uncond)
        entry = {"scheduler": run.scheduler, "steps": run.steps, "guidance_scale": run.guidance_scale}
        metadata[name] = json.dumps(entry)
    return Golden(tensors, metadata)
