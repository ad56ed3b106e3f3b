"""Time one guided denoising step of the default model in eager PyTorch: same weights, dtype and threads as the program.

    python -m models.reference.eager_step --bundle models/default/bundle --dtype bfloat16 --threads 2 --steps 10

Prints the seconds of every step as JSON. Both branches run one after the other, text keys and values and the time
modulation are computed outside the step, as the program does.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from models.default.dit import DiT, DiTConfig, grid_coords, to_tokens


def load_dit(bundle: Path, dtype: torch.dtype) -> DiT:
    """The transformer with the bundle's weights; its size is read off them."""
    weights = load_file(bundle / "weights/model.safetensors")
    depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    channels, dim = weights["out.weight"].shape
    time_features = weights["t1.weight"].shape[1]
    config = DiTConfig(
        dim=dim, depth=depth, heads=dim // weights["blocks.0.qn"].shape[0], channels=channels,
        text_dim=weights["blocks.0.ckv.weight"].shape[1], time_frequencies=time_features // 2,
    )
    dit = DiT(config)
    state = {
        name: weights[name.replace(".qkv.", ".to_qkv.") if name.startswith("blocks.") else name].float()
        for name in dit.state_dict()
    }
    dit.load_state_dict(state)
    return dit.to(dtype).eval()


@torch.inference_mode()
def time_steps(dit: DiT, tokens: int, steps: int) -> list[float]:
    grid = (5, 8, 8)
    generator = torch.Generator().manual_seed(0)
    dtype = dit.out.weight.dtype
    coords = grid_coords(*grid)
    latent = to_tokens(torch.randn(1, grid[0], dit.cfg.channels, *grid[1:], generator=generator))
    texts = torch.randn(2, 1, tokens, dit.cfg.text_dim, generator=generator).to(dtype)
    conditions = [dit.conditions(text, coords) for text in texts]
    modulations = [dit.time(torch.tensor([1 - i / steps])) for i in range(steps)]
    seconds = []
    for embedding, mod in modulations:
        start = time.perf_counter()
        predictions = []
        for c in conditions:
            h = dit.embed(latent, c.place)
            for block, (k, v) in zip(dit.blocks, c.kv, strict=True):
                h = block(h, mod, c.cos, c.sin, k, v)
            predictions.append(dit.head(h, embedding).float())
        latent = latent - (predictions[1] + 5 * (predictions[0] - predictions[1])) / steps
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dit = load_dit(args.bundle, getattr(torch, args.dtype))
    time_steps(dit, 37, 3)  # warm-up
    print(json.dumps(time_steps(dit, 37, args.steps)))


if __name__ == "__main__":
    main()
