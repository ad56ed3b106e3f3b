"""A real checkpoint of diffusers' WanTransformer3DModel: the transformer alone, on its unchanged weight files.

The text encoder and the decoder stay outside: prompts come as embeddings, latents are what comes out.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import WanTransformer3DModel

from models.export import tiny_wan, wan
from models.export.parts import Example, Family, seeded

SHIFT = 3.0  # diffusers' setting for 480p
TEXT_TOKENS = 512
# Latent statistics of the Wan 2.1 autoencoder: decoder input = latent * std + mean.
MEAN = [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508]
MEAN += [0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921]
STD = [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743]
STD += [3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160]
DEFAULTS = {"width": 832, "height": 480, "num_frames": 81, "fps": 16, "steps": 50}


def shards(path: Path) -> dict[str, str]:
    """Weight files of the bundle and where they are now."""
    return {f"weights/{file.name}": str(file) for file in sorted(path.glob("*.safetensors"))}


def manifest(model: Any, name: str) -> dict[str, Any]:
    """Without code, weights and goldens."""
    channels = model.config.in_channels
    known = channels == len(MEAN)
    latent = {"channels": channels, "spatial_stride": 8, "temporal_stride": 4, "leading_frames": 3}
    flow = {"use_flow_sigmas": True, "flow_shift": SHIFT, "prediction_type": "flow_prediction"}
    return {
        "format_version": 1,
        "name": name,
        "family": "wan",
        "description": "Transformer of a Wan text-to-video model; text embeddings in, latents out.",
        "licence": "Apache-2.0",
        "latent": {**latent, "mean": MEAN if known else [0.0] * channels, "std": STD if known else [1.0] * channels},
        **wan.transformer_manifest(model, TEXT_TOKENS),
        "scheduler": {"_class_name": "UniPCMultistepScheduler", **flow},
        "prediction_type": "flow_prediction",
        "guidance": "cfg",
        "defaults": {**DEFAULTS, "guidance_scale": 5.0, "negative_prompt": ""},
    }


def examples(model: Any) -> list[Example]:
    """Two small shapes: another batch, grid and text length."""
    channels, words = model.config.in_channels, model.config.text_dim
    return [
        Example(seeded(2, channels, 2, 4, 6, seed=1), torch.tensor([900.0, 250.5]), seeded(2, 24, words, seed=2)),
        Example(seeded(1, channels, 3, 6, 4, seed=3), torch.tensor([37.25]), seeded(1, 7, words, seed=4)),
    ]


def family(path: Path) -> Family:
    """The transformer in `path` (config.json and safetensors), ready to be exported."""
    if json.loads((path / "config.json").read_text()).get("added_kv_proj_dim"):
        raise SystemExit(f"{path}: image-to-video models are not supported")
    model: Any = WanTransformer3DModel.from_pretrained(path, torch_dtype=torch.float32)
    model.requires_grad_(False).eval()
    original = tiny_wan.Original(model)
    return Family(
        manifest=manifest(model, path.resolve().name.lower()),
        parts=lambda dtype: wan.transformer_parts(original.models[dtype], dtype),
        weights={},
        original=original,
        examples=examples(model),
        shards=shards(path),
    )
