"""Rain and snowfall over a clip.

Drops are a fixed tile that moves a whole number of latent positions per latent frame (4 frames): rain falls
one tile, snow 16 pixels. Random drops would be the most expensive thing in the clip for the 4x temporal
code and would teach nothing about weather.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 64  # pixels at a height of 128
SPEED = {"rain": 16, "snowfall": 4}  # pixels per frame
GREY = {"rain": (0.80, 0.30, 0.50), "snowfall": (0.90, 0.15, 0.80)}  # what is left, how much grey, which grey


@functools.cache
def tile(weather: str) -> Tensor:
    """Opacity of one periodic tile, [TILE, TILE] f32."""
    g = torch.Generator().manual_seed(11)
    n = 5 if weather == "rain" else 6
    cells = torch.randperm(16, generator=g)[:n]  # one drop per cell of a 4x4 raster, so that none overlap
    cx = (cells % 4 + 0.2 + 0.6 * torch.rand(n, generator=g)) * TILE / 4
    cy = (cells // 4 + 0.2 + 0.6 * torch.rand(n, generator=g)) * TILE / 4
    radius = 2.0 + 1.0 * torch.rand(n, generator=g)
    y, x = (torch.arange(TILE) + 0.5)[:, None], (torch.arange(TILE) + 0.5)[None]
    out = torch.zeros(TILE, TILE)
    for i in range(n):
        dx, dy = ((d + TILE / 2) % TILE - TILE / 2 for d in (x - cx[i], y - cy[i]))
        if weather == "rain":
            drop = torch.sigmoid((1.0 - (dx + 0.22 * dy).abs()) * 2.5) * torch.sigmoid(7 - dy.abs()) * 0.55
        else:
            drop = torch.sigmoid((radius[i] - (dx**2 + dy**2).sqrt()) * 2.0) * 0.9
        out = torch.maximum(out, drop)
    return out


def apply(frames: Tensor, weather: str, brightness: float) -> Tensor:
    """frames [T, 3, S, S] in [0, 1] -> the same in this weather; brightness of the drops."""
    if weather == "clear":
        return frames
    keep, amount, grey = GREY[weather]
    luma = frames.mean(1, keepdim=True)
    frames = (frames * (1 - amount) + (luma * 0.5 + grey * 0.5 * brightness) * amount) * keep
    frames = frames + (1 - keep) * 0.5 * brightness
    size, t = frames.shape[-1], frames.shape[0]
    mask = tile(weather).to(frames.device)
    if size != 128:
        mask = F.interpolate(mask[None, None], scale_factor=size / 128, mode="area")[0, 0]
    n = -(-size // mask.shape[0])
    mask = mask.repeat(n, n)[:size, :size] if n > 1 else mask[:size, :size]
    shift = [round(SPEED[weather] * i * size / 128) for i in range(t)]
    opacity = torch.stack([mask.roll(k, 0) for k in shift])[:, None]
    drop = 0.55 + 0.45 * brightness
    return frames * (1 - opacity) + drop * opacity
