"""How fast is this machine? Decides the size of the transformer, and batches that fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..captions import CLASSES
from ..dit import DiT, DiTConfig, default_config
from ..loop import Trainer
from ..train_dit import compile_blocks
from ..train_vae import Bank
from .banks import ClipBank, LatentBank, Statistics
from .feed import Wording
from .settings import Settings
from .trainers import DeviceDiTTrainer, DeviceVAETrainer
from .unigram import Unigram


@dataclass(frozen=True)
class Found:
    preset: str
    dit_batch: int
    vae_batch: int


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def samples_per_second(trainer: Trainer, batch: int, seconds: float) -> float:
    """Of whole steps, after two to warm up."""
    steps, begin = -2, 0.0
    while True:
        trainer.loss(max(0, steps), 0.0)
        trainer.update(0, 0.0)
        steps += 1
        if steps <= 0:
            wait(trainer.device)
            begin = time.monotonic()
        elif steps % 2 == 0:
            wait(trainer.device)
            if (spent := time.monotonic() - begin) >= seconds:
                return batch * steps / spent


def fitting(make: Callable[[int], Trainer], batch: int, least: int, seconds: float) -> tuple[int, float]:
    """The largest batch that the memory holds, halved from `batch` on, and its samples per second."""
    while True:
        try:
            return batch, samples_per_second(make(batch), batch, seconds)
        except torch.OutOfMemoryError:
            if batch // 2 < least:
                raise
        batch //= 2  # outside of the handler, which still holds the failed step's tensors
        torch.cuda.empty_cache()


def flops(c: DiTConfig, params: int, tokens: int) -> float:
    """Of one training sample: 6 per parameter and token, and attention."""
    return 6.0 * params * tokens + 12.0 * c.depth * c.dim * tokens**2


class Probe:
    """seconds: of the transformer's training to come."""

    def __init__(self, settings: Settings, words: Unigram, device: str, say: Callable[[str], None]):
        self.s, self.words, self.device, self.say = settings, words, device, say

    def run(self, seconds: float) -> Found:
        s, share = self.s, self.s.probe / (1 + len(self.s.presets))
        vae_batch, rate = fitting(self.vae, s.vae_batch, max(1, s.least_batch // 4), share)
        self.say(f"autoencoder: {rate:.3g} clips/s at batch {vae_batch}")
        for preset in s.presets:
            batch, rate = fitting(lambda n, p=preset: self.dit(p, n), s.dit_batch, s.least_batch, share)  # type: ignore[misc]
            tera = rate * self.cost(preset) / 1e12
            self.say(f"transformer {preset}: {rate:.3g} samples/s at batch {batch}, {tera:.1f} TFLOP/s, "
                     f"{rate * seconds:.2g} samples in {seconds / 60:.1f} minutes")  # fmt: skip
            if rate * seconds >= s.wanted or preset == s.presets[-1]:
                return Found(preset, batch, vae_batch)
        raise ValueError("Settings.presets is empty")

    def vae(self, batch: int) -> Trainer:
        s = self.s
        bank = ClipBank(batch, s.frames, s.size, self.device)
        bank.clips.random_()
        bank.cover.random_()
        bank.ready = batch
        trainer = DeviceVAETrainer(bank, Bank(*(v[:1].cpu().numpy() for v in (bank.clips, bank.cover))), Path(),
                                   s.vae_options(batch), s.vae)  # fmt: skip
        trainer.start(trainer.model.state_dict())
        return trainer

    def dit(self, preset: str, batch: int) -> Trainer:
        return DeviceDiTTrainer(
            dit_config(self.s, preset, self.words), self.noise(), self.words, self.s.dit_options(batch)
        )

    def noise(self) -> LatentBank:
        """A bank of noise in the right shape."""
        s, n, device = self.s, 64, self.device
        bank = LatentBank(None, n, device)  # type: ignore[arg-type]
        zero, one = (torch.full((s.vae.z,), v, device=device) for v in (0.0, 1.0))
        bank.statistics = Statistics(zero, one, one, "noise")
        z = torch.randn((s.frames - 1) // 4 + 1, s.vae.z, s.size // 16, s.size // 16)
        ids = self.words(["a fox"] * (s.wordings + 1)).short().numpy()
        bank.allocate(z, Wording(ids, torch.zeros(s.wordings, len(CLASSES), dtype=torch.int16).numpy()))
        bank.z.normal_()
        for v in (bank.cover, bank.ids, bank.classes):
            v.zero_()
        bank.ready = n
        return bank

    def cost(self, preset: str) -> float:
        c = dit_config(self.s, preset, self.words)
        with torch.device("meta"):
            params = sum(p.numel() for p in DiT(c).parameters())
        return flops(c, params, ((self.s.frames - 1) // 4 + 1) * (self.s.size // 16) ** 2)


def dit_config(s: Settings, preset: str, words: Unigram) -> DiTConfig:
    return default_config(
        preset, channels=s.vae.z, clip_frames=(s.frames - 1) // 4 + 1, vocab=len(words), classes=CLASSES
    )


def compile_if_faster(trainer: DeviceDiTTrainer, batch: int, say: Callable[[str], None], seconds: float = 3.0) -> bool:
    """Whether the blocks are compiled afterwards. A compiler that fails costs a line in the log, not the run.
    The trainer's weights are as before."""
    plain = rehearsed(trainer, batch, seconds)
    try:
        compile_blocks(trainer.model.dit)
        compiled = rehearsed(trainer, batch, seconds)
    except Exception as e:
        say(f"blocks are not compiled: {type(e).__name__}: {str(e).splitlines()[0][:200]}")
        compiled = 0.0
    say(f"transformer: {plain:.3g} samples/s, compiled {compiled:.3g}")
    if compiled > plain:
        return True
    for b in trainer.model.dit.blocks:
        b.__dict__.pop("forward", None)
    return False


def rehearsed(trainer: DeviceDiTTrainer, batch: int, seconds: float) -> float:
    """Samples per second of forward and backward, gradients thrown away."""
    trainer.loss(0, 0.0)
    trainer.discard()
    wait(trainer.device)
    steps, begin = 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        trainer.loss(steps, 0.0)
        trainer.discard()
        wait(trainer.device)
        steps += 1
    return batch * steps / (time.monotonic() - begin)
