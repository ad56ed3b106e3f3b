"""Causal convolutional video autoencoder: 16x16 in space, 4x in time, 48 channels (Wan2.2's geometry).

Frames are handled in groups of four; the first frame forms a group of its own (repeated four times).
A linear codec (PCA of 16x16x4 blocks) runs in parallel to the convolutions, which learn what it misses.

    encode: [B, 4n+1, 3, H, W] in [0, 1] -> [B, n+1, 48, H/16, W/16]
    decode: the inverse; decoder.step handles any number of latent frames with explicit caches
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 3 * 16 * 16 * 4  # pixels values of one latent position
PATCH = 48  # channels of a 4x4 pixel patch


@dataclass(frozen=True)
class VAEConfig:
    """The defaults are the prototype's, so that its checkpoint loads."""

    z: int = 48
    enc: tuple[int, ...] = (64, 128, 192, 256)  # widths at 1/4, 1/8, 1/8 grouped, 1/16
    dec: tuple[int, ...] = (256, 192, 128, 96)  # widths at 1/16, 1/8 grouped, 1/8, 1/4
    dec_blocks: tuple[int, ...] = (2, 2, 1, 1)
    latent_bound: float | None = None  # latents are bound * tanh(z / bound); None: unbounded

    @staticmethod
    def from_dict(values: dict[str, Any]) -> VAEConfig:
        return VAEConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_config(path: Path) -> VAEConfig:
    """From the vae.json of a training or of a packed autoencoder."""
    values = json.loads((path / "vae.json").read_text())
    return VAEConfig.from_dict({k: v for k, v in values.items() if k != "options"})


class ResBlock(nn.Module):
    """x + conv(relu(conv(relu(x))))   [N, C, h, w]"""

    def __init__(self, width: int):
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(F.relu(self.a(F.relu(x))))


