"""What every part of the evaluation is given: the model under test, the renderer, sizes, where the data is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..captions import Scene
from ..dataset import Atlas, Clip, render
from ..sample import Pipeline, Sampler

CODEC_SEEDS = 10_000  # seeds from here on belong to no bank of clips
TWIN_SEEDS = 40_000_000


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The defaults are for a finished model, QUICK shows that everything runs."""

    prompts: int = 60  # per arm
    batch: int = 8  # prompts that are sampled together
    codec_clips: int = 32
    solver_prompts: int = 4
    fewer: tuple[int, ...] = (8, 12, 16, 25, 50)
    converged: int = 300


QUICK = Sizes(prompts=2, batch=2, codec_clips=1, solver_prompts=1, fewer=(2, 4), converged=6)


@dataclass(frozen=True)
class Context:
    pipe: Pipeline
    atlas: Atlas
    sampler: Sampler
    sizes: Sizes
    data: Path  # with latents.pt

    def render(self, seed: int, split: str, fixed: Scene | None = None) -> Clip:
        return render(seed, self.atlas, split, fixed, self.pipe.config["size"], self.pipe.config["frames"])

    def twins(self, scenes: list[Scene]) -> list[Clip]:
        """A rendered clip of each scene, of a seed that no bank uses."""
        return [self.render(TWIN_SEEDS + k, "any", s) for k, s in enumerate(scenes)]

    @torch.no_grad()
    def round_trip(self, frames: Tensor) -> Tensor:
        """[T, 3, H, W] u8 -> the same through the autoencoder, u8"""
        vae = self.pipe.model.vae
        with self.pipe.autocast():
            y = vae.decoder(vae.encoder(frames[None].to(self.pipe.device).float() / 255))[0]
        return (y.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()

    def say(self, text: str) -> None:
        print(f"[evaluate] {text}", file=sys.stderr, flush=True)
