"""Collects what inference needs in one directory: averaged weights, autoencoder, tokenizer, statistics.

python -m models.default.pack --training DIR --out DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from .captions import NAMES
from .checkpoint import encoder_hash, write_packed
from .dataset import FPS
from .latents import open_bank
from .sample import Sampler
from .vae import VAEConfig, read_config
from .vocabulary import words


@dataclass(frozen=True)
class Parts:
    """Where the stages of a training left their results."""

    vae: Path  # directory with vae.json and vae.safetensors
    bank: dict[str, Any]
    tokenizer: Path
    shape: tuple[int, int]  # frames, size


def pack(out: Path, weights: Mapping[str, Tensor], dit: Mapping[str, Any], step: int, parts: Parts) -> None:
    """weights: averaged, keys `dit.*` and `text.*`; dit: the transformer's configuration."""
    found = encoder_hash(parts.vae / "vae.safetensors")
    if found != parts.bank["vae"]:
        raise ValueError(f"the latents were made by autoencoder {parts.bank['vae']}, {parts.vae} holds {found}")
    about = {"config": dit, "step": step}
    config = packed_config(read_config(parts.vae), about, parts.bank, parts.shape)
    write_packed(out, dict(weights), load_file(parts.vae / "vae.safetensors"), config, parts.tokenizer)


def packed_config(
    vae: VAEConfig, dit: Mapping[str, Any], statistics: Mapping[str, Any], shape: tuple[int, int]
) -> dict[str, Any]:
    """config.json. dit: `config` and `step`; statistics: `mean` and `std` per latent channel; shape: frames, size."""
    mean, std = (torch.as_tensor(statistics[k]).tolist() for k in ("mean", "std"))
    return {
        "vae": vae.to_dict(),
        "dit": {k: v for k, v in dit["config"].items() if k != "vae"},
        "names": NAMES,
        "words": words(),
        "step": dit["step"],
        "latent_mean": mean,
        "latent_std": std,
        "fps": FPS,
        "frames": shape[0],
        "size": shape[1],
        "sampler": {"steps": Sampler.steps, "shift": Sampler.shift, "guidance": Sampler.guidance},
        "attribution": "Sprites of the training clips: Noto Color Emoji, Google (art Apache-2.0, font OFL-1.1)",
    }


def main() -> None:
    p = argparse.ArgumentParser(description="Pack the averaged weights of a training.")
    p.add_argument("--training", required=True, type=Path)
    p.add_argument("--data", type=Path, help="default: TRAINING/data")
    p.add_argument("--out", required=True, type=Path)
    a = p.parse_args()
    data = a.data or a.training / "data"
    state = torch.load(a.training / "dit" / "state.pt", map_location="cpu", weights_only=True)
    bank = open_bank(data / "latents.pt")
    frames, size = 4 * (bank["z"].shape[1] - 1) + 1, 16 * bank["z"].shape[-1]
    parts = Parts(a.training / "vae", bank, data / "tokenizer.model", (frames, size))
    pack(a.out, state["trainer"]["average"]["weights"], state["config"], state["step"], parts)


if __name__ == "__main__":
    main()
