"""The trainings with their data on the device: the losses, optimisers and states are those of train_*.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dit import DiTConfig, grid_coords
from ..sheet import write_sheet
from ..train_dit import DiTOptions, DiTTrainer
from ..train_text import TextOptions, TextTrainer
from ..train_vae import Bank, VAEOptions, VAETrainer, reconstruction_pairs
from ..vae import VAE, VAEConfig
from .banks import ClipBank, Filler, LatentBank
from .feed import Feed, text_batch
from .unigram import Unigram


class DeviceVAETrainer(VAETrainer):
    """On whole clips, mirrored at random."""

    def __init__(self, bank: ClipBank, held: Bank, out: Path, options: VAEOptions, config: VAEConfig):
        self.clips, self.held = bank, held
        self.filler: Filler[Any] | None = None
        super().__init__(Path(), out, options, config, bank.device)

    def open(self, data: Path) -> None:
        """The clips are on the device already."""

    def start(self, init: dict[str, Tensor] | None) -> None:
        if init is None:
            # The decomposition is done on the host, whose result does not hang on the device's library.
            host = VAE(self.model.cfg)
            host.load_state_dict(self.model.state_dict())
            host.init_pca(self.clips.clips[: min(250, self.clips.ready)].cpu())
            init = host.state_dict()
        super().start(init)

    def batch(self, step: int, whole: bool) -> tuple[Tensor, Tensor]:
        if self.filler:
            self.filler.check()
        g = torch.Generator(self.device).manual_seed(self.o.seed * 1_000_003 + step)
        rows = torch.randint(self.clips.ready, (self.o.batch,), generator=g, device=self.device)
        flip = torch.rand(self.o.batch, 1, 1, 1, 1, generator=g, device=self.device) < 0.5
        x, cover = self.clips.clips[rows], self.clips.cover[rows][:, :, None]
        return tuple(torch.where(flip, v.flip(-1), v).float() / 255 for v in (x, cover))  # type: ignore[return-value]

    def write(self, y: Tensor) -> None:
        pairs = reconstruction_pairs(self.held.clips, y)
        last = pairs[0].shape[0] - 1
        write_sheet(pairs, self.out / "sheet.png", [0, last // 2, last])


class FedTextTrainer(TextTrainer):
    """Captions come worded from the worker processes."""

    def __init__(self, config: DiTConfig, words: Unigram, options: TextOptions, feed: Feed, device: str):
        super().__init__(config, words, options, device)
        self.feed = feed
        self.batches: Iterator[tuple[np.ndarray, np.ndarray]] | None = None

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        if self.batches is None:
            self.batches = self.feed.each(text_batch, ((k, self.o) for k in range(step, step + 10**9)))
        ids, classes = (torch.from_numpy(v).to(self.device).long() for v in next(self.batches))
        return ids, classes


class DeviceDiTTrainer(DiTTrainer):
    """Draws from the latent bank while it grows; its first clips are kept for validation."""

    def __init__(self, config: DiTConfig, bank: LatentBank, words: Unigram, options: DiTOptions):
        self.latents = bank
        self.filler: Filler[Any] | None = None
        super().__init__(config, {}, words, options, bank.device)

    def _read(self, bank: dict[str, Any]) -> None:
        own, s = self.latents, self.latents.statistics
        assert s is not None
        self.vae, self.channel, self.dropped = s.encoder, s.weight, own.dropped
        _, self.frames, _, self.height, self.width = own.z.shape
        self.validation = torch.arange(min(self.o.validation, max(1, own.ready // 4)), device=self.device)
        self.full = grid_coords(self.frames, self.height, self.width, self.device)
        self.nothing = self.tokenizer([""])[0].to(self.device)  # the ids of the empty caption
        self.unsaid = torch.tensor(self.cfg.classes, device=self.device)

    def draw(self, n: int, step: int, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.filler:
            self.filler.check()
        own, first = self.latents, len(self.validation)
        rows = torch.randint(first, own.ready, (n,), generator=g, device=self.device)
        k = torch.randint(own.classes.shape[1], (n,), generator=g, device=self.device)
        empty = torch.rand(n, 1, generator=g, device=self.device) < self.o.empty
        ids = torch.where(empty, self.nothing, own.ids[rows, k].long())
        classes = torch.where(empty, self.unsaid, own.classes[rows, k].long())
        return own.normalised(own.z[rows]), own.cover[rows].float() / 255, ids, classes

    def kept_apart(self, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        own = self.latents
        return own.normalised(own.z[part]), own.cover[part].float() / 255, own.ids[part, -1].long()
