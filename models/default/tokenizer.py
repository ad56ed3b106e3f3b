"""Sentencepiece tokenizer learned from the caption grammar; letters and bytes as the fallback.

python -m models.default.tokenizer --model tokenizer.model "a fox moving from left to right"
"""

from __future__ import annotations

import argparse
import io
import os
import random
import string
from collections.abc import Sequence
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor

from . import captions

LENGTH = 32
# Words that people write and the grammar does not: kept whole, so that they cost one token, not eight.
EXTRA = (
    "a an the of and with on in at to from big small red green blue yellow white black little large happy cute "
    "slowly quickly beautiful colourful colorful cartoon video animation clip scene background sky sun moon "
    "water grass sand snow rain cloud flower road building animal vehicle fruit toy"
).split()


def clean(text: str) -> str:
    return " ".join(text.lower().split())


class Tokenizer:
    def __init__(self, path: str | os.PathLike[str], length: int = LENGTH):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.length = length

    def __len__(self) -> int:
        return self.pieces.vocab_size()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """-> i64 [B, length]: pieces, end mark, padding (0). The empty text is one end mark."""
        out = torch.zeros(len(texts), self.length, dtype=torch.int64)
        for row, text in zip(out, texts, strict=True):
            ids = self.pieces.encode(clean(text))[: self.length - 1] + [self.pieces.eos_id()]
            row[: len(ids)] = torch.tensor(ids)
        return out


def train(captions: Sequence[str], out: str | os.PathLike[str], vocab: int = 1024, seed: int = 0) -> None:
    """Write OUT, a unigram model of the captions."""
    rng = random.Random(seed)
    lines = [clean(c) for c in captions] + EXTRA * 20
    # Letters in random order, so that unknown words are spelled, not lost.
    for _ in range(len(captions) // 20):
        lines.append("".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 7))))
    model = io.BytesIO()  # a prefix of a file would stand in the model, with the machine's path
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="unigram",
        vocab_size=vocab,
        byte_fallback=True,
        character_coverage=1.0,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=2,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
    )
    Path(f"{out}.part").write_bytes(model.getvalue())
    os.replace(f"{out}.part", out)


def train_from_grammar(out: str | os.PathLike[str], lines: int = 60000, seed: int = 0) -> None:
    """The tokenizer of the caption grammar, every phrase that people may write included."""
    rng = random.Random(f"tokenizer-{seed}")
    texts = []
    for i in range(lines):
        held = i % 20 == 0  # phrases kept for evaluation are spelled in few pieces too
        texts.append(captions.caption(captions.scene(rng, "any"), rng, held=held, clean=True)[0])
    train(texts, out, seed=seed)


def main() -> None:
    p = argparse.ArgumentParser(description="Show how prompts are cut into pieces.")
    p.add_argument("--model", required=True)
    p.add_argument("prompts", nargs="+")
    a = p.parse_args()
    tokenizer = Tokenizer(a.model)
    for prompt in a.prompts:
        print(tokenizer.pieces.encode(clean(prompt), out_type=str))


if __name__ == "__main__":
    main()
