"""The exporter's own checks: lint of traced code, weight files, manifests."""

import copy
import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.export import bundle, tiny, trace
from models.export.parts import Part, Tree, graft, grid_of

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = json.loads((ROOT / "tests/data/bundles/tiny-wan/model.json").read_text())


class Scale(nn.Module):
    """A module with a parameter, a buffer and, on demand, a fault."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault, self.weight = fault, nn.Parameter(torch.full((4,), 2.0))
        self.register_buffer("table", torch.arange(4.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.weight + self.table
        if self.fault == "device":
            y = y + torch.arange(4, device=x.device)
        if self.fault == "size":
            y = y.reshape(-1, int(x.shape[0]) * 4)
        return y


def traced(fault: str = "") -> bytes:
    part = Part(Scale(fault), {"forward": (torch.ones(23, 4),)})
    return trace.archive(trace.trace(part), "scale")


def test_archive_keeps_buffers_and_drops_weights() -> None:
    module = torch.jit.load(BytesIO(traced()))
    assert module.weight.is_meta
    assert torch.equal(module.table, torch.arange(4.0))


def test_archive_has_no_debug_records() -> None:
    names = zipfile.ZipFile(BytesIO(traced())).namelist()
    assert not [n for n in names if "debug" in n or "traced_inputs" in n]


@pytest.mark.parametrize(("fault", "message"), [("device", "device constant"), ("size", "92 is baked in")])
def test_lint_refuses(fault: str, message: str) -> None:
    with pytest.raises(trace.LintError, match=message):
        trace.lint(traced(fault), frozenset({23, 92}))


def test_lint_accepts_clean_code() -> None:
    data = traced()
    trace.lint(data, frozenset({23, 92}))
    assert trace.operators(data) == {"add", "mul"}


def test_graft_keeps_paths() -> None:
    source = nn.Module()
    source.add_module("a", nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)))
    target = Tree()
    graft(target, source, ["a.1", "a.0.bias"])
    assert sorted(name for name, _ in target.named_parameters()) == ["a.0.bias", "a.1.bias", "a.1.weight"]


def test_grid_is_row_major() -> None:
    assert grid_of(1, 2, 2).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]


def test_write_tensors_round_trip_aligned(tmp_path: Path) -> None:
    tensors = {
        "b": torch.randn(3, 5).bfloat16(),
        "a": torch.randn(7),
        "ids": torch.arange(3),
        "u8": torch.arange(5, dtype=torch.uint8),
        "scalar": torch.tensor(1.5),
    }
    path = tmp_path / "x.safetensors"
    bundle.write_tensors(path, tensors, {"z": "1", "a": "ü"})
    back = load_file(path)
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[k], tensors[k]) and back[k].shape == tensors[k].shape for k in tensors)
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    assert (8 + length) % 64 == 0
    for name, tensor in tensors.items():
        assert header[name]["data_offsets"][0] % tensor.element_size() == 0


def broken() -> list[tuple[str, list[Any], Any]]:
    """(why, path into the manifest, value); ... removes the key."""
    block = ["code", "block", "float32"]
    return [
        ("unknown key", ["surprise"], 1),
        ("newer version", ["format_version"], 2),
        ("no weights", ["weights"], ...),
        ("parent folder in a file name", [*block, "file"], "code/../../x.pt"),
        ("absolute file name", [*block, "file"], "/etc/passwd"),
        ("hash too short", [*block, "sha256"], "abc"),
        ("hash in capitals", [*block, "sha256"], "A" * 64),
        ("unknown dtype", ["code", "block", "int8"], {"file": "x.pt", "sha256": "0" * 64}),
        ("no channels", ["latent", "channels"], 0),
        ("zero deviation", ["latent", "std", 0], 0.0),
        ("negative leading frames", ["latent", "leading_frames"], -1),
        ("unknown role", ["experts", 0, "embed", "inputs"], ["latent", "pixels"]),
        ("prefix is no path", ["experts", 0, "blocks", 0, "prefix"], "blocks/0."),
        ("no blocks", ["experts", 0, "blocks"], []),
        ("latent stream without patch", ["streams", 0, "patch"], ...),
        ("unknown guidance", ["guidance"], "magic"),
        ("unknown cleaning", ["text", "cleaning"], "ftfy"),
        ("template without place", ["text", "template"], "a video"),
        ("no steps", ["defaults", "steps"], 0),
        ("fractional width", ["defaults", "width"], 64.5),
        ("unknown scheduler key", ["scheduler", "karras"], True),
        ("unknown sigmas", ["scheduler", "sigmas"], "mochi"),
        ("stage is no method name", ["kinds", "block", "stages", 0], "__init__"),
        ("golden outside", ["golden", 0], "../golden.safetensors"),
    ]


@pytest.mark.parametrize(("why", "path", "value"), broken(), ids=[b[0] for b in broken()])
def test_schema_rejects(why: str, path: list[Any], value: Any) -> None:
    manifest = copy.deepcopy(MANIFEST)
    *parents, last = path
    place = manifest
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        bundle.validate(manifest)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["latent", "mean"], [0.0], "16 values"),
        (["kinds", "block", "attention"], "attention", "none of its stages"),
        (["experts", 0, "head", "code"], "tail", "no code"),
        (["decoder"], "vae", "no code"),
        (["experts", 0, "from"], 0.0, "from < to"),
    ],
)
def test_validate_rejects_contradictions(path: list[Any], value: Any, message: str) -> None:
    manifest = copy.deepcopy(MANIFEST)
    place = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    if message == "from < to":
        place["to"] = 5.0
    with pytest.raises(ValueError, match=message):
        bundle.validate(manifest)


def test_tokenizer_cuts_collapses_and_pads() -> None:
    model = tiny.tokenizer(512)
    assert model == tiny.tokenizer(512)
    ids, mask = tiny.encode(model, "  a red   fox ", 32)
    plain, _ = tiny.encode(model, "a red fox", 32)
    assert torch.equal(ids, plain)
    length = int(mask.sum())
    assert ids[0, length - 1] == 1 and not ids[0, length:].any()
    cut, full = tiny.encode(model, "zq " * 100, 32)
    assert cut[0, -1] == 1 and full.all()
