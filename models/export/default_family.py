"""The default model as a family: manifest, examples and goldens. Read default.py for the wrappers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.default import checkpoint, vocabulary
from models.default.dit import from_tokens, grid_coords, to_tokens
from models.default.tokenizer import Tokenizer, clean
from models.export import default, golden
from models.export.parts import DTYPES, Example, Family, Golden, Part, Record, seeded

# Only read, not drawn: words that no caption holds, a typo, a hyphen, an apostrophe.
STRANGE = "A fox's friend runs throgh the SNOW, well-lit; a jack-o-lantern (cinematic)"
PROMPT = "a fox moving from left to right in the snow at sunset"
ATTRIBUTION = (
    "Trained from scratch on procedural clips whose sprites are emoji of Noto Color Emoji (Google; the art is under "
    "the Apache License 2.0). No other image, video or text was used."
)
NOTICE = f"""bwcache-gen default model
Weights and code: Apache License 2.0, like the rest of this repository.

{ATTRIBUTION}
Noto Emoji: https://github.com/googlefonts/noto-emoji
"""


def euler(config: dict[str, Any]) -> dict[str, Any]:
    """The scheduler's entry."""
    shift = float(config["sampler"]["shift"])
    return {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": shift, "sigmas": "explicit"}


def understanding(config: dict[str, Any], classes: Sequence[int]) -> dict[str, Any]:
    """The manifest's text.attributes and text.words, as far as the checkpoint knows them."""
    known: dict[str, Any] = {}
    if "names" in config:
        known["attributes"] = vocabulary.attributes(config["names"], classes)
    words = vocabulary.words_of(config)
    if words is not None:
        known["words"] = words
    return known


class Original:
    """The transformer's own forward, block by block so that states can be kept."""

    def __init__(self, path: Path) -> None:
        """Load the checkpoint once per dtype, with the bundle's rounded weights."""
        self.models: dict[torch.dtype, checkpoint.Checkpoint] = {}
        for dtype in DTYPES.values():
            model = checkpoint.load(path)
            for module in (model.dit, model.text, model.vae):
                default.round_weights(module)
                module.to(dtype)
            self.models[dtype] = model

    @torch.no_grad()
    def __call__(self, example: Example) -> Record:
        """One evaluation; the model's time is sigma, its layout frames first."""
        dit: Any = self.models[example.latent.dtype].dit
        shape = example.latent.shape[2:]
        c = dit.conditions(example.text, grid_coords(*shape))
        embedding, mod = dit.time(example.t / 1000)
        h = dit.embed(to_tokens(example.latent.transpose(1, 2)), c.place)
        blocks: list[tuple[Tensor, ...]] = []
        probes: list[Tensor] = []
        for block, (key, value) in zip(dit.blocks, c.kv, strict=True):
            probes.append(block.modulated(h, *block.modulation(mod)[:2]))
            h = block(h, mod, c.cos, c.sin, key, value)
            blocks.append((h,))
        return Record(from_tokens(dit.head(h, embedding), *shape).transpose(1, 2), blocks, probes)


def manifest(model: checkpoint.Checkpoint) -> dict[str, Any]:
    """Without code, weights and goldens."""
    config, dit = model.config, model.dit.cfg
    sampler = config["sampler"]
    blocks = [{"kind": "block", "prefix": f"blocks.{i}."} for i in range(dit.depth)]
    return {
        "format_version": 1,
        "name": "default",
        "family": "default",
        "description": "Small text-to-video model: emoji over procedural landscapes, 128 x 128 pixels, 17 frames.",
        "licence": "Apache-2.0",
        "attribution": ATTRIBUTION,
        "latent": {
            "channels": dit.channels,
            "spatial_stride": 16,
            "temporal_stride": 4,
            "leading_frames": 3,
            "mean": config["latent_mean"],
            "std": config["latent_std"],
        },
        "streams": [{"name": "video", "tokens": "latent", "patch": [1, 1, 1], "dim": dit.dim}],
        "text": {
            "tokenizer": "tokenizer.model",
            "cleaning": "lowercase",
            "max_tokens": dit.length,
            "add_eos": True,
            "pad_id": 0,
            "template": "{}",
            "trim": False,
            **understanding(config, dit.classes),
        },
        "text_dim": dit.text_dim,
        "text_tokens": len(dit.classes) + dit.length,
        "experts": [
            {
                "name": "main",
                "from": 1000.0,
                "to": 0.0,
                "conditions": {"code": "conditions", "inputs": ["text"]},
                "time": {"code": "time", "inputs": ["t"]},
                "embed": {"code": "embed", "inputs": ["latent"]},
                "head": {"code": "head"},
                "blocks": blocks,
            }
        ],
        "kinds": {"block": {"code": "block", "stages": default.STAGES, "attention": "self_attention"}},
        "text_encoder": "text_encoder",
        "decoder": "decoder",
        "scheduler": euler(config),
        "prediction_type": "flow_prediction",
        "guidance": "cfg",
        "defaults": {
            "width": config["size"],
            "height": config["size"],
            "num_frames": config["frames"],
            "fps": config["fps"],
            "steps": sampler["steps"],
            "guidance_scale": float(sampler["guidance"]),
            "negative_prompt": "",
        },
    }


def examples(model: checkpoint.Checkpoint) -> list[Example]:
    """Two shapes."""
    dit = model.dit.cfg
    words = len(dit.classes) + dit.length
    table = [((2, 2, 3, 4), [900.0, 250.5]), ((1, 1, 4, 2), [37.25])]
    return [
        Example(
            seeded(b, dit.channels, *shape, seed=21 + i),
            torch.tensor(t),
            seeded(b, words, dit.text_dim, seed=31 + i),
        )
        for i, ((b, *shape), t) in enumerate(table)
    ]


@torch.no_grad()
def golden_text(model: checkpoint.Checkpoint) -> Golden:
    """Prompts as the original encodes and reads them; the first two are those of the runs."""
    prompts = [PROMPT, ""]
    words = vocabulary.words_of(model.config)
    if words is not None:
        prompts.append(STRANGE)
    ids = Tokenizer(model.tokenizer_path)(prompts)
    embeddings = model.text(ids)
    text = Golden({}, {f"{i}.prompt": prompt for i, prompt in enumerate(prompts)})
    for i, prompt in enumerate(prompts):
        row, embedding = ids[i : i + 1], embeddings[i : i + 1]
        text.tensors |= {f"{i}.ids": row, f"{i}.mask": (row != 0).long()}
        text.tensors |= {f"{i}.text": embedding, f"{i}.embedding": embedding}
        if default.reads_attributes(model):
            logits = model.text.attributes(embedding)
            text.tensors |= {f"{i}.attributes.{n}": x for n, x in enumerate(logits)}
        if words is not None:
            text.metadata[f"{i}.unknown_words"] = json.dumps(vocabulary.unknown(clean(prompt), words))
    return text


@torch.no_grad()
def goldens(original: Original) -> dict[str, Golden]:
    """One clip from prompt to frames, by the Python original in fp32."""
    model = original.models[torch.float32]
    config = model.config
    text = golden_text(model)
    embeddings = torch.cat([text.tensors["0.text"], text.tensors["1.text"]])
    shape = ((config["frames"] - 1) // 4 + 1, config["size"] // 16, config["size"] // 16)
    noise = seeded(1, model.dit.cfg.channels, *shape, seed=0)
    run = golden.Run(euler(config), config["sampler"]["steps"], float(config["sampler"]["guidance"]))
    runs = golden.runs(
        lambda x, t, y: original(Example(x, t, y)).prediction,
        {"euler.cfg": run},
        noise,
        embeddings[:1],
        embeddings[1:],
    )
    latent = runs.tensors["euler.cfg.latents"][:, :, :2]
    mean, std = model.latent_statistics()
    frames = model.vae.decoder(latent.transpose(1, 2) * std + mean)[0]
    pixels = (frames.clamp(0, 1) * 255).round().to(torch.uint8)
    note = {"frames": "uint8 [1,5,3,H,W]: round(255 clamp(frame)) of two latent frames, the leading three dropped"}
    return {
        "denoiser": golden.denoiser(original, examples(model)[1:]),
        "text": text,
        "decoder": Golden({"latent": latent, "frames": pixels[None]}, note),
        "runs": runs,
    }


def family(path: Path) -> Family:
    """The model of a checkpoint, ready to be exported."""
    original = Original(path)
    model = original.models[torch.float32]

    def parts(dtype: torch.dtype) -> dict[str, Part]:
        return default.parts(original.models[dtype], dtype)

    return Family(
        manifest=manifest(model),
        parts=parts,
        weights={"weights/model.safetensors": default.weights(model)},
        original=original,
        examples=examples(model),
        files={"tokenizer.model": Path(model.tokenizer_path).read_bytes(), "NOTICE": NOTICE.encode()},
        goldens=lambda: goldens(original),
    )
