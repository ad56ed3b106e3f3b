"""A small causal video decoder with random weights, for test bundles.

Space ×8, time ×4; every frame sees the one before it through two explicit caches, so a clip can be decoded in pieces of
any length. The linear path keeps the layout of the latent visible.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.export.parts import Part, Tree, seeded

WIDTH, FINE = 24, 12


class TinyDecoder(Tree):
    """latent [1,C,F,H,W] -> frames [1,4F,3,8H,8W] in [0,1]."""

    def __init__(self, channels: int) -> None:
        """Make the layers; the weights are set by the caller."""
        super().__init__()
        self.stem = nn.Conv2d(2 * channels, WIDTH, 3, padding=1)
        self.grow = nn.Conv2d(WIDTH, 4 * FINE, 1)
        self.fine = nn.Conv2d(2 * FINE, FINE, 3, padding=1)
        self.out = nn.Conv2d(FINE, 3 * 16, 3, padding=1)
        self.linear = nn.Conv2d(channels, 3, 1)

    def forward(self, latent: Tensor, caches: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """caches: the last latent frame [1,C,H,W], the last fine frame [1,FINE,2H,2W]."""
        x = latent[0].transpose(0, 1)  # [F,C,H,W]
        h = F.silu(self.stem(torch.cat([x, _before(x, caches[0])], 1)))
        h = self.grow(h).unflatten(1, (4, -1)).flatten(0, 1)  # [4F,FINE,H,W]
        h = F.interpolate(h, scale_factor=2.0, mode="nearest")
        y = h + F.silu(self.fine(torch.cat([h, _before(h, caches[1])], 1)))
        colour = self.linear(x).unsqueeze(1).expand(-1, 4, -1, -1, -1).flatten(0, 1)
        colour = F.interpolate(colour, scale_factor=8.0, mode="bilinear", align_corners=False)
        frames = torch.sigmoid(F.pixel_shuffle(self.out(y), 4) + colour)
        return frames[None], (x[-1:], h[-1:])


def scale(name: str, parameter: Tensor) -> float | None:
    """Deviations that give a smooth picture with some texture."""
    gain = {"out.weight": 0.2, "linear.weight": 0.8}.get(name)
    return None if gain is None else gain * parameter[0].numel() ** -0.5


def _before(x: Tensor, cache: Tensor) -> Tensor:
    return torch.cat([cache, x[:-1]], 0)


class Decoder(Tree):
    """The archive: `initial` and `step`, weights under `decoder.`."""

    def __init__(self, decoder: TinyDecoder) -> None:
        """Wrap the decoder; the zero is a buffer, so that no device is baked."""
        super().__init__()
        self.decoder = decoder
        zero = torch.zeros(1, 1, 1, 1, dtype=decoder.stem.weight.dtype)
        self.register_buffer("zero", zero, persistent=False)
        self.channels = decoder.linear.in_channels

    def initial(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Black caches of the size of latent [1,C,1,H,W]."""
        rows, columns = latent.shape[3], latent.shape[4]
        first = self.zero.expand(1, self.channels, rows, columns)
        return first, self.zero.expand(1, FINE, rows * 2, columns * 2)

    def step(self, latent: Tensor, caches: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """latent [1,C,F,H,W] -> frames [1,4F,3,8H,8W], new caches."""
        return self.decoder(latent, (caches[0], caches[1]))


def part(decoder: TinyDecoder, dtype: torch.dtype) -> Part:
    """The archive of the decoder."""
    module = Decoder(decoder)
    latent = seeded(1, module.channels, 5, 13, 17, seed=1).to(dtype)
    methods = {"initial": (latent[:, :, :1],), "step": (latent, module.initial(latent[:, :, :1]))}
    return Part(module, methods, frozenset({13, 17, 20, 26, 34, 65, 85}))
