"""A sheet of samples, drawn with the modules in training."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch

from ..dit import from_tokens
from ..sheet import PROMPTS, write_sheet
from ..vae import VAE
from .settings import Settings
from .trainers import DeviceDiTTrainer

SHIFT, GUIDANCE = 5.0, 5.0


@torch.no_grad()
def draw_sheet(trainer: DeviceDiTTrainer, vae: VAE, s: Settings, path: Path) -> None:
    """With the averaged weights; Euler steps from the same noise every time."""
    model, n, device = trainer.model, len(PROMPTS), trainer.device
    fractions = [k / s.sampler_steps for k in range(s.sampler_steps, -1, -1)]
    times = [SHIFT * u / (1 + (SHIFT - 1) * u) for u in fractions]
    noise = torch.randn(n, len(trainer.full), trainer.cfg.channels, generator=torch.Generator().manual_seed(0))
    x = noise.to(device)
    ids = trainer.tokenizer([*PROMPTS, *[""] * n]).to(device)
    stance = torch.compiler.set_stance("force_eager")
    with trainer.averages().applied(model), stance, trainer.autocast():
        text = model.text(ids)
        for t, following in pairwise(times):
            v = model.dit(torch.cat([x, x]), torch.full((2 * n,), t, device=device), text, trainer.full)
            wanted, free = v.float().chunk(2)
            x = x + (following - t) * (free + GUIDANCE * (wanted - free))
        statistics = trainer.latents.statistics
        assert statistics is not None
        mean, std = (w[:, None, None] for w in (statistics.mean, statistics.std))
        y = vae.decoder(from_tokens(x, trainer.frames, trainer.height, trainer.width) * std + mean)
    write_sheet(list((y.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()), path)
