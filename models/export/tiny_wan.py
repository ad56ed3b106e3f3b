"""Random Wan models: diffusers' transformer, transformers' UMT5, a decoder of our own.

A tiny one serves the tests; one with a single block of Wan2.1-1.3B's width is for timing.
"""

import copy
import json
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn
from transformers import UMT5Config, UMT5EncoderModel

from models.default import vocabulary
from models.export import golden, tiny, tiny_decoder, tiny_reader, wan
from models.export.parts import Example, Family, Golden, Part, Record, convert, seeded

CHANNELS, TEXT_DIM, TOKENS, VOCABULARY = 16, 32, 32, 512
PROMPTS = (
    "a red fox runs through the snow at sunset",
    "  the happy penguin   flies over the sea at noon, zigzag & 42 üx ",
)
EULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
FLOW = {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}
SCHEDULERS: dict[str, dict[str, Any]] = {
    "euler": EULER,
    "unipc": {"_class_name": "UniPCMultistepScheduler", **FLOW},
    "dpm": {"_class_name": "DPMSolverMultistepScheduler", **FLOW},
}
STEPS, GUIDANCE = 8, 4.0


@dataclass(frozen=True)
class Size:
    """What the two differ in; `defaults` is the clip of the manifest."""

    name: str
    heads: int
    head_dim: int
    ffn: int
    layers: int
    defaults: dict[str, int]


TINY = Size("tiny-wan", 2, 16, 64, 3, {"width": 64, "height": 64, "num_frames": 9})
# 5 x 20 x 20 = 2000 tokens
BLOCK = Size("wan-block", 12, 128, 8960, 1, {"width": 320, "height": 320, "num_frames": 17})


@dataclass(frozen=True)
class TinyWan:
    """The models and the tokenizer, in float32."""

    transformer: Any
    text: Any
    readers: nn.ModuleList
    decoder: tiny_decoder.TinyDecoder
    tokenizer: bytes

    def embedding(self, prompt: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """ids, mask, the encoder's output and what the transformer gets: cut to the true length, zero-padded."""
        ids, mask = tiny.encode(self.tokenizer, prompt, TOKENS)
        with torch.no_grad():
            text = self.text(input_ids=ids, attention_mask=mask).last_hidden_state
        cut = torch.zeros_like(text)
        length = int(mask.sum())
        cut[:, :length] = text[:, :length]
        return ids, mask, text, cut


def _transformer_scale(name: str, parameter: Tensor) -> float | None:
    if name.endswith("scale_shift_table"):
        return 0.5
    if "time_proj.weight" in name:
        return 0.3 * parameter.shape[1] ** -0.5
    if name == "proj_out.weight":
        return 0.6 * parameter.shape[1] ** -0.5
    return None


def transformer(size: Size) -> Any:
    """The transformer with its random weights, in float32."""
    model: Any = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=size.heads,
        attention_head_dim=size.head_dim,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        text_dim=TEXT_DIM,
        freq_dim=64,
        ffn_dim=size.ffn,
        num_layers=size.layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
    )
    tiny.randomise(model, _transformer_scale, "transformer.")
    return model.requires_grad_(False).eval()


def make(size: Size) -> TinyWan:
    """Build all parts; no state outside is used or changed."""
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "d_model": TEXT_DIM,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 2,
        "num_heads": 4,
        "feed_forward_proj": "gated-gelu",
        "attn_implementation": "eager",
    }
    config = UMT5Config(**settings)
    text: Any = UMT5EncoderModel(config)
    tiny.randomise(text, lambda name, p: 1.0 if name == "shared.weight" else None, "text.")
    decoder = tiny_decoder.TinyDecoder(CHANNELS)
    tiny.randomise(decoder, tiny_decoder.scale, "decoder.")
    for model in (text, decoder):
        model.requires_grad_(False).eval()
    return TinyWan(transformer(size), text, tiny_reader.make(TEXT_DIM), decoder, tiny.tokenizer(VOCABULARY))


class Original:
    """diffusers' own forward, with hooks that keep block outputs and attention inputs."""

    def __init__(self, model: Any) -> None:
        """Keep one copy per dtype."""
        self.models = {dtype: wan.in_dtype(model, dtype) for dtype in (torch.float32, torch.bfloat16)}

    @torch.no_grad()
    def __call__(self, example: Example) -> Record:
        """One evaluation."""
        model = self.models[example.latent.dtype]
        blocks: list[tuple[Tensor, ...]] = []
        probes: list[Tensor] = []
        hooks = []
        for block in model.blocks:
            hooks.append(block.register_forward_hook(lambda m, a, out: blocks.append((out,))))
            hooks.append(block.attn1.register_forward_pre_hook(lambda m, a: probes.append(a[0])))
        prediction = model(example.latent, example.t, example.text, return_dict=False)[0]
        for hook in hooks:
            hook.remove()
        return Record(prediction, blocks, probes)


