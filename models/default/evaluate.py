"""Figures of a packed checkpoint: codec, what the text encoder reads, sharpness, the profile over the steps,
and what fewer steps cost. One JSON document on standard output.

    python -m models.default.evaluate --checkpoint DIR --data DIR --prompts 8
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .captions import canonical, scene
from .dataset import Atlas, render
from .sample import Pipeline, Sampler
from .train_text import field_accuracy, order_accuracy
from .train_vae import psnr_report


@torch.no_grad()
def codec(pipe: Pipeline, atlas: Atlas, clips: int) -> dict[str, float]:
    """PSNR over fresh held-out clips (seeds that no bank uses)."""
    shape = {"size": pipe.config["size"], "frames": pipe.config["frames"]}
    x, y, cover = [], [], []
    for seed in range(10_000, 10_000 + clips):
        c = render(seed, atlas, "held", **shape)
        with pipe.autocast():
            copy = pipe.model.vae.decoder(pipe.model.vae.encoder(c.frames[None].to(pipe.device).float() / 255))
        x.append(c.frames.float() / 255)
        y.append(copy[0].float().clamp(0, 1).cpu())
        cover.append(c.cover)
    return psnr_report(torch.stack(x), torch.stack(y), torch.stack(cover))


def gradient_energy(frames: Tensor) -> float:
    """Mean square of horizontal and vertical differences; frames [N, T, 3, H, W] u8."""
    f = frames.float() / 255
    across, down = (f[..., 1:] - f[..., :-1]), (f[..., 1:, :] - f[..., :-1, :])
    return (across.pow(2).mean() + down.pow(2).mean()).item()


class Profile:
    """Relative L1 change of every block's output from step to step, in fp32."""

    def __init__(self) -> None:
        self.last: dict[int, Tensor] = {}
        self.rows: dict[int, list[float]] = {}

    def record(self, step: int, block: int, h: Tensor) -> None:
        h = h.float()
        if block in self.last:
            before = self.last[block]
            self.rows.setdefault(step, []).append(((h - before).abs().mean() / before.abs().mean()).item())
        self.last[block] = h

    def summary(self) -> dict[str, Any]:
        steps = [sum(r) / len(r) for r in self.rows.values()]
        edge = max(1, len(steps) // 5)
        middle = min(steps[edge:-edge])
        rows = list(self.rows.values())
        return {
            "per_step": [round(s, 4) for s in steps],
            "first": round(steps[0], 4),
            "middle": round(middle, 4),
            "last": round(steps[-1], 4),
            "u_shape": middle < 0.6 * min(steps[0], steps[-1]),
            "first_per_block": [round(v, 4) for v in rows[0]],
            "last_per_block": [round(v, 4) for v in rows[-1]],
        }


def psnr(a: Tensor, b: Tensor) -> float:
    """Mean over clips, u8 frames."""
    error = ((a.float() - b.float()) / 255).pow(2).mean((1, 2, 3, 4)).clamp(min=1e-8)
    return round((-10 * torch.log10(error)).mean().item(), 2)


def sampling(
    pipe: Pipeline, prompts: Sequence[str], sampler: Sampler, fewer: Sequence[int], converged: int
) -> dict[str, Any]:
    profile = Profile()
    reference = pipe.decode(pipe.latents(prompts, replace(sampler, steps=converged)))
    out: dict[str, Any] = {"converged": converged, "euler": {}}
    for n in fewer:
        record = profile.record if n == sampler.steps else None
        out["euler"][n] = psnr(pipe.decode(pipe.latents(prompts, replace(sampler, steps=n), record)), reference)
    out["profile"] = profile.summary() if profile.rows else None
    out["gradient_energy"] = gradient_energy(reference)
    return out


def evaluate(pipe: Pipeline, atlas: Atlas, a: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random("evaluation")
    scenes = [scene(rng, split) for split in ("train", "held") for _ in range(a.prompts // 2)]
    shape = {"size": pipe.config["size"], "frames": pipe.config["frames"]}
    rendered = torch.stack([render(k, atlas, fixed=s, **shape).frames for k, s in enumerate(scenes)])
    sampler = Sampler(a.steps, a.shift, a.guidance)
    steps = sorted({int(n) for n in a.fewer.split(",")} | {a.steps})
    samples = sampling(pipe, [canonical(s) for s in scenes], sampler, steps, a.converged)
    samples["gradient_energy_ratio"] = round(samples.pop("gradient_energy") / gradient_energy(rendered), 3)
    text, tok = pipe.model.text, pipe.tokenizer
    return {
        "codec": codec(pipe, atlas, a.clips),
        "text": {
            "order_only": order_accuracy(text, tok),
            "trained_phrases": field_accuracy(text, tok),
            "held_phrases": field_accuracy(text, tok, held=True),
        },
        "sampling": samples,
    }


def main() -> None:
    p = argparse.ArgumentParser(description="Figures of a packed checkpoint, as JSON.")
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--data", type=Path, required=True, help="directory with atlas.npz")
    p.add_argument("--prompts", type=int, default=8)
    p.add_argument("--clips", type=int, default=32, help="held-out clips for the codec")
    p.add_argument("--steps", type=int, default=30)
    p.add_argument("--shift", type=float, default=5.0)
    p.add_argument("--guidance", type=float, default=5.0)
    p.add_argument("--fewer", default="8,12,16,25,50")
    p.add_argument("--converged", type=int, default=300)
    p.add_argument("--device", default="cpu")
    a = p.parse_args()
    pipe = Pipeline(a.checkpoint, a.device)
    print(json.dumps(evaluate(pipe, Atlas(a.data / "atlas.npz", a.device), a), indent=1))


if __name__ == "__main__":
    main()
