"""A training that goes on from packed weights where no state is left."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models.default import checkpoint, restore, tokenizer
from models.default.checkpoint import encoder_hash, read_weights
from models.default.dit import DiT, DiTConfig, TextEncoder
from models.default.latents import rounded_encoder
from models.default.train import Chain, defaults
from models.default.transfer import take_text, take_transformer
from models.export import default as exporter


def plan(init: Path, **values: Any) -> dict[str, Any]:
    sizes = {"clips": 8, "latents": 8, "workers": 1, "steps": 2, "init": str(init)}
    return {**defaults(None, 2), **sizes, **values}


def start(out: Path, atlas_path: Path, settings: dict[str, Any]) -> Chain:
    (out / "data").mkdir(parents=True)
    (out / "data" / "atlas.npz").write_bytes(atlas_path.read_bytes())
    return Chain(out, out / "data", settings)


def test_rewarm_transformer_starts_from_the_averaged_weights(
    chain: Path, tmp_path: Path, atlas_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed, out = chain / "checkpoint", tmp_path / "out"
    start(out, atlas_path, plan(packed)).run(["tokenizer", "encode", "text", "dit"])
    said = capsys.readouterr().out
    for line in ("the tokenizer comes from", "the autoencoder comes from", "text encoder comes with the transformer",
                 "starts from the averaged weights of", "warmed up over 10 steps"):  # fmt: skip
        assert line in said, line
    old, new = (read_weights(p / "dit.safetensors") for p in (packed, out / "checkpoint"))
    moved = max((new[k] - old[k]).abs().max().item() for k in old)
    assert 0 < moved < 0.05, "two warm-up steps move the weights a little"
    assert json.loads((out / "dit" / "log.jsonl").read_text().splitlines()[-1])["step"] == 2

    again = plan(packed, steps=3)
    Chain(out, out / "data", again).run(["dit"])
    assert "resumed at step 2" in capsys.readouterr().out, "a state comes before packed weights"


def test_rewarm_transformer_of_another_encoder_is_used_and_said(
    chain: Path, tmp_path: Path, atlas_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    c = start(tmp_path / "out", atlas_path, plan(chain / "checkpoint"))
    vocab = json.loads((chain / "checkpoint" / "config.json").read_text())["dit"]["vocab"]
    bank = {"z": torch.zeros(4, 3, 48, 4, 4), "vae": "4567"}
    assert c.rewarmed(bank, vocab) is not None
    said = capsys.readouterr().out
    assert "another encoder's (" in said and "4567 here" in said

    assert c.rewarmed(bank, vocab + 1) is None
    assert "is not used as it is (vocab: " in capsys.readouterr().out


def test_encode_without_an_autoencoder_names_the_remedy(tmp_path: Path, atlas_path: Path) -> None:
    c = start(tmp_path / "out", atlas_path, {**plan(tmp_path), "init": None})
    with pytest.raises(ValueError, match=r"--stage vae.*--init DIR"):
        c.encode()
    with pytest.raises(ValueError, match="--stage encode"):
        c.latent_bank()


def test_what_the_repository_keeps_restores_the_checkpoint(chain: Path, tmp_path: Path) -> None:
    packed, bundle, kept, out = (chain / "checkpoint", *(tmp_path / n for n in ("bundle", "kept", "out")))
    (bundle / "weights").mkdir(parents=True)
    tensors = exporter.weights(checkpoint.load(packed))
    save_file(tensors, bundle / "weights" / "model.safetensors")
    (bundle / "model.json").write_text(
        json.dumps({"weights": [{"file": "weights/model.safetensors", "sha256": "0123"}]})
    )
    (bundle / "tokenizer.model").write_bytes((packed / "tokenizer.model").read_bytes())
    restore.keep(packed, kept, bundle)
    restore.restore(out, kept, bundle)
    assert encoder_hash(out / "vae.safetensors") == encoder_hash(packed / "vae.safetensors"), "the same latents"
    again = exporter.weights(checkpoint.load(out))
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[k], tensors[k]) for k in tensors)

    save_file({k: v + 1 for k, v in tensors.items()}, bundle / "weights" / "model.safetensors")
    with pytest.raises(ValueError, match="exported from another checkpoint"):
        restore.keep(packed, kept, bundle)


def test_the_grid_of_the_encoder_is_a_fixed_point() -> None:
    g = torch.Generator().manual_seed(0)
    weights = {"encoder.a": torch.randn(64, 7, 3, 3, generator=g), "decoder.a": torch.randn(4, 4, generator=g)}
    once = rounded_encoder(weights)
    assert torch.equal(once["encoder.a"], rounded_encoder(once)["encoder.a"])
    assert torch.equal(once["decoder.a"], weights["decoder.a"])
    error = (once["encoder.a"] - weights["encoder.a"]).abs().flatten(1).amax(1)
    assert (error <= weights["encoder.a"].abs().flatten(1).amax(1) / 127).all(), "half a step of at most 2/127"


def test_a_transformer_of_other_time_features_keeps_its_function() -> None:
    """By least squares on the time features and by pieces of the tokenizer, what fits is the same model."""
    torch.manual_seed(0)
    old = DiTConfig(dim=64, depth=1, heads=1, text_dim=32, text_depth=1, time_scale=8.0, time_frequencies=16)
    new = replace(old, time_scale=24.0, time_frequencies=32, time_period=100.0)
    source, target = DiT(old), DiT(new)
    weights = {f"dit.{k}": v for k, v in source.state_dict().items()}
    assert take_transformer(target, weights, old) == []
    t = torch.linspace(0, 1, 57)
    expected, found = source.time(t)[0], target.time(t)[0]
    assert (found - expected).norm() < 0.02 * expected.norm()


def test_token_embeddings_follow_their_pieces(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.model" for i in range(2)]
    tokenizer.train_from_grammar(paths[0], lines=2000)
    tokenizer.train_from_grammar(paths[1], lines=3000, seed=1)
    a, b = (tokenizer.Tokenizer(p) for p in paths)
    shape = {"dim": 64, "depth": 1, "heads": 1, "text_dim": 32, "text_depth": 1}
    old = TextEncoder(DiTConfig(**shape, vocab=len(a), classes=(3, 4)))
    new = TextEncoder(DiTConfig(**shape, vocab=len(b), classes=(3, 5, 2)))
    anew = take_text(new, {f"text.{k}": v for k, v in old.state_dict().items()}, (a, b))
    assert anew == ["pos", "read.1.bias", "read.1.weight", "read.2.bias", "read.2.weight"]
    i, j = (t.pieces.piece_to_id("\u2581fox") for t in (a, b))
    assert i != a.pieces.unk_id() and torch.equal(new.emb.weight[j], old.emb.weight[i])
    assert torch.equal(new.reg[:2], old.reg)
