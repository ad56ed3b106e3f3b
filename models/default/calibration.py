"""How far the text encoder's probabilities can be trusted, over captions whose meaning is known.

python -m models.default.calibration --checkpoint DIR

`bwcache-gen inspect --prompt` calls a reading unsure below a probability; this measures what such a limit is worth.
"""

from __future__ import annotations

import argparse
import json
import random

import torch
from torch import Tensor

from . import checkpoint
from .dit import TextEncoder
from .tokenizer import Tokenizer
from .train_text import sample_captions

BATCH = 250


@torch.no_grad()
def readings(text: TextEncoder, tokenizer: Tokenizer, n: int, held: bool) -> tuple[Tensor, Tensor]:
    """Probability of the reading and whether it is right, each [n, fields], over seeded captions of all kinds that the
    encoder sees whole.

    held: worded with phrases, and of scenes, that training never saw. What a caption leaves open
    ("running", to either side) counts as wrong where the other side is read.
    """
    rng = random.Random("calibration")
    sure, right = [], []
    for start in range(0, n, BATCH):
        texts, wanted = sample_captions(rng, min(BATCH, n - start), tokenizer, held=held)
        best = [p.float().softmax(-1).max(-1) for p in text.attributes(text(tokenizer(texts)))]
        sure.append(torch.stack([b.values for b in best], 1))
        right.append(torch.stack([b.indices for b in best], 1) == torch.tensor(wanted))
    return torch.cat(sure), torch.cat(right)


def worth(sure: Tensor, right: Tensor, limit: float) -> dict[str, float | None]:
    """Shares of readings; None where there are none to take a share of."""
    unsure, wrong = sure < limit, ~right

    def share(of: Tensor, among: Tensor) -> float | None:
        return round((of & among).sum().item() / among.sum().item(), 4) if among.any() else None

    return {
        "wrong": share(wrong, torch.ones_like(wrong)),
        "unsure": share(unsure, torch.ones_like(wrong)),
        "wrong_among_unsure": share(wrong, unsure),
        "wrong_among_sure": share(wrong, ~unsure),
        "unsure_among_wrong": share(unsure, wrong),
    }


def main() -> None:
    p = argparse.ArgumentParser(description="What a limit on the text encoder's probabilities is worth.")
    p.add_argument("--checkpoint", required=True, help="packed checkpoint")
    p.add_argument("--limit", type=float, default=0.9, help="the program's is 0.9 (src/run/prompt_reading.h)")
    p.add_argument("--captions", type=int, default=3000)
    a = p.parse_args()
    model = checkpoint.load(a.checkpoint)
    tokenizer = Tokenizer(model.tokenizer_path)
    for name, held in (("trained wording", False), ("paraphrases", True)):
        sure, right = readings(model.text, tokenizer, a.captions, held)
        print(json.dumps({"captions": name, "limit": a.limit, **worth(sure, right, a.limit)}))


if __name__ == "__main__":
    main()
