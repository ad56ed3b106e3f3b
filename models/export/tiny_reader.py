"""Attribute readers of the tiny test model: random, but of the form that a trained text encoder has."""

from typing import Any

from torch import Tensor, nn

from models.export import tiny, umt5
from models.export.parts import Part, seeded

FIELDS = ("subject", "light")
SAID = {"in", "over", "through", "at", "a", "the"}  # between the words that tiny.sentences draws


def manifest() -> dict[str, Any]:
    """The manifest's text.attributes and text.words."""
    words = SAID.union(*tiny.WORDS.values())
    return {"attributes": [{"name": f, "classes": tiny.WORDS[f]} for f in FIELDS], "words": sorted(words)}


def make(dim: int) -> nn.ModuleList:
    """One reader per field: embedding [B,T,C], averaged over the tokens, to classes + 1."""
    readers = nn.ModuleList(nn.Linear(dim, len(tiny.WORDS[f]) + 1) for f in FIELDS)
    tiny.randomise(readers, lambda name, p: 1.0 if p.ndim == 2 else None, "read.")
    return readers.requires_grad_(False).eval()


def read(readers: nn.ModuleList, text: Tensor) -> tuple[Tensor, ...]:
    """Logits [B,classes+1] per field."""
    return tuple(reader(text.mean(1)) for reader in readers)


class ReadingTextEncoder(umt5.TextEncoder):
    """umt5.TextEncoder with readers, weights under `read.`."""

    def __init__(self, model: Any, readers: nn.ModuleList) -> None:
        """Take the encoder's layers and the readers."""
        super().__init__(model)
        self.read = readers

    def attributes(self, text: Tensor) -> tuple[Tensor, ...]:
        """text [B,T,C] of forward -> logits per field."""
        return read(self.read, text)


def part(model: Any, readers: nn.ModuleList) -> Part:
    """The archive of the text encoder."""
    plain = umt5.part(model)
    dtype = next(readers.parameters()).dtype
    example = seeded(3, 17, readers[0].in_features, seed=5).to(dtype)
    return Part(ReadingTextEncoder(model, readers), {**plain.methods, "attributes": (example,)}, plain.forbidden)
