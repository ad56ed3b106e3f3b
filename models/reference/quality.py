"""Quality goldens: PSNR and SSIM of small seeded clips, from scikit-image.

    python -m models.reference.quality --out tests/data/golden

Writes quality.safetensors (`<case>.a`, `<case>.b`: uint8 [frames,H,W,3]) and quality.json (per frame and mean). The
definition is that of the caching papers: RGB in [0,1]; PSNR per frame with the error over all channels, 100 dB where it
is below 1e-10; SSIM per channel in float64, 11×11 Gaussian window of deviation 1.5, C1 = 0.01², C2 = 0.03², population
covariance, only where the whole window lies inside the frame; mean over channels, then over frames.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.metrics import mean_squared_error, structural_similarity

from models.export.bundle import write_tensors

Clip = NDArray[np.uint8]  # [frames,H,W,3]


def _smooth(rng: np.random.Generator, frames: int, height: int, width: int) -> NDArray[np.float64]:
    noise = gaussian_filter(rng.standard_normal((frames, height, width, 3)), (1, 3, 3, 0))
    return 127.5 + 45 * noise / noise.std()


def _bytes(x: NDArray[np.float64]) -> Clip:
    return np.clip(np.round(x), 0, 255).astype(np.uint8)


def cases() -> dict[str, tuple[Clip, Clip]]:
    """Pairs of clips."""
    rng = np.random.default_rng(7)
    base = _smooth(rng, 2, 24, 40)
    plain = np.full((1, 16, 16, 3), 90.0)
    ramp = np.broadcast_to(np.linspace(0, 255, 32)[None, None, :, None], (1, 11, 32, 3))
    one_pixel = plain.copy()
    one_pixel[0, 8, 8, 1] += 1
    return {
        "equal": (_bytes(base), _bytes(base)),
        "noise": (_bytes(base), _bytes(base + 6 * rng.standard_normal(base.shape))),
        "shifted": (_bytes(base), _bytes(np.roll(base, 2, 2))),
        "darker": (_bytes(base), _bytes(base * 0.8)),
        "blurred": (_bytes(base), _bytes(gaussian_filter(base, (0, 1.2, 1.2, 0)))),
        "unrelated": (_bytes(base), _bytes(_smooth(rng, 2, 24, 40))),
        "one_pixel": (_bytes(plain), _bytes(one_pixel)),
        "constants": (_bytes(plain), _bytes(plain + 40)),
        "smallest": (_bytes(ramp), _bytes(255.0 - ramp)),
    }


def psnr(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Of one frame, dB."""
    error = float(mean_squared_error(a, b))
    return 100.0 if error < 1e-10 else float(20 * np.log10(1 / np.sqrt(error)))


def ssim(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Of one frame."""
    options: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    return float(np.mean([structural_similarity(a[..., c], b[..., c], **options) for c in range(3)]))


def measure(a: Clip, b: Clip) -> dict[str, Any]:
    """Both metrics, per frame and mean."""
    frames = [(x / 255.0, y / 255.0) for x, y in zip(a, b, strict=True)]
    values = {"psnr": [psnr(x, y) for x, y in frames], "ssim": [ssim(x, y) for x, y in frames]}
    return {k: {"frames": v, "mean": float(np.mean(v))} for k, v in values.items()}


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description="Writes PSNR and SSIM goldens.")
    parser.add_argument("--out", type=Path, default=Path("tests/data/golden"))
    out: Path = parser.parse_args().out
    pairs = cases()
    tensors = {f"{n}.{s}": torch.from_numpy(x) for n, pair in pairs.items() for s, x in zip("ab", pair, strict=True)}
    write_tensors(out / "quality.safetensors", tensors)
    golden = {
        "made_with": {"scikit-image": version("scikit-image")},
        "tolerance": {"psnr": 1e-6, "ssim": 1e-8},
        "cases": {name: measure(*pair) for name, pair in pairs.items()},
    }
    (out / "quality.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
