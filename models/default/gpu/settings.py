"""Sizes of the GPU training, and of its rehearsal on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from ..train_dit import DiTOptions, Phase
from ..train_text import TextOptions
from ..train_vae import VAEOptions
from ..vae import VAEConfig

WIDE = VAEConfig(enc=(96, 192, 288, 384), dec=(384, 288, 192, 144), latent_bound=5.0)


@dataclass(frozen=True)
class Settings:
    size: int = 128
    frames: int = 17
    vae: VAEConfig = WIDE
    presets: tuple[str, ...] = ("M", "S")  # of the transformer, the best first
    wanted: float = 6e5  # samples that a transformer should see (at its speed before compilation), else a smaller one
    clips: int = 24_000  # whole clips kept on the device for the autoencoder: 27 GB
    start: int = 1000  # of them to wait for
    latents: int = 120_000  # clips for the transformer, rendered while it trains: 3.8 GB
    statistics: int = 2000  # of them for mean and deviation, before it starts
    wordings: int = 8  # captions per clip
    held: int = 48  # clips that the autoencoder is measured on
    validation: int = 256  # clips that the transformer is measured on
    vae_batch: int = 64
    text_batch: int = 512
    dit_batch: int = 512  # at first; halved until it fits
    least_batch: int = 32
    probe: float = 20.0  # seconds
    sampler_steps: int = 20
    watch: int = 20  # steps between looks at the losses
    save_every: float = 150.0  # seconds
    evaluate_every: float = 240.0
    between: float = 45.0  # seconds that the end of a slice and the start of the next one cost
    gate: float = 0.99  # of directions that the text encoder must read

    def vae_options(self, batch: int) -> VAEOptions:
        return VAEOptions(batch=batch, frames=self.frames, average=0.999)

    def text_options(self) -> TextOptions:
        return TextOptions(batch=self.text_batch)

    def dit_options(self, batch: int) -> DiTOptions:
        """Whole clips from the start, so that the blocks are compiled for one shape; and no captions worded by the host
        within a step."""
        whole = (Phase(1.0, 0, batch),)
        return DiTOptions(phases=whole, lr=0.02, flat=0.6, shift=2.5, read=0, average=0.999, validation=self.validation)


FULL = Settings()
REHEARSAL = Settings(
    size=64,
    frames=9,
    vae=VAEConfig(enc=(8, 16, 24, 32), dec=(32, 24, 16, 12), latent_bound=5.0),
    presets=("XXS",),
    wanted=1e4,
    clips=24,
    start=4,
    latents=48,
    statistics=8,
    wordings=2,
    held=2,
    validation=4,
    vae_batch=2,
    text_batch=16,
    dit_batch=8,
    least_batch=4,
    probe=2.0,
    sampler_steps=2,
    watch=3,
    save_every=3.0,
    evaluate_every=20.0,
    between=10.0,
    gate=0.0,
)
