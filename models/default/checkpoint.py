"""Reading and writing checkpoints.

A *packed* checkpoint is a directory with what inference needs: config.json, dit.safetensors (keys `dit.*`
and `text.*`), vae.safetensors, tokenizer.model. A *training state* is one file with everything that is
needed to go on exactly. Both are written under a temporary name and renamed when whole, so that a kill or
a full disk never leaves half a file under the real name.
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
from .vae import VAE, VAEConfig


class ConfigMismatch(ValueError):
    """A checkpoint of another configuration; the message names what differs."""


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
        target = root / f"{name}.safetensors"
        save_file({k: v.detach().to("cpu", dtype).contiguous() for k, v in weights.items()}, f"{target}.part")
        os.chmod(f"{target}.part", 0o644)  # safetensors makes it readable to the owner alone
        os.replace(f"{target}.part", target)
    shutil.copyfile(tokenizer, root / "tokenizer.model.part")
    os.replace(root / "tokenizer.model.part", root / "tokenizer.model")
    write_json(root / "config.json", config)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    part = f"{path}.part"
    with open(part, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")
    os.replace(part, path)


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Atomic: the old state stays whole until the new one is on the disk."""
    part = f"{path}.part"
    with open(part, "wb") as f:
        torch.save(dict(state), f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(part, path)


def load_state(path: str | os.PathLike[str], config: Mapping[str, Any], device: str = "cpu") -> dict[str, Any]:
    """A training state, refused where its `config` is not the given one."""
    state = torch.load(path, map_location=device, weights_only=True)
    refuse_other(state["config"], config, str(path))
    return state


def refuse_other(found: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> None:
    differences = [
        f"{k}: {found.get(k, 'absent')} there, {wanted.get(k, 'absent')} here"
        for k in sorted(set(found) | set(wanted))
        if plain(found.get(k)) != plain(wanted.get(k))
    ]
    if differences:
        raise ConfigMismatch(f"{path} was made with another configuration ({'; '.join(differences)})")


def plain(value: Any) -> Any:
    """Tuples and lists alike, as after a round trip through JSON."""
    return json.loads(json.dumps(value))
