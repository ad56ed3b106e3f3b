"""Shards that came back -> the ordinary packed checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..captions import NAMES
from ..latents import encoder_digest
from ..pack import packed_config
from ..vae import VAEConfig
from . import shards


def collect(folders: Sequence[Path], kit: Path, out: Path) -> str:
    """folders: what slices left, oldest first. Returns a line about the result; throws ValueError where parts are
    missing or do not belong together."""
    from ..checkpoint import write_packed

    for folder in folders:
        if not (folder / "about.json").exists():
            raise ValueError(f"{folder} holds nothing of a slice (no about.json)")
    parts, about = shards.read(folders), shards.about(folders)
    missing = [k for k in ("encoder", "decoder", "dit", "text") if k not in parts]
    if missing:
        raise ValueError(
            f"missing: {', '.join(missing)} (found {', '.join(sorted(parts)) or 'nothing'}); name the folders of all "
            "slices, or bring the rest with `export --part NAME`"
        )
    if about["names"] != NAMES:
        raise ValueError("the weights were trained on another list of subjects; set BWCACHE_SUBJECTS as for the kit")
    vae = {f"{k}.{n}": v for k in ("encoder", "decoder") for n, v in parts[k].items()}
    if (found := encoder_digest(vae)) != about["statistics"]["vae"]:
        raise ValueError(f"the transformer belongs to encoder {about['statistics']['vae']}, the folders hold {found}")
    d = about["dit"]
    shape = (about["frames"], about["size"])
    config = packed_config(VAEConfig.from_dict(about["vae"]["config"]), d, about["statistics"], shape)
    weights = {f"{k}.{n}": v for k in ("dit", "text") for n, v in parts[k].items()}
    write_packed(out, weights, vae, config, kit / "tokenizer.model")
    for name in ("log.jsonl", "sheet.png"):
        if (folders[-1] / name).exists():
            shutil.copyfile(folders[-1] / name, out / name)
    return (
        f"{out}: step {d['step']}, {d['samples']} samples, autoencoder {about['vae']['figures']}, "
        f"{about['progress']['used'] / 60:.1f} minutes on {about['machine']}"
    )
