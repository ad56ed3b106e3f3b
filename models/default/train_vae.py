"""Trains the autoencoder on crops of the clip bank, at the end on whole clips.

Start: principal components of the data, or the weights of a packed checkpoint. The loss counts the sprite
several times: unweighted, it is mostly background and moving sprites stay smeared.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from .checkpoint import write_json
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
    sprite: float = 4.0  # extra loss weight under the sprite
    focus: float = 0.75  # share of the crops near a sprite
    flat: float = 0.55
    average: float = 0.998
    limit: float = 4.0  # latents beyond this are pulled back, before the bound
    decoder_only: bool = False  # keeps the latents: the encoder is frozen
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


def decibels(mse: Tensor) -> Tensor:
    return -10 * torch.log10(mse.clamp(min=1e-8))


class VAETrainer:
    def __init__(self, data: Path, out: Path, options: VAEOptions, config: VAEConfig, device: str = "cpu"):
        self.o, self.device, self.out = options, device, out
        self.bank, self.held = Bank.open(data, "train"), Bank.open(data, "held", 24)
        torch.manual_seed(options.seed)
        self.model = VAE(config)
        self.model.to(device).to(memory_format=torch.channels_last)
        self._build_optimisers()
        self.last: dict[str, Any] = {"samples": 0}

    def start(self, init: Path | None) -> None:
        if init is None:
            self.model.init_pca(torch.from_numpy(np.array(self.bank.clips[:250])))
        else:
            self.model.load_state_dict({k: v.float() for k, v in load_file(init / "vae.safetensors").items()})
        self.average = Average(self.model, self.o.average)

    def _build_optimisers(self) -> None:
        m, o = self.model, self.o
        if o.decoder_only:
            m.encoder.requires_grad_(False)
        ends = (m.encoder.lin, m.encoder.stem, m.encoder.out, m.decoder.lin, m.decoder.out)
        at_ends = {id(p) for layer in ends for p in layer.parameters()}
        linear = [p for layer in (m.encoder.lin, m.decoder.lin) for p in layer.parameters()]
        big = [p for p in m.parameters() if p.ndim == 4 and id(p) not in at_ends]
        taken = {id(p) for p in big + linear}
        rest = [p for p in m.parameters() if id(p) not in taken]
        self.muon = Muon(big)
        # The linear codec is a strong start; it moves slowly.
        groups = [{"params": rest, "base": o.adam}, {"params": linear, "base": o.adam / 10}]
        self.adam = torch.optim.AdamW(groups, lr=o.adam, betas=(0.9, 0.98), weight_decay=0.0)
        self.clipped = rest + linear
        self.average = Average(m, o.average)

    def config(self) -> dict[str, Any]:
        return self.model.cfg.to_dict()

    def autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.split(":")[0], dtype=torch.bfloat16)

    def loss(self, step: int, fraction: float) -> Tensor:
        x, cover = draw_crops(self.bank, self.o, step, whole=fraction >= 1 - self.o.full)
        x = x.to(self.device).float() / 255
        # One pixel wider than the sprite: the edge is where smearing shows.
        near = F.max_pool2d(cover.to(self.device).float().flatten(0, 1) / 255, 3, 1, 1).unflatten(0, cover.shape[:2])
        weight = 1 + self.o.sprite * near
        g = torch.Generator().manual_seed(self.o.seed * 1_000_003 + step)
        with self.autocast():
            raw = self.model.encoder.unbounded(x)
            z = self.model.encoder.limit(raw.float())
            noise = torch.randn(z.shape, generator=g).to(self.device)
            amount = self.o.noise * torch.rand(len(z), 1, 1, 1, 1, generator=g).to(self.device)
            y = self.model.decoder(z + amount * z.detach().std((0, 1, 3, 4), keepdim=True) * noise)
        loss = reconstruction_loss(y.float(), x, weight / weight.mean())
        axes = (0, 1, 3, 4)
        scale = z.mean(axes).pow(2).mean() + (z.std(axes) - 1).pow(2).mean()
        far = (raw.float().abs() - self.o.limit).clamp(min=0).pow(2).mean()
        (loss + 1e-3 * scale + 1e-2 * far).backward()
        self.last = {"samples": len(x), "z_max": raw.detach().abs().max().item()}
        return loss.detach()

    def update(self, step: int, fraction: float) -> None:
        torch.nn.utils.clip_grad_norm_(self.clipped, 1.0)
        factor = schedule(fraction, step, 50, self.o.flat)
        self.muon.step(self.o.lr * factor)
        for g in self.adam.param_groups:
            g["lr"] = g["base"] * factor
        self.adam.step()
        self.discard()
        self.average.update(self.model)
        self.last["lr"] = factor

    def discard(self) -> None:
        for p in self.model.parameters():
            p.grad = None

    def state(self) -> dict[str, Any]:
        parts = {"model": self.model, "muon": self.muon, "adam": self.adam, "average": self.average}
        return {k: v.state_dict() for k, v in parts.items()}

    def load(self, state: dict[str, Any]) -> None:
        for k, v in (("model", self.model), ("muon", self.muon), ("adam", self.adam), ("average", self.average)):
            v.load_state_dict(state[k])
        if self.o.decoder_only:
            # The latents in use came from the averaged encoder: that is the one to keep, to the last bit.
            averaged = {k: v for k, v in self.average.weights.items() if k.startswith("encoder.")}
            self.model.load_state_dict({**self.model.state_dict(), **averaged})

    def describe(self) -> dict[str, Any]:
        return self.last

    @torch.no_grad()
    def reconstruct(self, clips: np.ndarray) -> Tensor:
        """Clips [N, T, 3, H, W] u8 -> the same through the codec, averaged weights, f32 in [0, 1]."""
        out = []
        with self.average.applied(self.model):
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
        return psnr_report(x, y, torch.from_numpy(np.array(self.held.cover)))

    def write(self, y: Tensor) -> None:
        """The averaged weights for the next stage, and a sheet of originals beside reconstructions."""
        weights = {k: v.contiguous().cpu() for k, v in self.average.weights.items()}
        save_file(weights, str(self.out / "vae.safetensors.part"))
        (self.out / "vae.safetensors.part").replace(self.out / "vae.safetensors")
        write_json(self.out / "vae.json", {**self.config(), "options": asdict(self.o)})
        pairs = []
        for clip, copy in zip(self.held.clips[:12], y, strict=False):
            copy = (copy * 255).round().to(torch.uint8)
            pairs.append(torch.cat([torch.from_numpy(np.array(clip)), copy], 3))
        last = pairs[0].shape[0] - 1
        write_sheet(pairs, self.out / "reconstructions.png", [0, last // 2, last])


def psnr_report(x: Tensor, y: Tensor, cover: Tensor) -> dict[str, float]:
    """Mean over frames of PSNR: everywhere, in the first frame, under the sprite (its opacity above a half),
    elsewhere. x, y [N, T, 3, H, W] in [0, 1]; cover [N, T, H, W] u8."""
    error, mask = (y - x).pow(2).mean(2), cover > 127
    size = mask.sum((2, 3))
    seen = size > 50
    sprite = decibels((error * mask).sum((2, 3)) / size.clamp(min=1))[seen].mean()
    elsewhere = decibels((error * ~mask).sum((2, 3)) / (~mask).sum((2, 3)))
    every = decibels(error.mean((2, 3)))
    figures = {"psnr": every, "first": every[:, 0], "sprite": sprite, "elsewhere": elsewhere}
    return {k: round(v.mean().item(), 3) for k, v in figures.items()}


def read_config(path: Path) -> VAEConfig:
    values = json.loads((path / "vae.json").read_text())
    return VAEConfig.from_dict({k: v for k, v in values.items() if k != "options"})
