"""The autoencoder by itself: fidelity on fresh held-out clips, blocks, and outliers among its latents."""

from __future__ import annotations

from typing import Any

import torch

from .. import latents
from ..train_vae import psnr_report
from .context import CODEC_SEEDS, Context
from .pixels import sharpness


def codec(c: Context) -> dict[str, Any]:
    clips = [c.render(CODEC_SEEDS + k, "held") for k in range(c.sizes.codec_clips)]
    x, cover = torch.stack([k.frames for k in clips]), torch.stack([k.cover for k in clips])
    y = torch.stack([c.round_trip(f) for f in x])
    figures = psnr_report(x.float() / 255, y.float() / 255, cover)
    return {"clips": len(clips), **figures, **sharpness(y, x), "latents": outliers(c)}


def outliers(c: Context) -> dict[str, Any]:
    """Of the whole bank: a clip counts whose normalised latents have a mean square above latents.OUTLIER."""
    bank = latents.open_bank(c.data / "latents.pt")
    square = latents.mean_square(bank["z"], bank["mean"], bank["std"])
    return {
        "clips": len(square),
        "largest_mean_square": round(square.max().item(), 2),
        "outliers": int((square > latents.OUTLIER).sum()),
    }
