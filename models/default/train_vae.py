"""Trains the autoencoder on crops of the clip bank, at the end on whole clips.

Start: principal components of the data, or the weights of a packed checkpoint. The loss counts the sprite
many times, and its squared error besides: unweighted, it is mostly background and moving sprites stay smeared.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .evaluation.pixels import BLOCK, sharpness
from .latents import rounded_encoder
from .loop import Optimisers, Trainer
from .optim import Average, Muon, schedule
from .sheet import write_sheet
from .vae import VAE, VAEConfig


@dataclass(frozen=True)
class VAEOptions:
    """How to train; what of it a checkpoint must agree in is in VAEConfig."""

    batch: int = 16
    crop: int = 64
    frames: int = 9
    full: float = 0.15  # share of the budget on whole clips, at the end
    lr: float = 0.01  # of Muon; without normalisation layers 0.02 was on the edge
    adam: float = 1e-3
    noise: float = 0.06  # largest latent noise, in channel deviations
    sprite: float = 12.0  # extra loss weight under the sprite
    focus: float = 0.85  # share of the crops near a sprite
    flat: float = 0.55
    average: float = 0.998
    limit: float = 4.0  # latents beyond this are pulled back, before the bound
    decoder_only: bool = False  # keeps the latents: the encoder is frozen
    texture: float = 2.0  # weight of the texture loss
    seams: float = 0.15  # weight of the seam loss
    square: float = 4.0  # weight of the root mean square error under the sprite
    seed: int = 0


def draw_crops(bank: Bank, o: VAEOptions, step: int, whole: bool) -> tuple[Tensor, Tensor]:
    """-> u8 frames [n, T, 3, S, S], sprite cover [n, T, 1, S, S]"""
    rng = np.random.default_rng([o.seed, step])
    count, length, _, side, _ = bank.clips.shape
    n, size, frames = (max(1, o.batch // 8), side, length) if whole else (o.batch, min(o.crop, side), o.frames)
    x, cover = np.empty((n, frames, 3, size, size), np.uint8), np.empty((n, frames, 1, size, size), np.uint8)
    for k in range(n):
        i, t = rng.integers(count), rng.integers(0, length - frames + 1)
        corner = rng.integers(0, side - size + 1, 2)
        if rng.random() < o.focus:
            middle = bank.cover[i, t + frames // 2]
            ys, xs = np.nonzero(middle[::4, ::4] > 127)
            if len(ys):
                j = rng.integers(len(ys))
                corner = np.array([ys[j], xs[j]]) * 4 - size // 2 + rng.integers(-12, 13, 2)
        y0, x0 = np.clip(corner, 0, side - size)
        flip = slice(None, None, -1) if rng.random() < 0.5 else slice(None)
        x[k] = bank.clips[i, t : t + frames, :, y0 : y0 + size, x0 : x0 + size][..., flip]
        cover[k, :, 0] = bank.cover[i, t : t + frames, y0 : y0 + size, x0 : x0 + size][..., flip]
    return torch.from_numpy(x), torch.from_numpy(cover)


@dataclass(frozen=True)
class Bank:
    clips: np.ndarray  # [N, T, 3, S, S] u8
    cover: np.ndarray  # [N, T, S, S] u8

    @staticmethod
    def open(data: Path, split: str, limit: int | None = None) -> Bank:
        arrays = [np.load(data / f"{kind}_{split}.npy", mmap_mode="r")[:limit] for kind in ("clips", "cover")]
        return Bank(*arrays)


def reconstruction_loss(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """L1 + L1 of spatial gradients at two scales + L1 of the temporal difference; weight [B, T, 1, H, W]."""
    v = (y - x) * weight
    d = v.flatten(0, 1)
    gradients = torch.zeros((), device=x.device)
    for scale in (1, 2):
        e = d if scale == 1 else F.avg_pool2d(d, 2)
        gradients = gradients + (e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    return d.abs().mean() + 0.5 * gradients + 0.25 * (v[:, 1:] - v[:, :-1]).abs().mean()


def under(error: Tensor, cover: Tensor) -> tuple[Tensor, Tensor]:
    """error, cover [N, T, H, W] -> mean error under the sprite [N, T], and in which frames enough of it is seen to
    judge: more than 50 pixels."""
    size = cover.sum((2, 3))
    return (error * cover).sum((2, 3)) / size.clamp(min=1), size > 50


def sprite_error(y: Tensor, x: Tensor, cover: Tensor) -> Tensor:
    """Root mean square error under the sprite, mean over frames: L1 leaves few but large errors on a sprite's outline
    and features, which are what one sees. x, y [B, T, 3, H, W], cover [B, T, 1, H, W]"""
    error, seen = under((y - x).pow(2).mean(2), cover[:, :, 0])
    return ((error + 1e-6).sqrt() * seen).mean()


def roughness(frames: Tensor) -> list[Tensor]:
    """Root mean square of the differences between neighbouring columns, and rows, in windows of 8 pixels, at two
    scales. frames [N, 3, H, W]"""
    out = []
    for f in (frames, F.avg_pool2d(frames, 2)):
        for d in (f[..., 1:] - f[..., :-1], f[..., 1:, :] - f[..., :-1, :]):
            out.append((F.avg_pool2d(d.pow(2).mean(1, keepdim=True), 8, 4) + 1e-5).sqrt())
    return out


def texture_loss(y: Tensor, x: Tensor) -> Tensor:
    """Where latents leave detail open, the losses above want its mean, which is blur. This one wants as much detail
    as the clip has there, whatever it is. [B, T, 3, H, W]"""
    pairs = zip(roughness(y.flatten(0, 1)), roughness(x.flatten(0, 1)), strict=True)
    return torch.stack([(a - b).abs().mean() for a, b in pairs]).sum()


def seam_loss(y: Tensor, x: Tensor) -> Tensor:
    """L1 of the error's step from one latent position to the next: an error that ends there shows the grid.
    [B, T, 3, H, W]"""
    d = y - x
    columns = d[..., BLOCK::BLOCK] - d[..., BLOCK - 1 : -1 : BLOCK]
    rows = d[..., BLOCK::BLOCK, :] - d[..., BLOCK - 1 : -1 : BLOCK, :]
    return columns.abs().mean() + rows.abs().mean()


def decibels(mse: Tensor) -> Tensor:
    return -10 * torch.log10(mse.clamp(min=1e-8))


def build_optimisers(m: VAE, o: VAEOptions) -> Optimisers:
    if o.decoder_only:
        m.encoder.requires_grad_(False)
    ends = (m.encoder.lin, m.encoder.stem, m.encoder.out, m.decoder.lin, m.decoder.out)
    at_ends = {id(p) for layer in ends for p in layer.parameters()}
    linear = [p for layer in (m.encoder.lin, m.decoder.lin) for p in layer.parameters()]
    big = [p for p in m.parameters() if p.ndim == 4 and id(p) not in at_ends]
    taken = {id(p) for p in big + linear}
    rest = [p for p in m.parameters() if id(p) not in taken]
    # The linear codec is a strong start; it moves slowly.
    groups = [{"params": rest, "lr": o.adam}, {"params": linear, "lr": o.adam / 10}]
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)
    return Optimisers(adam, rest + linear, Muon(big), o.lr, Average(m, o.average))


class VAETrainer(Trainer):
    """Reads the clip bank in DATA, leaves vae.json, vae.safetensors and reconstructions.png in OUT."""

    def __init__(self, data: Path, out: Path, options: VAEOptions, config: VAEConfig, device: str = "cpu"):
        self.o, self.out = options, out
        self.open(data)
        torch.manual_seed(options.seed)
        model = VAE(config)
        model.to(device).to(memory_format=torch.channels_last)
        super().__init__(model, device, build_optimisers(model, options))

    def open(self, data: Path) -> None:
        self.bank, self.held = Bank.open(data, "train"), Bank.open(data, "held", 24)

    def start(self, init: dict[str, Tensor] | None) -> None:
        """From weights, or from the principal components of the clips."""
        if init is None:
            self.model.init_pca(torch.from_numpy(np.array(self.bank.clips[:250])))
        else:
            self.model.load_state_dict(init)
        self.restart_average()

    def config(self) -> dict[str, Any]:
        return self.model.cfg.to_dict()

    def factor(self, step: int, fraction: float) -> float:
        return schedule(fraction, step, 50, self.o.flat)

    def batch(self, step: int, whole: bool) -> tuple[Tensor, Tensor]:
        """-> frames [n, T, 3, S, S] f32 in [0, 1], sprite cover [n, T, 1, S, S] f32 in [0, 1]"""
        x, cover = draw_crops(self.bank, self.o, step, whole)
        return x.to(self.device).float() / 255, cover.to(self.device).float() / 255

    def loss(self, step: int, fraction: float) -> Tensor:
        x, cover = self.batch(step, whole=fraction >= 1 - self.o.full)
        # One pixel wider than the sprite: the edge is where smearing shows.
        near = F.max_pool2d(cover.flatten(0, 1), 3, 1, 1).unflatten(0, cover.shape[:2])
        weight = 1 + self.o.sprite * near
        g = torch.Generator(self.device).manual_seed(self.o.seed * 1_000_003 + step)
        with self.autocast():
            raw = self.model.encoder.unbounded(x)
            z = self.model.encoder.limit(raw.float())
            noise = torch.randn(z.shape, generator=g, device=self.device)
            amount = self.o.noise * torch.rand(len(z), 1, 1, 1, 1, generator=g, device=self.device)
            y = self.model.decoder(z + amount * z.detach().std((0, 1, 3, 4), keepdim=True) * noise)
        loss = reconstruction_loss(y.float(), x, weight / weight.mean())
        self.last = {"samples": len(x), "z_max": raw.detach().abs().max()}
        square, texture, seams = sprite_error(y.float(), x, cover), texture_loss(y.float(), x), seam_loss(y.float(), x)
        loss = loss + self.o.square * square + self.o.texture * texture + self.o.seams * seams
        self.last |= {"square": square.detach(), "texture": texture.detach(), "seams": seams.detach()}
        axes = (0, 1, 3, 4)
        scale = z.mean(axes).pow(2).mean() + (z.std(axes) - 1).pow(2).mean()
        far = (raw.float().abs() - self.o.limit).clamp(min=0).pow(2).mean()
        (loss + 1e-3 * scale + 1e-2 * far).backward()
        return loss.detach()

    def load(self, state: dict[str, Any]) -> None:
        super().load(state)
        if self.o.decoder_only:
            # The latents in use came from the averaged encoder, rounded: that is the one to keep, to the last bit.
            averaged = {k: v for k, v in rounded_encoder(self.averages().weights).items() if k.startswith("encoder.")}
            self.model.load_state_dict({**self.model.state_dict(), **averaged})

    @torch.no_grad()
    def reconstruct(self, clips: np.ndarray) -> Tensor:
        """Clips [N, T, 3, H, W] u8 -> the same through the codec, averaged weights, f32 in [0, 1]."""
        out = []
        with self.averages().applied(self.model):
            for c in clips:
                x = torch.from_numpy(np.array(c[None])).to(self.device).float() / 255
                with self.autocast():
                    y = self.model.decoder(self.model.encoder(x))
                out.append(y.float().clamp(0, 1).cpu())
        return torch.cat(out)

    def evaluate(self) -> dict[str, Any]:
        y = self.reconstruct(self.held.clips)
        x = torch.from_numpy(np.array(self.held.clips)).float() / 255
        self.write(y)
        figures = psnr_report(x, y, torch.from_numpy(np.array(self.held.cover)))
        return figures | sharpness(y * 255, torch.from_numpy(np.array(self.held.clips)))

    def write(self, y: Tensor) -> None:
        """The averaged weights for the next stage, and a sheet of originals beside reconstructions."""
        from .checkpoint import write_vae  # here alone: a machine that only trains has no safetensors

        write_vae(self.out, self.averages().weights, {**self.config(), "options": asdict(self.o)})
        pairs = reconstruction_pairs(self.held.clips, y)
        last = pairs[0].shape[0] - 1
        write_sheet(pairs, self.out / "reconstructions.png", [0, last // 2, last])


def reconstruction_pairs(clips: np.ndarray, y: Tensor, n: int = 12) -> list[Tensor]:
    """Clips [N, T, 3, H, W] u8 beside their copies y in [0, 1], the first n: [T, 3, H, 2 W] u8 each."""
    copies = (y[:n] * 255).round().to(torch.uint8)
    return [torch.cat([torch.from_numpy(np.array(a)), b], 3) for a, b in zip(clips[:n], copies, strict=True)]


def psnr_report(x: Tensor, y: Tensor, cover: Tensor) -> dict[str, float]:
    """Mean over frames of PSNR: everywhere, in the first frame, under the sprite (its opacity above a half),
    elsewhere. x, y [N, T, 3, H, W] in [0, 1]; cover [N, T, H, W] u8."""
    error, mask = (y - x).pow(2).mean(2), cover > 127
    inside, seen = under(error, mask)
    sprite = decibels(inside)[seen].mean()
    elsewhere = decibels((error * ~mask).sum((2, 3)) / (~mask).sum((2, 3)))
    every = decibels(error.mean((2, 3)))
    figures = {"psnr": every, "first": every[:, 0], "sprite": sprite, "elsewhere": elsewhere}
    return {k: round(v.mean().item(), 3) for k, v in figures.items()}
