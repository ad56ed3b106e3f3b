"""A reader of bundles in Python, written from docs/bundle-format.md alone.

It serves the exporter's own check: what is on disk is loaded, bound and walked as the program does it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from models.export.parts import Example, Record, latent_grid

Tensors = tuple[Tensor, ...]
WALKS = ("forward", "staged", "cut")


class Bundle:
    """A bundle in one dtype."""

    def __init__(self, path: Path, dtype: str) -> None:
        """Read the manifest and the weights; archives are loaded when they are asked for."""
        self.path, self.dtype = path, dtype
        self.manifest: dict[str, Any] = json.loads((path / "model.json").read_text())
        self.weights: dict[str, Tensor] = {}
        self._loaded: dict[tuple[str, str], Any] = {}
        for entry in self.manifest["weights"]:
            with safe_open(path / entry["file"], "pt") as file:
                self.weights.update({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118

    def code(self, name: str, prefix: str = "") -> Any:
        """An archive with its weights bound."""
        key = (name, prefix)
        if key not in self._loaded:
            entry = self.manifest["code"][name][self.dtype]
            module = torch.jit.load(str(self.path / entry["file"]))
            self._bind(module, prefix)
            self._loaded[key] = module
        return self._loaded[key]

    def _bind(self, module: Any, prefix: str) -> None:
        for path, submodule in module.named_modules():
            for name, parameter in list(submodule.named_parameters(recurse=False)):
                if not parameter.is_meta:
                    continue
                full = prefix + (f"{path}." if path else "") + name
                weight = self.weights[full]
                if weight.shape != parameter.shape:
                    raise ValueError(f"{full}: shape {tuple(weight.shape)}, the code wants {tuple(parameter.shape)}")
                submodule._c.setattr(name, weight.to(parameter.dtype))

    def expert(self, t: float) -> dict[str, Any]:
        """The first expert whose range holds the time step."""
        return next(e for e in self.manifest["experts"] if e["from"] >= t >= e["to"])

    def denoise(self, example: Example, walk: str = "forward") -> Record:
        """One evaluation; all rows of the batch must belong to one expert."""
        expert = self.expert(float(example.t[0]))
        roles = {"latent": example.latent, "t": example.t, "text": example.text}
        grid = latent_grid(example.latent)

        def inputs(name: str) -> Tensors:
            return tuple(roles[role] for role in expert[name]["inputs"])

        contexts = self.code(expert["conditions"]["code"]).forward(inputs("conditions"), grid)
        head_modulation, modulation = self.code(expert["time"]["code"]).forward(inputs("time"))
        hidden = self.code(expert["embed"]["code"]).forward(inputs("embed"), grid)
        record = Record(hidden[0])
        for entry, context in zip(expert["blocks"], contexts, strict=True):
            kind = self.manifest["kinds"][entry["kind"]]
            block = self.code(kind["code"], entry["prefix"])
            record.probes.append(block.probe(hidden, modulation))
            hidden = run_block(block, kind, hidden, modulation, context, walk)
            record.blocks.append(hidden)
        record.prediction = self.code(expert["head"]["code"]).forward(hidden, head_modulation, example.latent)
        return record

    def decode(self, latent: Tensor, chunk: int) -> Iterator[Tensor]:
        """Frames of a normalised latent [1,C,F,H,W], `chunk` latent frames at a time, nothing dropped."""
        geometry = self.manifest["latent"]
        mean, std = (torch.tensor(geometry[k]).view(1, -1, 1, 1, 1) for k in ("mean", "std"))
        decoder = self.code(self.manifest["decoder"])
        scaled = (latent * std + mean).to(getattr(torch, self.dtype))
        caches = decoder.initial(scaled[:, :, :1])
        for piece in scaled.split(chunk, dim=2):
            frames, caches = decoder.step(piece, caches)
            yield frames

    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Text embedding; with `trim`, rows beyond the true length are zero."""
        text: Tensor = self._text(ids, mask)
        if self.manifest["text"]["trim"]:
            text = torch.where(mask[..., None].bool(), text, torch.zeros_like(text))
        return text

    def attributes(self, ids: Tensor, mask: Tensor) -> Tensors:
        """Logits [B,classes+1] of the text's attributes, read from what the encoder returns before `trim`."""
        logits: Tensors = self.code(self.manifest["text_encoder"]).attributes(self._text(ids, mask))
        return logits

    def _text(self, ids: Tensor, mask: Tensor) -> Tensor:
        text: Tensor = self.code(self.manifest["text_encoder"]).forward(ids, mask)
        return text


def run_block(
    block: Any, kind: dict[str, Any], hidden: Tensors, modulation: Tensors, context: Tensors, walk: str
) -> Tensors:
    """One block: whole, by stages, or by stages with the attention computed here."""
    if walk == "forward":
        return tuple(block.forward(hidden, modulation, context))
    for stage in kind["stages"]:
        if walk == "cut" and stage == kind.get("attention"):
            query, key, value = block.qkv(hidden, modulation, context)
            attended = F.scaled_dot_product_attention(query, key, value)
            output, gate = block.attention_out(attended, modulation)
        else:
            output, gate = getattr(block, stage)(hidden, modulation, context)
        hidden = getattr(block, stage + "_add")(hidden, output, gate)
    return tuple(hidden)
