"""A training that goes on from packed weights where no state is left."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from models.default.checkpoint import read_weights
from models.default.train import Chain, defaults


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


def test_rewarm_transformer_of_other_latents_is_not_used(
    chain: Path, tmp_path: Path, atlas_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    c = start(out, atlas_path, plan(chain / "checkpoint"))
    bank = {"z": torch.zeros(4, 3, 48, 4, 4), "vae": "4567"}
    assert c.rewarmed(bank, json.loads((chain / "checkpoint" / "config.json").read_text())["dit"]["vocab"]) is None
    said = capsys.readouterr().out
    assert "is not used (vae: " in said and "4567 here" in said


def test_encode_without_an_autoencoder_names_the_remedy(tmp_path: Path, atlas_path: Path) -> None:
    c = start(tmp_path / "out", atlas_path, {**plan(tmp_path), "init": None})
    with pytest.raises(ValueError, match=r"--stage vae.*--init DIR"):
        c.encode()
    with pytest.raises(ValueError, match="--stage encode"):
        c.latent_bank()
