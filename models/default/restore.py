"""A packed checkpoint from what the repository keeps, for a training that goes on where no state is left.

    python -m models.default.restore --out DIR         from the bundle and kept/
    python -m models.default.restore --keep PACKED     fills kept/ from the checkpoint that the bundle was exported from

The bundle has all that inference needs. What only training needs is in kept/: config.json, and the encoder in 8 bits
with a power of two per output channel, which is exactly the encoder that made the latents (latents.rounded_encoder).
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import checkpoint
from .evaluation import shipped
from .latents import encoder_digest, on_grid

HERE = Path(__file__).parent
EXPONENT = ".exponent"


def keep(packed: Path, kept: Path, bundle: Path) -> None:
    """Write KEPT. ValueError where the bundle holds other weights than PACKED, or the encoder is not on its grid."""
    shipped.weights_hash(bundle, checkpoint.load(packed))
    encoder = {k: v for k, v in checkpoint.read_weights(packed / "vae.safetensors").items() if k.startswith("encoder.")}
    small: dict[str, Tensor] = {}
    for name, value in encoder.items():
        if value.ndim == 1:
            small[name] = value.bfloat16()
            continue
        _, exponent = on_grid(value)
        grid = torch.ldexp(torch.ones(len(exponent)), exponent).view(-1, *[1] * (value.ndim - 1))
        small |= {name: (value / grid).to(torch.int8), name + EXPONENT: exponent.to(torch.int8)}
    if encoder_digest(read_encoder(small)) != encoder_digest(encoder):
        raise ValueError(f"{packed}: its encoder was not rounded when its latents were made (latents.rounded_encoder)")
    kept.mkdir(parents=True, exist_ok=True)
    save_file(small, kept / "encoder.safetensors")
    (kept / "encoder.safetensors").chmod(0o644)
    shutil.copyfile(packed / "config.json", kept / "config.json")


def read_encoder(small: dict[str, Tensor]) -> dict[str, Tensor]:
    """Integers and exponents -> weights f32."""
    out = {}
    for name, value in small.items():
        if name.endswith(EXPONENT):
            continue
        out[name] = value.float()
        if (exponent := small.get(name + EXPONENT)) is not None:
            scale = torch.ldexp(torch.ones(len(exponent)), exponent.int())
            out[name] *= scale.view(-1, *[1] * (value.ndim - 1))
    return out


def restore(out: Path, kept: Path, bundle: Path) -> None:
    """Write OUT, a packed checkpoint with the bundle's weights."""
    if not (kept / "config.json").exists():
        raise ValueError(f"{kept} holds no config.json; the repository's bundle comes with one")
    config = json.loads((kept / "config.json").read_text())
    transformer: dict[str, Tensor] = {}
    vae = read_encoder(load_file(kept / "encoder.safetensors"))
    for entry in json.loads((bundle / "model.json").read_text())["weights"]:
        for name, value in load_file(bundle / entry["file"]).items():
            if name.startswith("decoder."):
                vae[name] = value
            elif name.startswith("text."):
                transformer[name] = value
            else:
                transformer["dit." + name.replace(".to_qkv.", ".qkv.")] = value
    checkpoint.write_packed(out, transformer, vae, config, bundle / "tokenizer.model")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="directory of the packed checkpoint to write")
    what.add_argument("--keep", type=Path, help="packed checkpoint whose encoder and configuration are kept")
    p.add_argument("--kept", type=Path, default=HERE / "kept")
    p.add_argument("--bundle", type=Path, default=HERE / "bundle")
    a = p.parse_args()
    try:
        if a.out:
            restore(a.out, a.kept, a.bundle)
        else:
            keep(a.keep, a.kept, a.bundle)
    except (ValueError, OSError) as e:
        raise SystemExit(f"error: {e}") from None


if __name__ == "__main__":
    main()
