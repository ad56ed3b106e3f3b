"""Figures of frames alone. All take clips [N, T, 3, H, W] u8."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 16  # pixels of one latent position


def psnr(a: Tensor, b: Tensor) -> float:
    """Over whole clips, mean over clips, in dB; 80 for equal ones."""
    error = ((a.float() - b.float()) / 255).pow(2).mean((1, 2, 3, 4)).clamp(min=1e-8)
    return round((-10 * torch.log10(error)).mean().item(), 2)


def steps(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Mean square of the difference between neighbouring columns [W-1] and rows [H-1]."""
    columns, rows = [], []
    for clip in frames:
        f = clip.float() / 255
        columns.append((f[..., 1:] - f[..., :-1]).pow(2).mean((0, 1, 2)))
        rows.append((f[..., 1:, :] - f[..., :-1, :]).pow(2).mean((0, 1, 3)))
    return torch.stack(columns).mean(0), torch.stack(rows).mean(0)


def gradient_energy(frames: Tensor) -> float:
    """Mean square of horizontal and vertical differences: what blur takes away and noise adds."""
    across, down = steps(frames)
    return (across.mean() + down.mean()).item()


def blocking(frames: Tensor) -> float:
    """Gradient energy across the borders of the 16-pixel blocks over that elsewhere: 1 where nothing shows the
    grid of the latents."""
    inside, border = [], []
    for energy in steps(frames):
        at = torch.arange(len(energy)) % BLOCK == BLOCK - 1
        border.append(energy[at])
        inside.append(energy[~at])
    return (torch.cat(border).mean() / torch.cat(inside).mean()).item()


def sharpness(frames: Tensor, reference: Tensor) -> dict[str, float]:
    """Against rendered clips: 1 is as sharp, and as free of blocks, as those."""
    return {
        "gradient_energy_ratio": round(gradient_energy(frames) / gradient_energy(reference), 3),
        "blocking_ratio": round(blocking(frames) / blocking(reference), 3),
    }
