"""What the classifier learns from: clips of seeds that no other bank uses, at half size, and for the first of
them their round trips through the autoencoder. More of them show two subjects than the model's own clips do,
since such clips are the hard ones; all combinations occur, held-out ones too.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import captions
from .captions import Scene
from .checkpoint import load_vae
from .classifier import POOL
from .dataset import Atlas, render
from .vae import VAE

FIRST_SEED = {"train": 20_000_000, "held": 30_000_000}
PAIRS = 0.35  # share of clips with a second subject
NOISE = 0.25  # largest latent noise of a training clip's round trip, in channel deviations


@dataclass(frozen=True)
class ClassifierBank:
    rendered: np.ndarray  # [N, T, 3, S/2, S/2] u8
    copies: np.ndarray  # the same of the first clips through the autoencoder
    scenes: list[Scene]

    @staticmethod
    def open(path: Path, part: str) -> ClassifierBank:
        arrays = [np.load(path / f"{kind}_{part}.npy", mmap_mode="r") for kind in ("rendered", "copies")]
        return ClassifierBank(arrays[0], arrays[1], json.loads((path / f"{part}.json").read_text())["scenes"])


@dataclass(frozen=True)
class Request:
    part: str  # 'train' or 'held'
    clips: int
    copies: int  # how many of them go through the autoencoder as well
    shape: tuple[int, int]  # frames, size
    device: str = "cpu"

    def key(self, vae: str) -> dict[str, object]:
        """What a finished bank must agree in to be used again."""
        return {"clips": self.clips, "copies": self.copies, "shape": list(self.shape), "vae": vae}


def draw_scene(seed: int) -> Scene:
    rng = random.Random(f"classifier-{seed}")
    wanted = rng.random() < PAIRS
    while True:
        s = captions.scene(rng, "any")
        if (s["second"] is not None) == wanted:
            return s


def clips(atlas: Atlas, r: Request) -> Iterator[Tensor]:
    """Frames [T, 3, S, S] u8 of the part's clips in order."""
    first, (frames, size) = FIRST_SEED[r.part], r.shape
    for seed in range(first, first + r.clips):
        yield render(seed, atlas, "any", draw_scene(seed), size, frames).frames


def pooled(frames: Tensor) -> np.ndarray:
    """[T, 3, S, S] in [0, 1] -> [T, 3, S/2, S/2] u8"""
    return (F.avg_pool2d(frames.clamp(0, 1), POOL) * 255).round().to(torch.uint8).numpy()


@torch.no_grad()
def round_trip(vae: VAE, frames: Tensor, noise: float, seed: int) -> Tensor:
    """frames [T, 3, S, S] f32 in [0, 1] -> the same through the autoencoder, with latent noise of this size in
    deviations of the clip's own channels."""
    device = next(vae.parameters()).device
    with torch.autocast(device.type, dtype=torch.bfloat16):
        z = vae.encoder(frames[None].to(device)).float()
        g = torch.Generator().manual_seed(seed)
        z = z + noise * z.std((0, 1, 3, 4), keepdim=True) * torch.randn(z.shape, generator=g).to(device)
        return vae.decoder(z)[0].float().cpu()


def build(out: Path, atlas: Path, vae: Path, r: Request) -> None:
    """Write OUT/rendered_PART.npy, copies_PART.npy and PART.json, last. A finished bank of the same request and
    autoencoder is left as it is."""
    done = out / f"{r.part}.json"
    key = r.key(hashlib.sha256((vae / "vae.safetensors").read_bytes()).hexdigest()[:16])
    if done.exists() and json.loads(done.read_text())["key"] == key:
        return
    done.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    model = load_vae(vae, r.device)
    frames, side = r.shape[0], r.shape[1] // POOL
    arrays = [
        np.lib.format.open_memmap(out / f"{kind}_{r.part}.npy", "w+", np.uint8, (n, frames, 3, side, side))
        for kind, n in (("rendered", r.clips), ("copies", r.copies))
    ]
    first = FIRST_SEED[r.part]
    for i, clip in enumerate(clips(Atlas(atlas, r.device), r)):
        clip = clip.float() / 255
        arrays[0][i] = pooled(clip)
        if i < r.copies:
            noise = NOISE * random.Random(first + i).random() if r.part == "train" else 0.0
            arrays[1][i] = pooled(round_trip(model, clip, noise, first + i))
    for a in arrays:
        a.flush()
    part = out / f"{r.part}.json.part"
    part.write_text(json.dumps({"key": key, "scenes": [draw_scene(first + i) for i in range(r.clips)]}))
    os.replace(part, done)
