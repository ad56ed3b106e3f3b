"""What the default model should reach, and what of it a set of figures shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..captions import FIELDS

TIERS = {
    "cpu": {"psnr": 31.0, "sprite": 26.0, "subject": 0.90},
    "gpu": {"psnr": 33.0, "sprite": 29.0, "subject": 0.95},
}
ACCURACY = {"background": 0.95, "light": 0.90, "camera": 0.85}  # of prompts, both tiers
MOTION = 0.90  # every motion by itself
CLASSIFIER = 0.97  # on rendered held-out clips
APART = 0.05  # held-out combinations below seen ones, at most
ENERGY = (0.8, 1.2)
BLOCKING = 1.1  # against rendered clips
EASY = 40.0  # dB of the best solver at 16 steps, at most: above, no cache can be judged


@dataclass(frozen=True)
class Target:
    name: str
    wanted: str
    reached: str
    met: bool


def share(pair: list[int]) -> float:
    return pair[0] / pair[1]


def percent(pair: list[int]) -> str:
    return f"{share(pair):.1%} ({pair[0]} of {pair[1]})"


def codec(f: dict[str, Any], tier: dict[str, float]) -> Iterator[Target]:
    c = f["codec"]
    for key, name in (("psnr", "autoencoder, held-out clips"), ("sprite", "autoencoder, under the sprite")):
        yield Target(name, f"≥ {tier[key]:g} dB", f"{c[key]:.2f} dB", c[key] >= tier[key])
    yield Target("autoencoder, blocks", f"≤ {BLOCKING}", f"{c['blocking_ratio']}", c["blocking_ratio"] <= BLOCKING)
    z = c["latents"]
    yield Target("latent outliers", "0", f"{z['outliers']} of {z['clips']} clips", z["outliers"] == 0)


def following(f: dict[str, Any], tier: dict[str, float]) -> Iterator[Target]:
    seen, held = f["prompts"]["seen"], f["prompts"]["held"]
    for field, bound in {"subject": tier["subject"], **ACCURACY}.items():
        yield Target(field, f"≥ {bound:.0%}", percent(seen[field]), share(seen[field]) >= bound)
    for motion, pair in f["prompts"]["motions"].items():
        if pair[1]:
            yield Target(f"motion: {motion}", f"≥ {MOTION:.0%}", percent(pair), share(pair) >= MOTION)
    fields = ("subject", "motion", *ACCURACY)  # few prompts mention the others
    drops = {k: round(share(seen[k]) - share(held[k]), 9) for k in fields}
    field = max(drops, key=lambda k: drops[k])
    yield Target(
        "held-out combinations",
        f"≤ {APART:.0%} below seen ones",
        f"{field}: {drops[field]:+.1%}",
        drops[field] <= APART,
    )
    own = f["prompts"]["classifier"]["rendered"]
    field = min(FIELDS, key=lambda k: own[k])
    yield Target("the classifier itself", f"≥ {CLASSIFIER:.0%}", f"{field}: {own[field]:.1%}", own[field] >= CLASSIFIER)


def sampling(f: dict[str, Any], tier: dict[str, float]) -> Iterator[Target]:
    energy = f["prompts"]["gradient_energy_ratio"]
    low, high = ENERGY
    yield Target("sharpness, to rendered clips", f"{low} to {high}", f"{energy}", low <= energy <= high)
    p = f["solvers"]["profile"]
    shape = f"{p['first']}, {p['middle']}, {p['last']}"
    yield Target("change over the steps", "middle < 0.6 of both ends", shape, p["u_shape"])
    best = {name: f["solvers"][name].get(16) for name in ("euler", "dpm++2m", "unipc")}
    known = {k: v for k, v in best.items() if v is not None}
    if known:
        name = max(known, key=lambda k: known[k])
        text = f"{name}: {known[name]} dB"
        yield Target("best solver at 16 steps", f"≤ {EASY:g} dB", text, known[name] <= EASY)


def targets(f: dict[str, Any], tier: str) -> list[Target]:
    parts: tuple[Callable[[dict[str, Any], dict[str, float]], Iterator[Target]], ...] = (codec, following, sampling)
    return [t for part in parts for t in part(f, TIERS[tier])]
