"""Proves a written bundle right: original = forward = staged walk, on every example, in every dtype."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.export.parts import DTYPES, Family, Record
from models.export.replay import WALKS, Bundle

# Against the original: the same arithmetic in another grouping may round differently, in bf16 visibly.
TOLERANCE = {"float32": 2e-5, "bfloat16": 5e-2}


class VerificationError(RuntimeError):
    """The bundle does not compute what the original computes."""


def relative(a: Tensor, b: Tensor) -> float:
    """max|a-b| / max|b|."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-30))


def _tensors(record: Record) -> list[tuple[str, Tensor]]:
    named = [(f"block {i}, stream {s}", x) for i, h in enumerate(record.blocks) for s, x in enumerate(h)]
    named += [(f"probe {i}", x) for i, x in enumerate(record.probes)]
    return [*named, ("prediction", record.prediction)]


def compare(name: str, got: Record, wanted: Record, tolerance: float) -> float:
    """Largest relative error of what both records hold; 0 tolerance means bit for bit."""
    worst = 0.0
    expected = dict(_tensors(wanted))
    for what, tensor in _tensors(got):
        if what not in expected:
            continue
        other = expected[what]
        if tensor.shape != other.shape or tensor.dtype != other.dtype:
            raise VerificationError(f"{name}: {what}: {tensor.shape} {tensor.dtype}, not {other.shape} {other.dtype}")
        error = 0.0 if torch.equal(tensor, other) else relative(tensor, other)
        if not error <= tolerance:
            raise VerificationError(f"{name}: {what}: relative error {error:.3g} exceeds {tolerance:g}")
        worst = max(worst, error)
    return worst


@torch.no_grad()
def verify_denoiser(family: Family, path: Path) -> dict[str, float]:
    """Errors against the original per dtype and example; raises when a walk differs by one bit."""
    report = {}
    for dtype_name, dtype in DTYPES.items():
        bundle = Bundle(path, dtype_name)
        for index, full in enumerate(family.examples):
            example = full.to(dtype)
            name = f"{dtype_name}, example {index}"
            record = bundle.denoise(example)
            for walk in WALKS[1:]:
                compare(f"{name}, {walk} walk", bundle.denoise(example, walk), record, 0.0)
            report[name] = compare(name, record, family.original(example), TOLERANCE[dtype_name])
    return report


@torch.no_grad()
def verify_decoder(path: Path, latent: Tensor) -> dict[str, float]:
    """Streaming, one latent frame at a time, against the whole clip at once."""
    report = {}
    for dtype_name in DTYPES:
        bundle = Bundle(path, dtype_name)
        if "decoder" not in bundle.manifest:
            return {}
        whole = torch.cat(list(bundle.decode(latent, latent.shape[2])), 1)
        pieces = torch.cat(list(bundle.decode(latent, 1)), 1)
        error = relative(pieces, whole)
        if not error <= TOLERANCE[dtype_name]:
            raise VerificationError(f"decoder, {dtype_name}: streamed and whole differ by {error:.3g}")
        report[f"decoder, {dtype_name}"] = error
    return report


@torch.no_grad()
def verify_goldens(path: Path) -> dict[str, float]:
    """The golden files of a bundle, replayed in float32 from what is on disk."""
    bundle, report = Bundle(path, "float32"), {}
    golden = {Path(name).stem: load_file(path / name) for name in bundle.manifest.get("golden", [])}
    text, decoder = golden.get("text", {}), golden.get("decoder", {})
    for i in range(sum(name.endswith(".ids") for name in text)):
        encoded = bundle.encode(text[f"{i}.ids"], text[f"{i}.mask"])
        report[f"text {i}"] = relative(encoded, text[f"{i}.embedding"])
        for n, attribute in enumerate(bundle.manifest["text"].get("attributes", [])):
            logits = bundle.attributes(text[f"{i}.ids"], text[f"{i}.mask"])[n]
            if logits.shape != (1, len(attribute["classes"]) + 1):
                raise VerificationError(f"attribute {attribute['name']}: logits of shape {tuple(logits.shape)}")
            report[f"text {i}, {attribute['name']}"] = relative(logits, text[f"{i}.attributes.{n}"])
    if decoder:
        frames = torch.cat(list(bundle.decode(decoder["latent"], 1)), 1)
        wanted = decoder["frames"]
        if wanted.dtype == torch.uint8:
            pixels = frames[:, bundle.manifest["latent"]["leading_frames"] :].clamp(0, 1) * 255
            # A value on the border between two bytes may fall to either side.
            error = (pixels - wanted).abs().max().item() - 0.5
            report["decoded frames"] = max(0.0, error) / 255
        else:
            report["decoded frames"] = relative(frames, wanted)
    for name, error in report.items():
        if not error <= TOLERANCE["float32"]:
            raise VerificationError(f"golden, {name}: relative error {error:.3g}")
    return report