class MemBlock(nn.Module):
    """ResBlock that also sees the previous frame."""

    def __init__(self, width: int):
        super().__init__()
        self.a = nn.Conv2d(2 * width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """x [B*T, C, h, w], last [B, C, h, w] -> y, new last"""
        v = x.unflatten(0, (last.shape[0], -1))
        prev = torch.cat([last.to(x.dtype).unsqueeze(1), v[:, :-1]], 1).flatten(0, 1)
        y = x + self.b(F.relu(self.a(F.relu(torch.cat([x, prev], 1)))))
        return y, v[:, -1]


class Encoder(nn.Module):
    def __init__(self, c: VAEConfig):
        super().__init__()
        a, b, d, e = c.enc
        self.bound = c.latent_bound
        self.lin = nn.Conv2d(BLOCK, c.z, 1)
        self.stem = nn.Conv2d(PATCH, a, 3, padding=1)
        self.down1, self.res1 = nn.Conv2d(4 * a, b, 1), ResBlock(b)
        self.group, self.res2 = nn.Conv2d(4 * b, d, 1), ResBlock(d)
        self.down2, self.res3 = nn.Conv2d(4 * d, e, 1), nn.Sequential(ResBlock(e), ResBlock(e))
        self.out = nn.Conv2d(e, c.z, 3, padding=1)

    def unbounded(self, x: Tensor) -> Tensor:
        """x [B, 4n+1, 3, H, W] in [0, 1] -> [B, n+1, z, H/16, W/16] before the bound"""
        x = torch.cat([x[:, :1].expand(-1, 3, -1, -1, -1), x], 1) * 2 - 1
        u = F.pixel_unshuffle(x.flatten(0, 1), 4)  # [B*T, 48, H/4, W/4]
        blocks = F.pixel_unshuffle(u, 4).unflatten(0, (-1, 4)).flatten(1, 2)  # [B*T/4, 3072, H/16, W/16]
        h = F.pixel_unshuffle(F.relu(self.stem(u)), 2)
        h = self.res1(self.down1(h)).unflatten(0, (-1, 4)).flatten(1, 2)
        h = self.res2(self.group(F.relu(h)))
        h = self.res3(self.down2(F.pixel_unshuffle(h, 2)))
        z = self.lin(blocks) + self.out(F.relu(h))
        return z.unflatten(0, (x.shape[0], -1))

    def limit(self, z: Tensor) -> Tensor:
        """Without normalisation layers a rare clip can reach latents of magnitude 20 and more, and one such
        clip costs the transformer a hundred steps; the bound makes that impossible."""
        return z if self.bound is None else self.bound * torch.tanh(z / self.bound)

    def forward(self, x: Tensor) -> Tensor:
        return self.limit(self.unbounded(x))


class Decoder(nn.Module):
    def __init__(self, c: VAEConfig):
        super().__init__()
        a, b, d, e = c.dec
        n = c.dec_blocks
        self.widths, self.counts = c.dec, n
        self.lin = nn.Conv2d(c.z, BLOCK, 1)
        self.stem = nn.Conv2d(c.z, a, 3, padding=1)
        self.mem1 = nn.ModuleList(MemBlock(a) for _ in range(n[0]))
        self.up1 = nn.Conv2d(a, 4 * b, 1)
        self.mem2 = nn.ModuleList(MemBlock(b) for _ in range(n[1]))
        self.grow = nn.Conv2d(b, 4 * d, 1)
        self.mem3 = nn.ModuleList(MemBlock(d) for _ in range(n[2]))
        self.up2 = nn.Conv2d(d, 4 * e, 1)
        self.seen = nn.Conv2d(PATCH, e, 3, padding=1)
        self.res4 = nn.ModuleList(ResBlock(e) for _ in range(n[3]))
        self.out = nn.Conv2d(e, PATCH, 3, padding=1)

    def caches(self, z: Tensor) -> tuple[Tensor, ...]:
        """Zero caches for latents z [B, T, z, h, w]: one [B, C, h', w'] per MemBlock."""
        batch, _, _, h, w = z.shape
        out = []
        for width, n, k in zip(self.widths, self.counts, (1, 2, 2), strict=False):
            out += [z.new_zeros(batch, width, h * k, w * k) for _ in range(n)]
        return tuple(out)

    def step(self, z: Tensor, caches: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """z [B, T, z, h, w], caches -> frames [B, 4T, 3, 16h, 16w] in about [0, 1], new caches.
        Of the very first latent frame of a clip only the last of the four frames is used."""
        batch = z.shape[0]
        z = z.flatten(0, 1)
        out, k = [], 0
        lin = F.pixel_shuffle(self.lin(z).unflatten(1, (4, -1)).flatten(0, 1), 4)  # [B*4T, 48, 4h, 4w]
        h = self.stem(z)
        for m in self.mem1:
            h, last = m(h, caches[k])
            out.append(last)
            k += 1
        h = F.pixel_shuffle(self.up1(F.relu(h)), 2)
        for m in self.mem2:
            h, last = m(h, caches[k])
            out.append(last)
            k += 1
        h = self.grow(F.relu(h)).unflatten(1, (4, -1)).flatten(0, 1)
        for m in self.mem3:
            h, last = m(h, caches[k])
            out.append(last)
            k += 1
        h = F.pixel_shuffle(self.up2(F.relu(h)), 2) + self.seen(lin)
        for m in self.res4:
            h = m(h)
        y = F.pixel_shuffle(lin + self.out(F.relu(h)), 4)
        return (y.unflatten(0, (batch, -1)) + 1) * 0.5, tuple(out)

    def forward(self, z: Tensor) -> Tensor:
        """[B, n+1, z, h, w] -> [B, 4n+1, 3, 16h, 16w]"""
        return self.step(z, self.caches(z))[0][:, 3:]


class VAE(nn.Module):
    def __init__(self, c: VAEConfig | None = None):
        super().__init__()
        self.cfg = c or VAEConfig()
        self.encoder, self.decoder = Encoder(self.cfg), Decoder(self.cfg)
        for m in self.modules():
            if isinstance(m, ResBlock | MemBlock):
                nn.init.zeros_(m.b.weight)
                nn.init.zeros_(m.b.bias)
        for m in (self.encoder.out, self.decoder.out):
            nn.init.zeros_(m.weight)
            nn.init.zeros_(m.bias)

    @torch.no_grad()
    def init_pca(self, clips: Tensor) -> None:
        """Set the linear codec from clips [N, 4n+1, 3, H, W] u8: whitened principal components."""
        x = clips.float() / 255
        x = torch.cat([x[:, :1].expand(-1, 3, -1, -1, -1), x], 1).flatten(0, 1) * 2 - 1
        v = F.pixel_unshuffle(F.pixel_unshuffle(x, 4), 4).unflatten(0, (-1, 4)).flatten(1, 2)
        v = v.permute(0, 2, 3, 1).reshape(-1, BLOCK)
        v = v[torch.randperm(len(v), generator=torch.Generator().manual_seed(0))[:30000]]
        mean, k = v.mean(0), self.cfg.z
        # Randomised, since only the first of 3072 components are wanted; a few passes make them exact enough.
        _, s, q = torch.svd_lowrank(v - mean, q=min(k + 16, len(v)), niter=6)
        w, q = (s[:k] / len(v) ** 0.5).clamp(min=1e-4), q[:, :k]
        self.encoder.lin.weight.copy_((q / w).T[..., None, None])
        self.encoder.lin.bias.copy_(-(mean @ q) / w)
        self.decoder.lin.weight.copy_((q * w)[..., None, None])
        self.decoder.lin.bias.copy_(mean)
