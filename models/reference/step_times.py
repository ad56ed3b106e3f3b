"""Time guided denoising steps of a bundle's model in PyTorch: same weights, dtype, shapes and threads as the program.

    python -m models.reference.step_times --bundle models/default/bundle --how compile --steps 10

Prints the seconds of every step as JSON. `--how eager` runs the model as it is written, `compile` through
torch.compile; `--attention plain` replaces the default model's scaled_dot_product_attention by softmax and two
products, which is faster on CPUs at a few hundred tokens. Both branches run one after the other. The default model's
text keys and values and its time modulation are computed outside the step, as the program does; Wan is diffusers'
WanTransformer3DModel as its pipeline calls it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.default.dit import DiT, DiTConfig, fused_attention, grid_coords, plain_attention, to_tokens

Step = Callable[[int, Tensor], Tensor]  # step, latent -> guided prediction
TEXT_TOKENS = 37


def load_dit(bundle: Path, dtype: torch.dtype, attention: str) -> DiT:
    """The default model's transformer with the bundle's weights; its size is read off them."""
    weights = load_file(bundle / "weights/model.safetensors")
    depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    channels, dim = weights["out.weight"].shape
    config = DiTConfig(
        dim=dim, depth=depth, heads=dim // weights["blocks.0.qn"].shape[0], channels=channels,
        text_dim=weights["blocks.0.ckv.weight"].shape[1], time_frequencies=weights["t1.weight"].shape[1] // 2,
    )
    dit = DiT(config, plain_attention if attention == "plain" else fused_attention)
    state = {
        name: weights[name.replace(".qkv.", ".to_qkv.") if name.startswith("blocks.") else name].float()
        for name in dit.state_dict()
    }
    dit.load_state_dict(state)
    return dit.to(dtype).eval()


def default_model(args: argparse.Namespace, dtype: torch.dtype) -> tuple[Step, Tensor]:
    """Step and starting latent [1,N,C] of a clip of 17 frames of 128 x 128."""
    dit = load_dit(args.bundle, dtype, args.attention)
    grid = (5, 8, 8)
    generator = torch.Generator().manual_seed(0)
    latent = to_tokens(torch.randn(1, grid[0], dit.cfg.channels, *grid[1:], generator=generator))
    texts = torch.randn(2, 1, TEXT_TOKENS, dit.cfg.text_dim, generator=generator).to(dtype)
    conditions = [dit.conditions(text, grid_coords(*grid)) for text in texts]
    modulations = [dit.time(torch.tensor([1 - i / args.steps])) for i in range(args.steps)]

    def predict(x: Tensor, c: Any, embedding: Tensor, mod: Tensor) -> Tensor:
        h = dit.embed(x, c.place)
        for block, (k, v) in zip(dit.blocks, c.kv, strict=True):
            h = block(h, mod, c.cos, c.sin, k, v)
        return dit.head(h, embedding).float()

    run = torch.compile(predict, dynamic=False) if args.how == "compile" else predict
    return lambda i, x: guided(*(run(x, c, *modulations[i]) for c in conditions)), latent


def wan_block(args: argparse.Namespace, dtype: torch.dtype) -> tuple[Step, Tensor]:
    """Step and starting latent [1,C,F,H,W] of the bundle that `python -m models.export wan-block` writes."""
    from models.export import tiny_wan, wan

    model = wan.in_dtype(tiny_wan.transformer(tiny_wan.BLOCK), dtype)
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, tiny_wan.CHANNELS, 5, 40, 40, generator=generator)
    texts = torch.randn(2, 1, tiny_wan.TOKENS, tiny_wan.TEXT_DIM, generator=generator).to(dtype)
    run = torch.compile(model, dynamic=False) if args.how == "compile" else model

    def step(i: int, x: Tensor) -> Tensor:
        t = torch.tensor([1000 * (1 - i / args.steps)])
        return guided(*(run(x.to(dtype), t, text, return_dict=False)[0].float() for text in texts))

    return step, latent


def guided(wanted: Tensor, free: Tensor) -> Tensor:
    return free + 5 * (wanted - free)


@torch.inference_mode()
def time_steps(step: Step, latent: Tensor, steps: int) -> list[float]:
    seconds = []
    for i in range(steps):
        start = time.perf_counter()
        latent = latent - step(i, latent) / steps
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--how", choices=("eager", "compile"), default="eager")
    parser.add_argument("--attention", choices=("sdpa", "plain"), default="sdpa", help="of the default model")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    family = json.loads((args.bundle / "model.json").read_text())["family"]
    with torch.inference_mode():
        step, latent = (wan_block if family == "wan" else default_model)(args, getattr(torch, args.dtype))
    time_steps(step, latent, 3)  # warm-up: compiles
    print(json.dumps(time_steps(step, latent, args.steps)))


if __name__ == "__main__":
    main()
