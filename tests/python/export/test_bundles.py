"""Exporting is repeatable, and the committed bundles are what the exporter writes and what the originals compute."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from models.export import bundle, synthetic, tiny_wan, verify
from models.export.parts import Family
from models.export.replay import Bundle
from models.export.trace import sources

ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests/data/bundles/tiny-wan"
SYNTHETIC = ROOT / "tests/data/bundles/synthetic"
ALL = [TINY, SYNTHETIC, ROOT / "models/default/bundle"]


def files(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def test_export_twice_identical_bytes(exported: list[Path]) -> None:
    first, second = (files(folder) for folder in exported)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_export_equals_committed_bundle(exported: list[Path]) -> None:
    fresh = exported[0]
    assert files(fresh).keys() == files(TINY).keys()
    for file in TINY.rglob("*.pt"):
        assert sources((fresh / file.relative_to(TINY)).read_bytes()) == sources(file.read_bytes()), file.name
    for file in TINY.rglob("*.safetensors"):
        compare_tensors(fresh / file.relative_to(TINY), file)
    assert (fresh / "tokenizer.model").read_bytes() == (TINY / "tokenizer.model").read_bytes()


def compare_tensors(fresh: Path, committed: Path) -> None:
    """Equal up to the rounding of another processor."""
    a, b = load_file(fresh), load_file(committed)
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert torch.allclose(a[name].double(), b[name].double(), rtol=1e-4, atol=1e-5), f"{committed.name}: {name}"
    with safe_open(fresh, "pt") as x, safe_open(committed, "pt") as y:
        assert x.metadata() == y.metadata()


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
def test_committed_manifest_is_valid_and_hashes_match(path: Path) -> None:
    manifest = json.loads((path / "model.json").read_text())
    bundle.validate(manifest)
    hashed = [entry for dtypes in manifest["code"].values() for entry in dtypes.values()] + manifest["weights"]
    for entry in hashed:
        assert bundle.sha256(path / entry["file"]) == entry["sha256"], entry["file"]
    assert all((path / name).is_file() for name in manifest.get("golden", []))


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
def test_bundle_names_no_machine_path(path: Path) -> None:
    for name, content in files(path).items():
        texts = [content] if not name.endswith(".pt") else [c.encode() for c in sources(content).values()]
        assert not any(word in text for text in texts for word in (b"/root", b"/home/", b"/tmp/", b"site-packages"))


@pytest.mark.parametrize(("path", "family"), [(TINY, tiny_wan.family), (SYNTHETIC, synthetic.family)])
def test_staged_walks_equal_forward_and_original(path: Path, family: object) -> None:
    made: Family = family()  # type: ignore[operator]
    report = verify.verify_denoiser(made, path)
    assert len(report) == 2 * len(made.examples)


@pytest.mark.parametrize("path", [TINY, SYNTHETIC], ids=lambda p: p.name)
def test_goldens_replay(path: Path) -> None:
    verify.verify_goldens(path)
    verify.verify_decoder(path, torch.randn(1, 16 if path == TINY else 8, 3, 3, 4))


def test_changed_weight_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Bundle.__init__

    def tampered(self: Bundle, path: Path, dtype: str) -> None:
        read(self, path, dtype)
        self.weights["blocks.1.ffn.net.2.bias"] = self.weights["blocks.1.ffn.net.2.bias"] + 0.01

    monkeypatch.setattr(Bundle, "__init__", tampered)
    with pytest.raises(verify.VerificationError, match="block 1"):
        verify.verify_denoiser(tiny_wan.family(), TINY)


CONTRACT = {
    "conditions": {"forward": ["inputs", "grid"]},
    "time": {"forward": ["inputs"]},
    "embed": {"forward": ["inputs", "grid"]},
    "head": {"forward": ["hidden", "modulation", "latent"]},
    "text_encoder": {"forward": ["ids", "mask"]},
    "decoder": {"initial": ["latent"], "step": ["latent", "caches"]},
}


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_argument_names_follow_the_contract(path: Path, dtype: str) -> None:
    manifest = json.loads((path / "model.json").read_text())
    wanted = {}
    for expert in manifest["experts"]:
        wanted |= {expert[role]["code"]: CONTRACT[role] for role in ("conditions", "time", "embed", "head")}
    wanted |= {manifest[role]: CONTRACT[role] for role in ("text_encoder", "decoder") if role in manifest}
    if "attributes" in manifest.get("text", {}):
        wanted[manifest["text_encoder"]] = {**CONTRACT["text_encoder"], "attributes": ["text"]}
    for kind in manifest["kinds"].values():
        call = ["hidden", "modulation", "context"]
        methods = {"forward": call, "probe": call[:2]}
        for stage in kind["stages"]:
            methods |= {stage: call, f"{stage}_gate": ["modulation"], f"{stage}_add": ["hidden", "output", "gate"]}
        if "attention" in kind:
            methods |= {"qkv": call, "attention_out": ["attended", "modulation"]}
        wanted[kind["code"]] = methods
    assert wanted.keys() == manifest["code"].keys()
    for name, methods in wanted.items():
        module = torch.jit.load(str(path / manifest["code"][name][dtype]["file"]))
        for method, arguments in methods.items():
            schema = module._c._get_method(method).schema
            assert [a.name for a in schema.arguments[1:]] == arguments, f"{name}.{method}"
        assert all(p.is_meta for p in module.parameters()) and not any(b.is_meta for b in module.buffers())
