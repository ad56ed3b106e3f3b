"""What a slice leaves for the way home: shards of weights, about.json, log.jsonl, sheet.png."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..captions import NAMES
from ..latents import encoder_digest
from ..state import write_json
from . import shards
from .settings import Settings

LOG_BYTES = 200_000  # of each stage's log, its end
Weights = dict[str, dict[str, Tensor]]


def collect_weights(work: Path) -> Weights:
    """The averaged weights in the work folder by part."""
    parts: Weights = {}
    frozen, states = work / "vae" / "frozen.pt", {k: work / k / "state.pt" for k in ("vae", "text", "dit")}
    if frozen.exists():
        add(parts, torch.load(frozen, weights_only=True, mmap=True)["weights"])
    elif states["vae"].exists():
        add(parts, trained(states["vae"])["average"]["weights"])
    if states["dit"].exists():
        add(parts, trained(states["dit"])["average"]["weights"])
    elif states["text"].exists():
        parts["text"] = trained(states["text"])["model"]
    return parts


def trained(state: Path) -> dict[str, Any]:
    return torch.load(state, weights_only=True, mmap=True, map_location="cpu")["trainer"]  # type: ignore[no-any-return]


def add(parts: Weights, weights: dict[str, Tensor]) -> None:
    for name, w in weights.items():
        part, key = name.split(".", 1)
        parts.setdefault(part, {})[key] = w


def describe(work: Path, s: Settings, device: str) -> dict[str, Any]:
    progress = json.loads((work / "progress.json").read_text())
    about: dict[str, Any] = {"names": NAMES, "size": s.size, "frames": s.frames, "progress": progress,
                             "machine": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
                             "vae": {"config": s.vae.to_dict(), "frozen": False}}  # fmt: skip
    frozen = work / "vae" / "frozen.pt"
    if frozen.exists():
        state = torch.load(frozen, weights_only=True)
        about["vae"] |= {"frozen": True, "encoder": encoder_digest(state["weights"]), "figures": state["figures"]}
    if (work / "statistics.pt").exists():
        found = torch.load(work / "statistics.pt", weights_only=True)
        about["statistics"] = {k: v.tolist() if isinstance(v, Tensor) else v for k, v in found.items()}
    if (work / "dit" / "state.pt").exists():
        state = torch.load(work / "dit" / "state.pt", weights_only=True, mmap=True)
        about["dit"] = {k: state[k] for k in ("config", "step", "samples", "spent")}
    return about


def choices(parts: Weights, vae_is_news: bool) -> list[tuple[str, ...]]:
    """Which parts to send, the best first. The finished autoencoder goes home once; afterwards its encoder is
    enough to go on, and its place is the transformer's."""
    named = ("encoder", "decoder", "dit", "text")
    news = ("encoder", "decoder", "text") if vae_is_news else ("encoder", "dit", "text")
    return [tuple(k for k in order if k in parts) for order in (named, news, news[:-1], ("encoder",))]


def export(work: Path, out: Path, s: Settings, device: str, wanted: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Writes OUT and returns the parts that are there. wanted: these and no others, shards.TooLarge where they do
    not fit."""
    parts = collect_weights(work)
    about = describe(work, s, device)
    marker = work / "vae" / "sent"
    missing = [k for k in wanted if k not in parts]
    if missing:
        raise ValueError(f"{work} has no {', '.join(missing)} yet (there: {', '.join(parts) or 'nothing'})")
    sent: tuple[str, ...] = ()
    for choice in [wanted] if wanted else choices(parts, not marker.exists()):
        try:
            shards.write(out, {k: parts[k] for k in choice})
        except shards.TooLarge:
            if wanted:
                raise
            continue
        sent = choice
        if "decoder" in sent and about["vae"]["frozen"]:
            marker.touch()
        break
    write_json(out / "about.json", {**about, "parts": sent})
    write_log(work, out)
    sheets = [p for p in (work / "dit" / "sheet.png", work / "vae" / "sheet.png") if p.exists()]
    if sheets:
        shutil.copyfile(sheets[0], out / "sheet.png")
    return sent


def write_log(work: Path, out: Path) -> None:
    """The stages' logs one after the other, each row with its stage."""
    rows = []
    for stage in ("vae", "text", "dit"):
        path = work / stage / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        own = [json.dumps({"stage": stage, **json.loads(line)}) for line in lines]
        while sum(map(len, own)) > LOG_BYTES:
            own = own[len(own) // 4 + 1 :]
        rows += own
    (out / "log.jsonl").write_text("".join(f"{row}\n" for row in rows))
