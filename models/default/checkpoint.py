"""Reading and writing checkpoints in safetensors.

A *packed* checkpoint is a directory with what inference needs: config.json, dit.safetensors (keys `dit.*`
and `text.*`), vae.safetensors, tokenizer.model. An autoencoder by itself is a directory with vae.json and
vae.safetensors. Files are written under a temporary name and renamed when whole, so that a kill or a full disk
never leaves half a file under the real name. Training states are in state.py.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .dit import Attention, DiT, DiTConfig, TextEncoder, fused_attention
from .latents import encoder_digest, rounded_encoder
from .state import write_json
from .vae import VAE, VAEConfig, read_config


@dataclass(frozen=True)
class Checkpoint:
    dit: DiT
    text: TextEncoder
    vae: VAE
    config: dict[str, Any]
    tokenizer_path: str

    def latent_statistics(self, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latent channels, each [C, 1, 1]."""
        mean, std = (torch.tensor(self.config[k], device=device) for k in ("latent_mean", "latent_std"))
        return mean[:, None, None], std[:, None, None]


def load(path: str | os.PathLike[str], attend: Attention = fused_attention) -> Checkpoint:
    """A packed checkpoint in fp32, modules in eval mode."""
    root = Path(path)
    config = json.loads((root / "config.json").read_text())
    cfg = DiTConfig.from_dict(config["dit"])
    dit, text, vae = DiT(cfg, attend), TextEncoder(cfg), VAE(VAEConfig.from_dict(config["vae"]))
    weights = load_file(root / "dit.safetensors")
    for name, module in (("dit", dit), ("text", text)):
        part = {k.removeprefix(name + "."): v.float() for k, v in weights.items() if k.startswith(name + ".")}
        module.load_state_dict(part)
        module.eval()
    vae.load_state_dict({k: v.float() for k, v in load_file(root / "vae.safetensors").items()})
    return Checkpoint(dit, text, vae.eval(), config, str(root / "tokenizer.model"))


def write_packed(
    path: str | os.PathLike[str],
    dit_and_text: Mapping[str, Tensor],
    vae: Mapping[str, Tensor],
    config: Mapping[str, Any],
    tokenizer: str | os.PathLike[str],
    dtype: torch.dtype = torch.float32,
) -> None:
    root = Path(path)
    root.mkdir(parents=True, exist_ok=True)
    for name, weights in (("dit", dit_and_text), ("vae", vae)):
        write_weights(root / f"{name}.safetensors", weights, dtype)
    shutil.copyfile(tokenizer, root / "tokenizer.model.part")
    os.replace(root / "tokenizer.model.part", root / "tokenizer.model")
    write_json(root / "config.json", config)


def write_weights(target: Path, weights: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
    save_file({k: v.detach().to("cpu", dtype).contiguous() for k, v in weights.items()}, f"{target}.part")
    os.chmod(f"{target}.part", 0o644)  # safetensors makes it readable to the owner alone
    os.replace(f"{target}.part", target)


def write_vae(path: Path, weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """about: the configuration and, under `options`, how it was trained. The encoder as it can be committed."""
    write_weights(path / "vae.safetensors", rounded_encoder(weights))
    write_json(path / "vae.json", about)


def read_weights(path: Path) -> dict[str, Tensor]:
    """A file of weights, f32."""
    return {k: v.float() for k, v in load_file(path).items()}


def load_vae(path: Path, device: str = "cpu") -> VAE:
    """From a directory that write_vae filled."""
    vae = VAE(read_config(path))
    vae.load_state_dict(read_weights(path / "vae.safetensors"))
    return vae.to(device).to(memory_format=torch.channels_last).eval()


def encoder_hash(path: Path) -> str:
    """Of the encoder in a vae.safetensors, see latents.encoder_digest."""
    return encoder_digest(read_weights(path))