def _weights(models: TinyWan) -> dict[str, Tensor]:
    tensors = dict(models.transformer.state_dict())
    text = {k: v for k, v in models.text.state_dict().items() if k != "encoder.embed_tokens.weight"}
    readers = {"read." + k: v for k, v in models.readers.state_dict().items()}
    return tensors | text | readers | {"decoder." + k: v for k, v in models.decoder.state_dict().items()}


def _parts(models: TinyWan, original: Original, dtype: torch.dtype) -> dict[str, Part]:
    text: Any = UMT5EncoderModel(models.text.config)
    text.load_state_dict(models.text.state_dict())
    decoder = tiny_decoder.TinyDecoder(CHANNELS)
    decoder.load_state_dict(models.decoder.state_dict())
    parts = wan.transformer_parts(original.models[dtype], dtype)
    parts["text_encoder"] = tiny_reader.part(convert(text, dtype), convert(copy.deepcopy(models.readers), dtype))
    parts["decoder"] = tiny_decoder.part(convert(decoder, dtype), dtype)
    return parts


def _manifest(models: TinyWan, size: Size) -> dict[str, Any]:
    spread = [round(0.8 + 0.4 * ((5 * i) % 16) / 15, 4) for i in range(CHANNELS)]
    return {
        "format_version": 1,
        "name": size.name,
        "family": "wan",
        "description": "Random weights in the shape of Wan, for tests: no meaningful video comes out.",
        "licence": "Apache-2.0",
        "latent": {
            "channels": CHANNELS,
            "spatial_stride": 8,
            "temporal_stride": 4,
            "leading_frames": 3,
            "mean": [round(0.2 * (i % 5 - 2), 4) for i in range(CHANNELS)],
            "std": spread,
        },
        "text": {
            "tokenizer": "tokenizer.model",
            "cleaning": "whitespace",
            "max_tokens": TOKENS,
            "add_eos": True,
            "pad_id": 0,
            "template": "{}",
            "trim": True,
            **tiny_reader.manifest(),
        },
        **wan.transformer_manifest(models.transformer, TOKENS),
        "text_encoder": "text_encoder",
        "decoder": "decoder",
        "scheduler": EULER,
        "prediction_type": "flow_prediction",
        "guidance": "cfg",
        "defaults": {
            **size.defaults,
            "fps": 8,
            "steps": STEPS,
            "guidance_scale": GUIDANCE,
            "negative_prompt": "",
        },
    }


def _goldens(models: TinyWan, original: Original, manifest: dict[str, Any]) -> dict[str, Golden]:
    text = Golden({}, {})
    for i, prompt in enumerate((*PROMPTS, "")):
        ids, mask, states, cut = models.embedding(prompt)
        text.tensors |= {f"{i}.ids": ids, f"{i}.mask": mask, f"{i}.text": states, f"{i}.embedding": cut}
        text.tensors |= {f"{i}.attributes.{n}": x for n, x in enumerate(tiny_reader.read(models.readers, states))}
        strange = vocabulary.unknown(" ".join(prompt.split()), tiny_reader.manifest()["words"])
        text.metadata |= {f"{i}.prompt": prompt, f"{i}.unknown_words": json.dumps(strange)}
    table = {
        f"{name}.{'cfg' if scale != 1.0 else 'none'}": golden.Run(config, STEPS, scale)
        for name, config in SCHEDULERS.items()
        for scale in (GUIDANCE, 1.0)
    }
    noise = seeded(1, CHANNELS, 3, 8, 8, seed=11)
    cond, uncond = models.embedding(PROMPTS[0])[3], models.embedding("")[3]
    runs = golden.runs(lambda x, t, y: original(Example(x, t, y)).prediction, table, noise, cond, uncond)
    latent = runs.tensors["euler.cfg.latents"][:, :, :2, :3, :5]
    mean, std = (torch.tensor(manifest["latent"][k]).view(1, -1, 1, 1, 1) for k in ("mean", "std"))
    module = tiny_decoder.Decoder(models.decoder)
    with torch.no_grad():
        scaled = latent * std + mean
        frames = module.step(scaled, module.initial(scaled[:, :, :1]))[0]
    return {
        "denoiser": golden.denoiser(original, _examples()),
        "text": text,
        "decoder": Golden({"latent": latent, "frames": frames}, {"dtype": "float32"}),
        "runs": runs,
    }


def _examples() -> list[Example]:
    return [
        Example(
            seeded(2, CHANNELS, 2, 6, 8, seed=21), torch.tensor([900.0, 250.5]), seeded(2, TOKENS, TEXT_DIM, seed=22)
        ),
        Example(seeded(1, CHANNELS, 3, 4, 10, seed=23), torch.tensor([37.25]), seeded(1, 7, TEXT_DIM, seed=24)),
    ]


def family(size: Size = TINY) -> Family:
    """A random model, ready to be exported."""
    models = make(size)
    original = Original(models.transformer)
    manifest = _manifest(models, size)
    return Family(
        manifest=manifest,
        parts=lambda dtype: _parts(models, original, dtype),
        weights={"weights/model.safetensors": _weights(models)},
        original=original,
        examples=_examples(),
        files={"tokenizer.model": models.tokenizer},
        goldens=lambda: _goldens(models, original, manifest),
    )
