"""A checkpoint as diffusers writes it becomes a bundle on its unchanged weight files."""

import json
from pathlib import Path

import pytest

from models.export import bundle, tiny_wan, verify, wan_checkpoint


def test_sharded_checkpoint_exports_and_verifies(tmp_path: Path) -> None:
    source, out = tmp_path / "Tiny-Wan", tmp_path / "bundle"
    tiny_wan.make(tiny_wan.TINY).transformer.save_pretrained(source, max_shard_size="100KB")
    family = wan_checkpoint.family(source)
    bundle.write(family, out)
    report = verify.verify_denoiser(family, out)
    assert len(report) == 4
    manifest = json.loads((out / "model.json").read_text())
    assert len(manifest["weights"]) == 3
    assert manifest["name"] == "tiny-wan"
    assert "text" not in manifest and "decoder" not in manifest
    for entry in manifest["weights"]:
        assert (out / entry["file"]).read_bytes() == (source / Path(entry["file"]).name).read_bytes()


def test_image_to_video_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"added_kv_proj_dim": 5120}))
    with pytest.raises(SystemExit, match="image-to-video"):
        wan_checkpoint.family(tmp_path)
