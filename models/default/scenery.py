"""The static panoramas of a clip: sky, far layer, near layer. dataset.py moves a camera over them.

All randomness comes from the clip's two generators (one of torch, one of the standard library), so that a
clip is a function of its seed. Colours are RGB in [0, 1]; layers are premultiplied RGBA.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .captions import Scene

LEFT, RIGHT = -0.5, 1.5  # horizontal extent of the panorama in screen widths
WIDTH, HEIGHT = 352, 176  # panorama pixels (2 x 1 screens)

# sky top, sky horizon, far layer, near layer at noon
PALETTE = {
    "hills": ((0.36, 0.62, 0.95), (0.72, 0.87, 0.98), (0.36, 0.58, 0.36), (0.42, 0.68, 0.26)),
    "mountains": ((0.40, 0.62, 0.92), (0.78, 0.88, 0.97), (0.48, 0.50, 0.60), (0.38, 0.52, 0.34)),
    "desert": ((0.42, 0.66, 0.93), (0.93, 0.87, 0.72), (0.82, 0.58, 0.36), (0.93, 0.76, 0.46)),
    "sea": ((0.40, 0.66, 0.95), (0.80, 0.91, 0.98), (0.30, 0.50, 0.62), (0.10, 0.38, 0.66)),
    "forest": ((0.48, 0.70, 0.90), (0.80, 0.90, 0.90), (0.13, 0.36, 0.22), (0.30, 0.42, 0.18)),
    "meadow": ((0.38, 0.66, 0.98), (0.80, 0.92, 0.99), (0.46, 0.70, 0.34), (0.50, 0.78, 0.24)),
    "snow": ((0.55, 0.70, 0.90), (0.86, 0.92, 0.98), (0.70, 0.78, 0.88), (0.95, 0.97, 1.0)),
    "city": ((0.45, 0.62, 0.85), (0.82, 0.86, 0.92), (0.42, 0.44, 0.52), (0.34, 0.34, 0.38)),
    "space": ((0.03, 0.02, 0.10), (0.12, 0.06, 0.25), (0.45, 0.35, 0.55), (0.52, 0.50, 0.52)),
    "underwater": ((0.10, 0.55, 0.75), (0.05, 0.35, 0.62), (0.08, 0.30, 0.46), (0.70, 0.66, 0.42)),
}
TINT = {"day": (1.0, 1.0, 1.0), "sunset": (1.10, 0.80, 0.62), "night": (0.38, 0.45, 0.72), "fog": (0.92, 0.94, 0.96)}
SUN = {  # radius, colour, glow
    "day": (0.055, (1.0, 0.95, 0.60), 0.25),
    "sunset": (0.075, (1.0, 0.70, 0.35), 0.40),
    "night": (0.05, (0.95, 0.95, 0.85), 0.15),
}
PLANETS = ((0.85, 0.55, 0.35), (0.45, 0.65, 0.9), (0.8, 0.75, 0.55))
FLOWERS = ((1.0, 0.95, 0.2), (1.0, 1.0, 1.0), (1.0, 0.45, 0.55), (0.75, 0.5, 1.0))


def colour(rgb: tuple[float, ...]) -> Tensor:
    return torch.tensor(rgb)[:, None, None]


class Layers(NamedTuple):
    sky: Tensor  # [3, HEIGHT, WIDTH]
    far: Tensor  # [4, HEIGHT, WIDTH] premultiplied
    near: Tensor
    horizon: float  # in screen heights


@dataclass
class Canvas:
    """What the painters of one clip share."""

    place: str
    light: str
    g: torch.Generator
    rng: random.Random
    horizon: float

    def __post_init__(self) -> None:
        self.y = ((torch.arange(HEIGHT) + 0.5) / HEIGHT)[:, None]
        self.x = (LEFT + (RIGHT - LEFT) * (torch.arange(WIDTH) + 0.5) / WIDTH)[None]

    @property
    def outdoors(self) -> bool:
        return self.place not in ("space", "underwater")

    def noise(self, cells: int, octaves: int = 3, stretch: float = 1.0, height: int = HEIGHT) -> Tensor:
        """Smooth noise [height, WIDTH] in about [0, 1]; cells: features per screen width at the first octave."""
        total, amplitude, weight = torch.zeros(height, WIDTH), 1.0, 0.0
        for octave in range(octaves):
            n = cells * 2**octave
            z = torch.rand(1, 1, max(2, int(n * stretch)) + 1, max(2, 2 * n) + 1, generator=self.g)
            z = F.interpolate(z, (height, WIDTH), mode="bicubic", align_corners=True)
            total, weight, amplitude = total + amplitude * z[0, 0], weight + amplitude, amplitude / 2
        return total / weight

    def ridge(self, cells: int, octaves: int) -> Tensor:
        """Height line [WIDTH] in about [0, 1]."""
        return self.noise(cells, octaves, stretch=0, height=2)[0]

    def below(self, line: Tensor) -> Tensor:
        """Soft mask [HEIGHT, WIDTH] of what lies below a height line."""
        return torch.sigmoid((self.y - line[None]) * HEIGHT * 1.2)


def layers(s: Scene, g: torch.Generator, rng: random.Random) -> Layers:
    c = Canvas(str(s["background"]), str(s["light"]), g, rng, 0.0)
    top, low, far_rgb, near_rgb = (
        colour(tuple(min(1.0, max(0.0, v + rng.uniform(-0.05, 0.05))) for v in rgb)) for rgb in PALETTE[c.place]
    )
    c.horizon = rng.uniform(0.52, 0.62)
    tint = colour(TINT[c.light])
    sky = _luminary(c, _sky(c, top, low))
    far, far_mask, windows = _far(c, far_rgb)
    near, near_mask = _near(c, near_rgb)
    if c.place == "city" and c.light == "night":
        far = far * torch.where(windows, 1.0, tint)
    elif c.place != "space":
        far = far * tint
    near = near * tint
    if c.light == "fog":
        far, near = far * 0.35 + 0.52, near * 0.68 + 0.256
    if not c.outdoors:
        sky = sky * tint
    if c.place == "underwater":
        near = near * 0.75 + colour((0.05, 0.35, 0.60)) * 0.25 * tint

    def cut(rgb: Tensor, mask: Tensor) -> Tensor:
        return torch.cat([rgb.clamp(0, 1) * mask, mask[None]])

    return Layers(sky.clamp(0, 1), cut(far, far_mask), cut(near, near_mask), c.horizon)


def _sky(c: Canvas, top: Tensor, low: Tensor) -> Tensor:
    k = (c.y / c.horizon).clamp(0, 1)[None]
    if c.light == "sunset" and c.outdoors:
        top, low = colour((0.45, 0.32, 0.55)), colour((1.0, 0.62, 0.30))
    if c.light == "night" and c.outdoors:
        top, low = colour((0.03, 0.05, 0.18)), colour((0.14, 0.20, 0.42))
    if c.light == "fog" and c.place != "space":
        top, low = top * 0.3 + 0.58, low * 0.2 + 0.70
    sky = top + (low - top) * k.expand(3, HEIGHT, WIDTH)
    if c.outdoors and c.light != "night":
        cloud = ((c.noise(4, 3, 2.2) - 0.54) * 5).clamp(0, 1) * (1 - k[0]).clamp(0, 1) ** 0.5 * 0.75
        sky = sky * (1 - cloud) + colour((1.0, 0.75, 0.65) if c.light == "sunset" else (1.0, 1.0, 1.0)) * cloud
    if c.place == "space":
        sky = sky + ((c.noise(3, 3) - 0.45) * 2).clamp(0, 1) * colour((0.35, 0.10, 0.45))
    if c.place == "space" or (c.light == "night" and c.outdoors):
        sky = sky + _stars(c, 24 if c.place == "space" else 18)
    return sky


def _stars(c: Canvas, n: int) -> Tensor:
    """Soft dots of about three pixels: smaller ones cost the codec bits and teach nothing."""
    x, y = (
        torch.randint(2, WIDTH - 2, (n,), generator=c.g),
        torch.randint(2, int(HEIGHT * c.horizon), (n,), generator=c.g),
    )
    light = 0.5 + 0.5 * torch.rand(n, generator=c.g)
    stars = torch.zeros(HEIGHT, WIDTH)
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            stars[y + dy, x + dx] = light * (1.0, 0.65, 0.4)[abs(dx) + abs(dy)]
    return stars


def _luminary(c: Canvas, sky: Tensor) -> Tensor:
    """Sun, moon, planet or shafts of light."""
    rng = c.rng
    x, y = rng.uniform(0.1, 0.9), rng.uniform(0.22, 0.38) if c.light == "sunset" else rng.uniform(0.10, 0.22)
    if c.place == "underwater":
        slant = c.x + 0.35 * c.y * (1 if rng.random() < 0.5 else -1)
        depth = 1 - (c.y / c.horizon).clamp(0, 1)
        return sky + torch.sin(slant * rng.uniform(18, 26) + 6 * rng.random()).clamp(0) ** 2 * depth * 0.25
    if c.light == "fog":
        return sky
    radius, rgb, glow = SUN[c.light]
    shade: Tensor | float = 1.0
    if c.place == "space":
        radius, rgb, glow = rng.uniform(0.06, 0.11), rng.choice(PLANETS), 0.08
        shade = 1 - 0.45 * torch.sigmoid(((c.x - x) + (c.y - y) - 0.03) * 40)
    d = ((c.x - x) ** 2 + (c.y - y) ** 2).sqrt()
    disc = torch.sigmoid((radius - d) * HEIGHT)
    return sky * (1 - disc) + colour(rgb) * shade * disc + glow * torch.exp(-d * 8) * colour(rgb)


def _far_line(c: Canvas) -> Tensor:
    hz, x = c.horizon, c.x[0]
    if c.place == "mountains":
        n = c.rng.randint(5, 7)
        at = torch.linspace(LEFT - 0.1, RIGHT + 0.1, n) + 0.12 * (torch.rand(n, generator=c.g) - 0.5)
        height = 0.18 + 0.22 * torch.rand(n, generator=c.g)
        peak = (height[:, None] - (x[None] - at[:, None]).abs() * 1.15).max(0).values.clamp(min=0)
        return hz - peak - 0.03 * c.ridge(10, 3)
    if c.place == "forest":
        saw = ((x * 9 + c.rng.random()) % 1 - 0.5).abs() * 2
        return hz - (0.17 + 0.06 * c.ridge(4, 2)) - 0.10 * (1 - saw)
    if c.place == "sea":
        return torch.full((WIDTH,), hz - 0.002)
    shape = {
        "underwater": (0.22, 4, 3),
        "space": (0.10, 6, 3),
        "hills": (0.26, 3, 1),
        "desert": (0.20, 3, 1),
        "meadow": (0.12, 2, 1),
        "snow": (0.20, 4, 2),
    }
    amplitude, cells, octaves = shape[c.place]
    return hz - amplitude * c.ridge(cells, octaves)


def _far(c: Canvas, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """-> colours, mask, and where lit windows are"""
    dark = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    if c.place == "city":
        return _skyline(c, rgb)
    line, texture = _far_line(c), c.noise(12, 3)
    shade = 0.72 + 0.45 * texture
    if c.place == "desert":
        shade = 0.80 + 0.20 * texture + 0.12 * torch.sin(c.y * 60 + 3 * texture + c.x * 8)
    far = rgb * shade
    if c.place == "mountains":
        cap = torch.sigmoid((line[None] + 0.075 + 0.05 * (texture - 0.5) - c.y) * HEIGHT * 0.8)
        far = far * (1 - cap) + 0.96 * cap
    return far, c.below(line), dark


def _skyline(c: Canvas, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    heights = torch.rand(40, generator=c.g)
    cell = ((c.x[0] - LEFT) * 11).floor().long()
    line = c.horizon - 0.06 - 0.32 * heights[cell]
    column, row = (c.x[0] - LEFT) * 11, c.y * 16
    window = ((column % 1 > 0.25) & (column % 1 < 0.75))[None] & ((row % 1 > 0.3) & (row % 1 < 0.8))
    lit = torch.rand(int(row.max()) + 2, int(column.max()) + 2, generator=c.g) > 0.45
    on = lit[row.long().expand(HEIGHT, WIDTH), column.long()[None].expand(HEIGHT, WIDTH)]
    on = window & (on if c.light == "night" else torch.ones_like(on))
    wall = rgb * (0.75 + 0.5 * heights[(cell * 7 + 3) % 40])[None, None] * (0.95 + 0.1 * c.noise(12, 3))
    glass = colour((1.6, 1.3, 0.6) if c.light == "night" else (0.62, 0.70, 0.80))
    return wall * (1 - 0.8 * on) + glass * 0.8 * on, c.below(line), on


def _near(c: Canvas, rgb: Tensor) -> tuple[Tensor, Tensor]:
    hz, y = c.horizon, c.y
    texture = c.noise(12, 3, 2.4)
    if c.place == "sea":
        # No wave is shorter than four pixels: shorter ones are noise to the codec, and flicker when panned.
        wave = torch.sin(8 / (y - hz + 0.22) + 4 * texture) * 0.5 + 0.5
        near = rgb * (0.78 + 0.35 * wave) + 0.10 * (wave > 0.86) * texture
        return near, c.below(torch.full((WIDTH,), hz))
    near = rgb * (0.75 + 0.42 * texture)
    depth = ((y - hz - 0.05) / (0.95 - hz)).clamp(0, 1)
    line = hz + 0.10 - 0.05 * c.ridge(3, 2)
    if c.place == "city":
        line = torch.full((WIDTH,), hz + 0.08)
        near = rgb * (0.92 + 0.12 * texture)
        lane = (((y > 0.80) & (y < 0.825)) * ((c.x[0] * 5) % 1 < 0.5)[None]).float()
        kerb = ((y > hz + 0.08) & (y < hz + 0.11)).float()
        near = near * (1 - lane) + 0.9 * lane
        near = near * (1 - kerb) + 0.62 * kerb
    elif c.place == "meadow":
        near = _flowers(c, near)
    elif c.place == "space":
        for _ in range(12):
            x0, y0 = c.rng.uniform(LEFT, RIGHT), c.rng.uniform(hz + 0.12, 0.98)
            r = 0.03 + 0.10 * (y0 - hz)
            e = (((c.x - x0) / r) ** 2 + ((y - y0) / (r * 0.45)) ** 2).sqrt()
            near = near * (1 - 0.35 * torch.sigmoid((1 - e) * 8)) + 0.10 * torch.exp(-(((e - 1.15) * 5) ** 2))
    elif c.place == "forest":
        near = near * (0.8 + 0.4 * depth)
    elif c.place in ("desert", "snow", "underwater"):
        ripple = 0.03 if c.place == "snow" else 0.06
        near = rgb * (0.86 + 0.20 * texture + ripple * torch.sin(50 * (y + 0.15 * texture) / (0.4 + depth)))
    return near, c.below(line)


def _flowers(c: Canvas, near: Tensor) -> Tensor:
    n = 20
    fx = torch.rand(n, generator=c.g) * (RIGHT - LEFT) + LEFT
    fy = c.horizon + 0.16 + (0.82 - c.horizon) * torch.rand(n, generator=c.g)
    for i in range(n):
        rgb, r = colour(c.rng.choice(FLOWERS)), 0.013 + 0.016 * (fy[i] - c.horizon)
        d = ((c.x - fx[i]) ** 2 + (c.y - fy[i]) ** 2).sqrt()
        m = torch.sigmoid((r - d) * HEIGHT * 1.2)
        near = near * (1 - m) + rgb * m
    return near
