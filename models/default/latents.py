"""The latent bank: what the frozen encoder makes of the clips, encoded once.

latents.pt holds z [N, T', C, h, w] bf16 of the seeds 0 … N-1, the sprite cover of each latent position
[N, T', h, w] u8, channel mean and deviation, what each channel weighs in the picture, the scenes, and the
hash of the encoder. The transformer is tied to that hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .captions import Scene
from .dataset import Clip, stream
from .state import save_state
from .vae import VAE

OUTLIER = 8.0  # a clip whose normalised latents have a larger mean square costs the transformer many steps


def encoder_digest(weights: Mapping[str, Tensor]) -> str:
    """Hash of the encoder among an autoencoder's weights: what the latents depend on. A better decoder leaves it
    as it is."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        if name.startswith("encoder."):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def rounded_encoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An autoencoder's weights with the encoder's matrices on the grid that is committed (restore.py): 8 bits times a
    power of two per output channel, other values in bf16. Rounding twice changes nothing, so latents made here and
    latents made from the committed file are the same."""
    out = dict(weights)
    for name, value in weights.items():
        if name.startswith("encoder."):
            out[name] = on_grid(value)[0] if value.ndim > 1 else value.bfloat16().float()
    return out


def on_grid(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """-> the rounded matrix f32, exponents of its grid i32 [rows]: matrix = integer of 8 bits * 2^exponent"""
    rows = matrix.float().flatten(1)
    exponent = torch.ceil(torch.log2(rows.abs().amax(1).clamp(min=1e-30) / 127)).int()
    grid = torch.ldexp(torch.ones_like(exponent, dtype=torch.float32), exponent)[:, None]
    return ((rows / grid).round() * grid + 0.0).view(matrix.shape), exponent  # the sum: no zero with a sign


def latent_cover(cover: Tensor) -> Tensor:
    """Sprite opacity [T, S, S] u8 -> [T', S/16, S/16] u8: how much of each latent position it touches."""
    c = F.avg_pool2d(cover[:, None].float(), 16)[:, 0]
    c = torch.cat([c[:1], c[1:].unflatten(0, (-1, 4)).amax(1)])
    return c.round().to(torch.uint8)


@torch.no_grad()
def encode(vae: VAE, clips: Iterator[Clip], batch: int = 8) -> tuple[Tensor, Tensor, list[Scene]]:
    device = next(vae.parameters()).device
    z, cover, scenes, pending = [], [], [], []

    def flush() -> None:
        x = torch.stack(pending).to(device).float() / 255
        with torch.autocast(device.type, dtype=torch.bfloat16):
            z.append(vae.encoder(x).to(torch.bfloat16).cpu())
        pending.clear()

    for clip in clips:
        pending.append(clip.frames)
        cover.append(latent_cover(clip.cover))
        scenes.append(clip.scene)
        if len(pending) == batch:
            flush()
    if pending:
        flush()
    return torch.cat(z), torch.stack(cover), scenes


@torch.no_grad()
def channel_weight(vae: VAE, z: Tensor, std: Tensor) -> Tensor:
    """Loss weight per channel, mean 1. Whitening made the channels alike in size, not in what they show:
    noise of one deviation changes the pixels a thousand times more in the first channel than in the last.
    The weight is the root of that sensitivity, clipped; measured over a few clips."""
    device = next(vae.parameters()).device
    z = z.float().to(device)
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(z.shape[0], z.shape[1], *z.shape[3:], generator=g).to(device)
    plain = vae.decoder(z)
    seen = []
    for c in range(z.shape[2]):
        moved = z.clone()
        moved[:, :, c] += noise * std[c]
        seen.append((vae.decoder(moved) - plain).pow(2).mean())
    s = torch.stack(seen).cpu()
    w = (s / s.mean()).sqrt().clamp(0.25, 6.0)
    return w / w.mean()


@dataclass(frozen=True)
class BankRequest:
    atlas: Path
    clips: int
    shape: tuple[int, int]  # frames, size
    workers: int


def build(out: Path, vae: VAE, request: BankRequest) -> dict[str, Any]:
    """Write OUT and return it."""
    seeds = range(request.clips)
    z, cover, scenes = encode(vae, stream(request.atlas, seeds, "train", request.shape, request.workers))
    mean, std = z[:2000].float().mean((0, 1, 3, 4)), z[:2000].float().std((0, 1, 3, 4))
    square = mean_square(z, mean, std)
    bank = {
        "z": z,
        "cover": cover,
        "mean": mean,
        "std": std,
        "weight": channel_weight(vae, z[:8], std),
        "scenes": scenes,
        "vae": encoder_digest(vae.state_dict()),
        "largest": square.max().item(),
        "outliers": int((square > OUTLIER).sum()),
    }
    save_state(out, bank)
    return bank


def mean_square(z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Mean square of the normalised latents of each clip, [N]."""
    parts = [((q.float() - mean[:, None, None]) / std[:, None, None]).pow(2).mean((1, 2, 3, 4)) for q in z.split(500)]
    return torch.cat(parts)


def open_bank(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True, mmap=True)
