"""The bundle that ships with a checkpoint: tables on the model card name its weights, as those in docs/ do."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from models.export import default as exporter

from ..checkpoint import Checkpoint


def weights_hash(bundle: Path, model: Checkpoint) -> str:
    """sha256 of the bundle's weight file. Raises ValueError where the bundle was exported from other weights."""
    manifest = bundle / "model.json"
    if not manifest.exists():
        raise ValueError(f"{bundle} holds no bundle; python -m models.export default makes one from a checkpoint")
    entries = json.loads(manifest.read_text())["weights"]
    shipped = {k: v for e in entries for k, v in load_file(bundle / e["file"]).items()}
    own = exporter.weights(model)
    other = [k for k in sorted(set(own) | set(shipped)) if not same(own.get(k), shipped.get(k))]
    if other:
        raise ValueError(
            f"{bundle} was exported from another checkpoint ({other[0]} and {len(other) - 1} more differ); "
            "export this one first: python -m models.export default"
        )
    if len(entries) != 1:
        raise ValueError(f"{manifest}: the card names one file of weights, found {len(entries)}")
    return str(entries[0]["sha256"])


def same(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    return a is not None and b is not None and a.dtype == b.dtype and torch.equal(a, b)
