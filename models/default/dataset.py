"""Procedural clips: emoji sprites over parallax landscapes with light, weather and camera motion.

A clip is a function of (seed, split): its scene, its jitter and its pixels. The scene description stays
beside the pixels, so that captions, tests and scores all read the same truth. Motion is moderate by design:
nothing moves much faster than 4 pixels per frame, which is what a 4x temporal code holds sharply.

    python -m models.default.dataset sheet --atlas atlas.npz --out sheet.png
"""

from __future__ import annotations

import argparse
import io
import json
import math
import multiprocessing
import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import weather
from .ahead import in_order
from .captions import ALL_SUBJECTS, SPRITES, Scene, canonical, scene
from .scenery import LEFT, RIGHT, TINT, colour, layers
from .subjects import MIRRORED, chosen

SIZE, FRAMES, FPS = 128, 17, 12
SPRITE = 96  # atlas pixels
BRIGHTNESS = {"day": 1.0, "sunset": 0.8, "night": 0.55, "fog": 0.9}


@dataclass(frozen=True)
class Clip:
    frames: Tensor  # [T, 3, S, S] u8
    cover: Tensor  # [T, S, S] u8, opacity of the sprites
    scene: Scene


def build_atlas(font: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Write the sprites, [N, 4, SPRITE, SPRITE] u8 premultiplied, square padded, in the order of SPRITES."""
    from fontTools.ttLib import TTFont
    from PIL import Image

    f = TTFont(font)
    cmap, strike = f.getBestCmap(), f["CBDT"].strikeData[0]
    sprites = []
    for name in SPRITES:
        data = strike[cmap[ALL_SUBJECTS[name][0]]].imageData
        image = Image.open(io.BytesIO(data[data.find(b"\x89PNG") :])).convert("RGBA")
        a = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)
        a = torch.cat([a[:3] * a[3:], a[3:]])
        a = a.flip(-1) if name in MIRRORED else a
        side = max(image.size)
        dy, dx = side - a.shape[1], side - a.shape[2]
        a = F.pad(a, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2))
        a = F.interpolate(a[None], (SPRITE - 4, SPRITE - 4), mode="bilinear", antialias=True)
        sprites.append((F.pad(a, (2, 2, 2, 2))[0] * 255).round().to(torch.uint8).numpy())
    part = f"{out}.part"
    with open(part, "wb") as file:
        np.savez_compressed(file, rgba=np.stack(sprites), names=SPRITES)
    os.replace(part, out)


class Atlas:
    """Sprites at three sizes: sampling a large sprite at a small size would flicker as it moves."""

    def __init__(self, path: str | os.PathLike[str], device: torch.device | str = "cpu"):
        data = np.load(path)
        if list(data["names"]) != SPRITES:
            raise ValueError(
                f"{path} holds other sprites than the subjects in use (BWCACHE_SUBJECTS={chosen()}); "
                "build it anew, or name its list"
            )
        rgba = torch.from_numpy(data["rgba"]).to(device).float() / 255
        self.levels = [rgba, F.avg_pool2d(rgba, 2), F.avg_pool2d(rgba, 4)]

    def sample(self, name: str, grid: Tensor, pixels: Tensor) -> Tensor:
        """grid [T, S, S, 2], pixels [T] (size on the screen) -> premultiplied RGBA [T, 4, S, S]"""
        index = SPRITES.index(name)
        level = torch.log2(SPRITE / pixels).clamp(0, len(self.levels) - 1)
        out = torch.zeros(grid.shape[0], 4, *grid.shape[1:3], device=grid.device)
        for k, sprites in enumerate(self.levels):
            weight = (1 - (level - k).abs()).clamp(min=0)
            if weight.any():
                texture = sprites[index].expand(grid.shape[0], -1, -1, -1)
                image = F.grid_sample(texture, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
                out += weight[:, None, None, None] * image
        return out


@dataclass
class Path2D:
    """Centre, size (screen units) and rotation of one sprite, each [T]."""

    x: Tensor
    y: Tensor
    size: Tensor
    turn: Tensor
    flip: float = 1.0


def trajectory(s: Scene, rng: random.Random, frames: int) -> Path2D:
    t, one, m = torch.linspace(0, 1, frames), torch.ones(frames), s["motion"]
    pair = s["second"] is not None
    x, y = rng.uniform(0.40, 0.60), rng.uniform(0.60, 0.67)
    size = rng.uniform(0.42, 0.50)
    if pair:
        x, size = (rng.uniform(0.25, 0.30) if s["relation"] == "left of" else rng.uniform(0.70, 0.75)), size * 0.78
    p = Path2D(one * x, one * y, one * size, 0 * one)
    if m in ("left to right", "right to left"):
        half = rng.uniform(0.18, 0.22)
        p.x = 0.5 + half * (2 * t - 1) * (1 if m == "left to right" else -1)
    elif m in ("rising", "falling"):
        reach, middle = rng.uniform(0.30, 0.36), rng.uniform(0.46, 0.54)
        p.y = middle + reach * (t - 0.5) * (-1 if m == "rising" else 1)
    elif m == "bouncing":
        p.y = 0.68 - rng.uniform(0.12, 0.15) * torch.sin(1.5 * math.pi * t).abs()
    elif m == "circling":
        angle = 2 * math.pi * (0.6 * t + rng.random())  # clockwise: with both ways, a model mixes them in one clip
        p.x, p.y = 0.5 + 0.14 * torch.cos(angle), 0.54 + 0.12 * torch.sin(angle)
    elif m == "spinning":
        p.turn = 0.6 * math.pi * t * rng.choice((1, -1))
    elif m in ("growing", "shrinking"):
        small, large = rng.uniform(0.24, 0.28), rng.uniform(0.54, 0.60)
        k = t if m == "growing" else 1 - t
        p.size = (small + (large - small) * k) * (0.75 if pair else 1.0)
    p.flip = -1.0 if m == "left to right" else 1.0
    if not pair and m not in ("left to right", "right to left") and rng.random() < 0.25:
        p.flip = -1.0
    return p


def companion(s: Scene, rng: random.Random, frames: int) -> Path2D:
    """The second subject stands still on the other side."""
    one = torch.ones(frames)
    x = rng.uniform(0.70, 0.75) if s["relation"] == "left of" else rng.uniform(0.25, 0.30)
    return Path2D(one * x, one * rng.uniform(0.60, 0.67), one * rng.uniform(0.33, 0.39), 0 * one)


class Camera:
    """Screen coordinates of every pixel of every frame, and views of the panorama layers."""

    def __init__(self, s: Scene, rng: random.Random, size: int, frames: int):
        t, move = torch.linspace(0, 1, frames), s["camera"]
        # "pan right" looks further to the right: the scenery slides to the left
        self.pan = {"pan left": -1, "pan right": 1}.get(str(move), 0) * rng.uniform(0.26, 0.32) * (t - 0.5)
        zoom = {"zoom in": 1 + 0.3 * t, "zoom out": 1.3 - 0.3 * t}.get(str(move), torch.ones(frames))
        self.zoom = zoom
        self.drift = 0.04 * t * rng.choice((1, -1))
        axis = (torch.arange(size) + 0.5) / size
        self.axis = (axis[None] - 0.5) / zoom[:, None] + 0.5  # [T, S], the same for x and y

    def view(self, texture: Tensor, parallax: float, extra: Tensor | float = 0.0) -> Tensor:
        """[C, HEIGHT, WIDTH] -> [T, C, S, S]"""
        shift = self.pan * parallax + extra
        u = (self.axis + shift[:, None] - LEFT) / (RIGHT - LEFT) * 2 - 1
        v = self.axis * 2 - 1
        frames, size = u.shape
        u, v = u[:, None].expand(frames, size, size), v[:, :, None].expand(frames, size, size)
        grid = torch.stack([u, v], -1).to(texture.device)
        texture = texture[None].expand(frames, -1, -1, -1)
        return F.grid_sample(texture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def over(image: Tensor, layer: Tensor) -> Tensor:
    """Premultiplied RGBA [T, 4, S, S] over RGB [T, 3, S, S]."""
    return image * (1 - layer[:, 3:]) + layer[:, :3]


class Stage:
    """Draws sprites with their shadows into the frames of one clip."""

    def __init__(self, s: Scene, camera: Camera, atlas: Atlas, horizon: float):
        self.s, self.atlas, self.horizon, self.camera = s, atlas, horizon, camera

    def draw(self, image: Tensor, name: str, p: Path2D) -> tuple[Tensor, Tensor]:
        """-> image, opacity [T, S, S]"""
        device, size = image.device, image.shape[-1]
        axis = self.camera.axis.to(device)
        x, y = axis[:, None, :], axis[:, :, None]
        cx, cy, scale, turn = (v.to(device)[:, None, None] for v in (p.x, p.y, p.size, p.turn))
        if self.s["background"] != "sea":
            foot = cy + 0.47 * scale
            ground = torch.maximum(foot, torch.full_like(foot, self.horizon + 0.20)).clamp(max=0.97)
            far = ((x - cx) / (scale * 0.40)) ** 2 + ((y - ground) / (scale * 0.09)) ** 2
            dark = torch.exp(-(far**1.5)) * (0.45 / (1 + 8 * (ground - foot).clamp(min=0)))
            image = image * (1 - dark[:, None])
        u, v = (x - cx) / (scale * 0.5), (y - cy) / (scale * 0.5)
        c, n = torch.cos(turn), torch.sin(turn)
        grid = torch.stack([(c * u + n * v) * p.flip, -n * u + c * v], -1)
        pixels = p.size.to(device) * self.camera.zoom.to(device) * size
        sprite = self.atlas.sample(name, grid, pixels)
        rgb = (sprite[:, :3] * colour(TINT[str(self.s["light"])]).to(device) ** 0.55).clamp(0, 1)
        if self.s["light"] == "fog":
            rgb = rgb * 0.85 + 0.12 * sprite[:, 3:]
        return over(image, torch.cat([rgb, sprite[:, 3:]], 1)), sprite[:, 3]


def render(
    seed: int, atlas: Atlas, split: str = "train", fixed: Scene | None = None, size: int = SIZE, frames: int = FRAMES
) -> Clip:
    """The clip of a seed. `fixed` replaces the scene that the seed draws, the jitter stays."""
    rng = random.Random(f"{seed}-{split}")
    s = scene(rng, split)
    if fixed:
        s = dict(fixed)
    g = torch.Generator().manual_seed(rng.getrandbits(40))
    device = atlas.levels[0].device
    back = layers(s, g, rng)
    path = trajectory(s, rng, frames)
    camera = Camera(s, rng, size, frames)
    image = camera.view(back.sky.to(device), 0.25, camera.drift * 0.5)
    image = over(image, camera.view(back.far.to(device), 0.5))
    water = s["background"] == "sea"
    image = over(image, camera.view(back.near.to(device), 1.0, camera.drift * 2 if water else 0.0))
    stage = Stage(s, camera, atlas, back.horizon)
    cover = torch.zeros(frames, size, size, device=device)
    if s["second"]:
        image, opacity = stage.draw(image, s["second"], companion(s, rng, frames))
        cover = torch.maximum(cover, opacity)
    image, opacity = stage.draw(image, str(s["subject"]), path)
    cover = torch.maximum(cover, opacity)
    image = weather.apply(image, str(s["weather"]), BRIGHTNESS[str(s["light"])])
    to_bytes = [(v.clamp(0, 1) * 255).round().to(torch.uint8).cpu() for v in (image, cover)]
    return Clip(to_bytes[0], to_bytes[1], s)


_worker_atlas: Atlas | None = None


def _start_worker(path: str) -> None:
    global _worker_atlas
    torch.set_num_threads(1)
    _worker_atlas = Atlas(path)


def _work(seed: int, split: str, size: int, frames: int) -> tuple[np.ndarray, np.ndarray, Scene]:
    assert _worker_atlas is not None
    c = render(seed, _worker_atlas, split, size=size, frames=frames)
    return c.frames.numpy(), c.cover.numpy(), c.scene


def stream(
    atlas: str | os.PathLike[str], seeds: range, split: str, shape: tuple[int, int], workers: int
) -> Iterator[Clip]:
    """Clips of these seeds in order, rendered by worker processes. shape: (frames, size)."""
    frames, size = shape
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (str(atlas),)) as pool:
        jobs = ((seed, split, size, frames) for seed in seeds)
        for f, c, s in in_order(pool, _work, jobs, 8 * workers):
            yield Clip(torch.from_numpy(f), torch.from_numpy(c), s)


def write_bank(atlas: Path, out: Path, n: int, split: str, shape: tuple[int, int], workers: int) -> None:
    """Render seeds 0 … n-1 to OUT/clips_SPLIT.npy [n, T, 3, S, S], cover_SPLIT.npy [n, T, S, S] and
    scenes_SPLIT.json. The JSON is written last: a bank without it is not finished."""
    frames, size = shape
    names = [out / f"{kind}_{split}.npy" for kind in ("clips", "cover")]
    shapes = [(n, frames, 3, size, size), (n, frames, size, size)]
    arrays = [np.lib.format.open_memmap(k, "w+", np.uint8, s) for k, s in zip(names, shapes, strict=True)]
    scenes = []
    for i, clip in enumerate(stream(atlas, range(n), split, shape, workers)):
        arrays[0][i], arrays[1][i] = clip.frames.numpy(), clip.cover.numpy()
        scenes.append(clip.scene)
    for a in arrays:
        a.flush()
    part = out / f"scenes_{split}.json.part"
    part.write_text(json.dumps(scenes))
    os.replace(part, out / f"scenes_{split}.json")


def main() -> None:
    p = argparse.ArgumentParser(description="Look at the data.")
    p.add_argument("what", choices=("atlas", "sheet"))
    p.add_argument("--font", help="NotoColorEmoji.ttf (atlas)")
    p.add_argument("--atlas", default="atlas.npz")
    p.add_argument("--out", required=True)
    p.add_argument("--split", default="train")
    p.add_argument("--start", type=int, default=0)
    p.add_argument("--clips", type=int, default=24)
    a = p.parse_args()
    if a.what == "atlas":
        build_atlas(a.font, a.out)
        return
    from .sheet import write_sheet

    atlas = Atlas(a.atlas)
    clips = [render(seed, atlas, a.split) for seed in range(a.start, a.start + a.clips)]
    for c in clips:
        print(canonical(c.scene))
    write_sheet([c.frames for c in clips], a.out)


if __name__ == "__main__":
    main()
